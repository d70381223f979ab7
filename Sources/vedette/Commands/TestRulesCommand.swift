internal import Alerting
internal import ArgumentParser
internal import Disk
internal import Telemetry

/// `vedette test rules`: Prometheus' rule unit tests, unchanged.
struct TestRulesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rules",
        abstract: "Run rule unit tests as promtool reads them; the last line is `N passed, N failed`.")

    @Argument(help: "The test files; each names its rule files, relative to itself.")
    var files: [String]

    @Option(
        name: .customLong("run"), parsing: .singleValue,
        help: "Run only tests whose name this regular expression matches; may be given several times.")
    var names: [String] = []

    func run() async throws {
        let wanted = try names.map(TestRulesCommand.expression)
        let folders = ScratchFolders()
        defer { folders.remove() }
        let runner = RuleTestRunner(clock: SystemMonotonicClock()) {
            try await BlockingWork.perform { try ScriptStore.open(folders.make()) }
        }
        var passed = 0
        var failed = 0
        for file in files {
            var test = try RuleTestFile(try RuleFiles.source(at: file).text, path: file)
            if !wanted.isEmpty {
                test.keepTests { name in wanted.contains { $0.matches(name) } }
            }
            let content = try rules(of: test)
            let errors = content.findings.filter { $0.severity == .error }
            guard errors.isEmpty else {
                for error in errors { Terminal.write("\(error)\n") }
                failed += 1
                continue
            }
            let outcome = try await runner.run(test, rules: content.groups)
            for failure in outcome.failures { Terminal.write("\(failure)\n") }
            for note in outcome.notes { Terminal.note("note: \(note)") }
            passed += outcome.passed
            failed += outcome.failed
        }
        Terminal.write("\(passed) passed, \(failed) failed\n")
        if failed > 0 { throw ExitCode(1) }
    }

    private static func expression(_ text: String) throws -> RegularExpression {
        do {
            return try RegularExpression(text)
        } catch {
            throw CommandFailure.wrongUsage("--run \(text): \(error)")
        }
    }

    private func rules(of test: RuleTestFile) throws -> AlertingFiles.Content {
        let folder = test.path.lastIndex(of: "/").map { String(test.path[...$0]) } ?? ""
        var sources: [AlertingFiles.Source] = []
        for pattern in test.ruleFilePatterns {
            let paths = RuleFiles.paths(matching: pattern.hasPrefix("/") ? pattern : folder + pattern)
            if paths.isEmpty { Terminal.note("warning: \(test.path): no rule file matches \(pattern)") }
            for path in paths { sources.append(try RuleFiles.source(at: path)) }
        }
        return AlertingFiles.read(sources)
    }
}
