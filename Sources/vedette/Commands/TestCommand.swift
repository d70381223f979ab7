internal import ArgumentParser
internal import Query
internal import Telemetry

/// `vedette test`: runs scripts through the real engine over a real store.
struct TestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Run query scripts and rule unit tests through the real engine over a real store.",
        subcommands: [TestPromQLCommand.self, TestLogQLCommand.self, TestRulesCommand.self])
}

/// `vedette test promql`: the script language of Prometheus' own suite.
struct TestPromQLCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "promql",
        abstract: "Run files of Prometheus' promqltest language; the last line is `N passed, N failed`.")

    @Argument(help: "The files.")
    var files: [String]

    func run() async throws {
        let folders = ScratchFolders()
        defer { folders.remove() }
        let runner = ScriptRunner(clock: SystemMonotonicClock()) {
            try await BlockingWork.perform { try ScriptStore.open(folders.make()) }
        }
        try await ScriptFiles.run(files, with: runner)
    }
}

/// `vedette test logql`: the script language of Loki's own suite, and its extension to log queries.
struct TestLogQLCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logql",
        abstract: "Run files of Loki's logqltest language; the last line is `N passed, N failed`.")

    @Argument(help: "The files.")
    var files: [String]

    func run() async throws {
        let folders = ScratchFolders()
        defer { folders.remove() }
        let runner = ScriptRunner.logQL(clock: SystemMonotonicClock()) {
            try await BlockingWork.perform { try ScriptLogStore.open(folders.make()) }
        }
        try await ScriptFiles.run(files, with: runner)
    }
}
