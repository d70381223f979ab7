internal import Foundation
internal import Query
internal import Telemetry
internal import TestSupport
internal import Testing

/// Runs Prometheus' own scripts, where they lie beside the repository.
struct UpstreamScriptTests {
    static let folder = "../shared/conformance/promql"

    @Test func theUpstreamScriptsHold() async throws {
        let folder = ProcessInfo.processInfo.environment["VEDETTE_CONFORMANCE"] ?? UpstreamScriptTests.folder
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
        var passed = 0
        var failures: [ScriptRunner.Failure] = []
        for name in names where name.hasSuffix(".test") {
            let text = try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
            let runner = ScriptRunner(clock: ManualClock()) { MemorySeriesSource() }
            let outcome = try await runner.run(text, file: name)
            FileHandle.standardError.write(
                Data("\(name): \(outcome.passed) passed, \(outcome.failed) failed\n".utf8))
            passed += outcome.passed
            failures += outcome.failures
        }
        for failure in failures { FileHandle.standardError.write(Data("\(failure)\n".utf8)) }
        FileHandle.standardError.write(Data("\(passed) passed, \(failures.count) failed\n".utf8))
    }
}
