internal import Foundation
internal import Query
internal import Telemetry
internal import TestSupport
internal import Testing

/// Runs PromQL scripts: our own beside this file, and Prometheus' own where they lie beside the repository.
struct ScriptTests {
    /// Our own scripts.
    static let scripts: [String] = {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Scripts")
        return paths(in: folder.path, suffix: ".test")
    }()

    /// The folder with the upstream suites.
    static let conformance = (ProcessInfo.processInfo.environment["VEDETTE_SHARED"] ?? "../shared") + "/conformance"

    /// Prometheus' scripts; none where the folder is absent.
    static let upstream: [String] = paths(in: conformance + "/promql", suffix: ".test")

    /// The files of a folder whose names end so; none where it is absent.
    static func paths(in folder: String, suffix: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { $0.hasSuffix(suffix) }.sorted().map { "\(folder)/\($0)" }
    }

    private func run(_ path: String) async throws -> ScriptRunner.Outcome {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let runner = ScriptRunner(clock: ManualClock()) { MemorySeriesSource() }
        return try await runner.run(text, file: URL(fileURLWithPath: path).lastPathComponent)
    }

    @Test(arguments: scripts)
    func ourScriptHolds(path: String) async throws {
        let outcome = try await run(path)
        #expect(outcome.passed > 0)
        #expect(outcome.failures.map(\.description) == [])
    }

    @Test(
        .enabled(if: !upstream.isEmpty, "no ../shared/conformance/promql; VEDETTE_SHARED may name ../shared"),
        arguments: upstream)
    func upstreamScriptHolds(path: String) async throws {
        let outcome = try await run(path)
        #expect(outcome.passed > 0)
        #expect(outcome.failures.map(\.description) == [])
    }

    @Test func aScriptThatIsWrongFails() async throws {
        let runner = ScriptRunner(clock: ManualClock()) { MemorySeriesSource() }
        let text = """
            load 1m
              a 1 2 3

            eval instant at 1m a
              a 2

            eval instant at 1m a
              a 3

            eval instant at 1m b +
            """
        let outcome = try await runner.run(text, file: "wrong.test")
        #expect(outcome.passed == 1)
        #expect(
            outcome.failures.map(\.description) == [
                "wrong.test:7: a\n    expected 3 for a, got 2",
                "wrong.test:10: b +\n    unexpected error: 1:4: parse error: unexpected end of input",
            ])
    }

    @Test func aScriptThatCannotBeReadNamesTheLine() async throws {
        let runner = ScriptRunner(clock: ManualClock()) { MemorySeriesSource() }
        let outcome = try await runner.run("load 1m\n  a 1 2 x\n", file: "bad.test")
        #expect(outcome.failures.map(\.line) == [2])
    }
}
