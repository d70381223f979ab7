internal import Foundation
internal import Glibc

/// A program under test or a tool beside it, with its output in a file.
package final class ChildProcess: @unchecked Sendable {
    private let process = Process()
    /// Where both outputs go.
    package let logPath: String

    /// Starts `executable` (looked up in PATH when it has no slash).
    package init(
        _ executable: String, _ arguments: [String], logPath: String, environment: [String: String] = [:],
        folder: String? = nil
    ) throws {
        self.logPath = logPath
        _ = FileManager.default.createFile(atPath: logPath, contents: nil)
        guard let log = FileHandle(forWritingAtPath: logPath) else { throw ScenarioError("cannot write \(logPath)") }
        log.seekToEndOfFile()
        process.executableURL = URL(fileURLWithPath: try ChildProcess.locate(executable))
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardOutput = log
        process.standardError = log
        process.standardInput = FileHandle.nullDevice
        if let folder { process.currentDirectoryURL = URL(fileURLWithPath: folder) }
        try process.run()
    }

    package var pid: Int32 { process.processIdentifier }
    package var isRunning: Bool { process.isRunning }
    /// The exit status, once it ended.
    package var status: Int32 { process.terminationStatus }

    /// What it has printed so far.
    package var output: String { (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? "" }

    /// Sends a signal.
    package func signal(_ number: Int32) { Glibc.kill(pid, number) }

    /// Kills it together with every process it started: it leads a process group of its own.
    /// True when none of them is left.
    package func killGroup(withinSeconds seconds: Double = 10) async -> Bool {
        let group = pid
        Glibc.kill(-group, SIGKILL)
        let isGone = await eventually(seconds: seconds) { Glibc.kill(-group, 0) != 0 }
        let hasEnded = await waitForEnd(seconds: seconds)
        return isGone && hasEnded
    }

    /// Waits for the end; false when the time is up.
    package func waitForEnd(seconds: Double) async -> Bool {
        await eventually(seconds: seconds) { !self.process.isRunning }
    }

    /// Ends it: SIGTERM, and SIGKILL when it has not gone after `graceSeconds`.
    package func stop(graceSeconds: Double = 10) async {
        guard isRunning else { return }
        signal(SIGTERM)
        if !(await waitForEnd(seconds: graceSeconds)) {
            signal(SIGKILL)
            _ = await waitForEnd(seconds: 5)
        }
    }

    /// Runs a program to its end and returns its status and both outputs.
    @discardableResult
    package static func run(
        _ executable: String, _ arguments: [String], environment: [String: String] = [:]
    ) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try locate(executable))
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }

    /// The path of a program; nil when PATH has none of that name.
    package static func find(_ name: String) -> String? { try? locate(name) }

    private static func locate(_ name: String) throws -> String {
        if name.contains("/") { return name }
        let folders = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        for folder in folders.split(separator: ":") where access("\(folder)/\(name)", X_OK) == 0 {
            return "\(folder)/\(name)"
        }
        throw ScenarioError("\(name) is not in PATH; `make test` unpacks it into its cache folder")
    }
}

/// Why a scenario could not go on.
package struct ScenarioError: Error, CustomStringConvertible {
    package let description: String

    /// A reason in words.
    package init(_ description: String) {
        self.description = description
    }
}

/// Asks again every 20 ms until `condition` holds; false when the time is up.
package func eventually(seconds: Double, _ condition: () async throws -> Bool) async rethrows -> Bool {
    let deadline = DispatchTime.now().uptimeNanoseconds + UInt64(seconds * 1e9)
    while true {
        if try await condition() { return true }
        if DispatchTime.now().uptimeNanoseconds > deadline { return false }
        try? await Task.sleep(nanoseconds: 20_000_000)
    }
}

/// A folder of its own under /tmp (short, because unix socket paths are), removed at the end.
package final class ScratchFolder: Sendable {
    package let path: String

    /// Makes `/tmp/vedette-NAME.XXXXXX`.
    package init(_ name: String) throws {
        var template = Array("/tmp/vedette-\(name).XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw ScenarioError("mkdtemp failed: \(errno)") }
        path = String(cString: made)
    }

    /// The path of a name in it.
    package func file(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes a file in it and returns its path.
    @discardableResult
    package func write(_ name: String, _ text: String) throws -> String {
        let target = file(name)
        let folder = URL(fileURLWithPath: target).deletingLastPathComponent().path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try text.write(toFile: target, atomically: true, encoding: .utf8)
        return target
    }

    /// The text of a file in it.
    package func read(_ name: String) throws -> String { try String(contentsOfFile: file(name), encoding: .utf8) }

    /// Removes it and what is in it.
    package func remove() { try? FileManager.default.removeItem(atPath: path) }
}
