internal import ArgumentParser
internal import Disk
internal import Query
internal import Telemetry

/// `vedette test`: runs scripts through the real engine over a real store.
struct TestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Run query scripts and rule unit tests through the real engine over a real store.",
        subcommands: [TestPromQLCommand.self, TestRulesCommand.self])
}

/// `vedette test promql`: the script language of Prometheus' own suite.
struct TestPromQLCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "promql",
        abstract: "Run files of Prometheus' promqltest language; the last line is `N passed, N failed`.")

    /// The largest script that is read.
    private static let bytesMaximum = 16 << 20

    @Argument(help: "The files.")
    var files: [String]

    func run() async throws {
        let folders = ScratchFolders()
        defer { folders.remove() }
        let runner = ScriptRunner(clock: SystemMonotonicClock()) {
            try await BlockingWork.perform { try ScriptStore.open(folders.make()) }
        }
        var passed = 0
        var failed = 0
        for file in files {
            let bytes: [UInt8]?
            do {
                bytes = try AtomicFile.read(file, in: SystemStorage(), maximumBytes: TestPromQLCommand.bytesMaximum)
            } catch {
                throw CommandFailure("the script cannot be read: \(error)")
            }
            guard let bytes else { throw CommandFailure("there is no script \(file)") }
            let outcome = try await runner.run(String(decoding: bytes, as: UTF8.self), file: file)
            for failure in outcome.failures { Terminal.write("\(failure)\n") }
            passed += outcome.passed
            failed += outcome.failed
        }
        Terminal.write("\(passed) passed, \(failed) failed\n")
        if failed > 0 { throw ExitCode(1) }
    }
}
