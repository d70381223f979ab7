internal import ArgumentParser
internal import Disk
internal import Query

/// Runs script files one after another, tells every failure, and at the end how many tests passed and failed.
enum ScriptFiles {
    /// The largest script that is read.
    private static let bytesMaximum = 16 << 20

    static func run(_ files: [String], with runner: ScriptRunner) async throws {
        var passed = 0
        var failed = 0
        for file in files {
            let outcome = try await runner.run(try text(of: file), file: file)
            for failure in outcome.failures { Terminal.write("\(failure)\n") }
            passed += outcome.passed
            failed += outcome.failed
        }
        Terminal.write("\(passed) passed, \(failed) failed\n")
        if failed > 0 { throw ExitCode(1) }
    }

    private static func text(of file: String) throws -> String {
        let bytes: [UInt8]?
        do {
            bytes = try AtomicFile.read(file, in: SystemStorage(), maximumBytes: bytesMaximum)
        } catch {
            throw CommandFailure("the script cannot be read: \(error)")
        }
        guard let bytes else { throw CommandFailure("there is no script \(file)") }
        return String(decoding: bytes, as: UTF8.self)
    }
}
