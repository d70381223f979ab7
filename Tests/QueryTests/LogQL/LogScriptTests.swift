internal import Disk
internal import Foundation
internal import LogStore
internal import Query
internal import Telemetry
internal import TestSupport
internal import Testing

/// Runs LogQL scripts over the real log database on a simulated disk, from the head and from sealed parts: our own
/// beside this file, and Loki's own where they lie beside the repository.
struct LogScriptTests {
    /// Our own scripts.
    static let scripts: [String] = {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return ScriptTests.paths(in: tests.appendingPathComponent("Scripts").path, suffix: ".logqltest")
    }()

    /// Loki's scripts; none where the folder is absent.
    static let upstream: [String] = ScriptTests.paths(in: ScriptTests.conformance + "/logql", suffix: ".logqltest")

    /// A database whose lines are sealed into parts as soon as they are acknowledged, when asked to.
    private struct Store: LogAppender, LogSource {
        let database: LogDatabase
        let seals: Bool

        init(seals: Bool) throws {
            database = try LogDatabase.open(
                storage: SimulatedStorage(seed: 1), folder: "logs", wallClock: ManualClock())
            self.seals = seals
        }

        func append(_ batch: LogBatch) async throws -> LogReceipt {
            let receipt = try await database.append(batch)
            if seals { try database.seal() }
            return receipt
        }

        func select(_ request: LogRequest, in context: QueryContext) throws -> LogSelection {
            try database.select(request, in: context)
        }

        func counts(
            _ request: LogRequest, bucketNanoseconds: Int64, in context: QueryContext
        ) throws -> [LogCounts]? {
            try database.counts(request, bucketNanoseconds: bucketNanoseconds, in: context)
        }

        func streams(_ request: LogRequest, in context: QueryContext) throws -> [Labels] {
            try database.streams(request, in: context)
        }

        func labelNames(_ request: LogRequest, in context: QueryContext) throws -> [String] {
            try database.labelNames(request, in: context)
        }

        func labelValues(_ name: String, _ request: LogRequest, in context: QueryContext) throws -> [String] {
            try database.labelValues(name, request, in: context)
        }

        func subscribe(_ request: LogRequest, from position: TailPosition?) throws -> any LogSubscription {
            try database.subscribe(request, from: position)
        }
    }

    private func outcome(_ text: String, file: String, seals: Bool = false) async throws -> ScriptRunner.Outcome {
        try await ScriptRunner.logQL(clock: ManualClock()) { try Store(seals: seals) }.run(text, file: file)
    }

    private func holds(_ path: String, seals: Bool) async throws {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let outcome = try await outcome(text, file: URL(fileURLWithPath: path).lastPathComponent, seals: seals)
        #expect(outcome.passed > 0)
        #expect(outcome.failures.map(\.description) == [])
    }

    @Test(arguments: scripts, [false, true])
    func ourScriptHolds(path: String, seals: Bool) async throws { try await holds(path, seals: seals) }

    @Test(
        .enabled(if: !upstream.isEmpty, "no ../shared/conformance/logql; VEDETTE_SHARED may name ../shared"),
        arguments: upstream, [false, true])
    func upstreamScriptHolds(path: String, seals: Bool) async throws { try await holds(path, seals: seals) }

    @Test func aScriptThatIsWrongFails() async throws {
        let text = """
            load
              {app="a"} "x {{.i}}" @ 10s [repeat every 10s for 2] # twice

            eval instant at 1m count_over_time({app="a"} [1m]) # right
              {app="a"} 2
            eval instant at 1m count_over_time({app="a"} [1m])
              {app="a"} 3
            eval instant at 1m 1 +
            eval instant at 1m 1 +
              expect fail msg: unexpected $end
            eval range from 0s to 1m step 1m {app="a"}
              {app="a"}
                "x 0" @ 10s
            """
        let outcome = try await outcome(text, file: "wrong.logqltest")
        #expect(outcome.passed == 2)
        #expect(
            outcome.failures.map(\.description) == [
                "wrong.logqltest:6: count_over_time({app=\"a\"} [1m])\n    expected 3 for {app=\"a\"}, got 2",
                "wrong.logqltest:8: 1 +\n    unexpected error: 1:4: parse error: syntax error: unexpected $end",
                "wrong.logqltest:11: {app=\"a\"}\n    {app=\"a\"}: expected \"x 0\" @ 10s, "
                    + "got \"x 0\" @ 10s, \"x 1\" @ 20s",
            ])
    }

    @Test(arguments: [
        ("load\n  {app=\"a\"} \"x\n", 2), ("clear\n\nlaod\n", 3), ("load\n  {app=\"a\"} \"x\" @ 1q\n", 2),
        ("eval instant at 1m 1\n  nothing\n", 2), ("eval instant at 1m 1\n  expect everything\n", 2),
    ])
    func aScriptThatCannotBeReadNamesTheLine(text: String, line: Int) async throws {
        let outcome = try await outcome(text, file: "bad.logqltest")
        #expect(outcome.failures.map(\.line) == [line])
    }
}
