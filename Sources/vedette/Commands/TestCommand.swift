internal import ArgumentParser
internal import Disk
internal import Foundation
internal import Query
internal import TSDB
internal import Telemetry

/// `vedette test`: runs scripts through the real engine over a real store.
struct TestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Run query scripts through the real engine over a real store.",
        subcommands: [TestPromQLCommand.self])
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
            try await BlockingWork.perform { try ScriptStore(folder: folders.make()) }
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

/// A store for one script, in a folder of its own: the clock stands so late that no script's time lies in the future,
/// and everything a script loads is in order.
private struct ScriptStore: SampleAppender, SeriesSource {
    private struct EndOfTime: WallClock {
        let nowNanoseconds = Int64.max / 2
    }

    private let database: MetricDatabase

    init(folder: String) throws {
        var options = MetricDatabaseOptions()
        options.behindMilliseconds = .max / 4
        database = try MetricDatabase.open(
            storage: SystemStorage(), folder: folder, options: options, wallClock: EndOfTime())
    }

    func append(_ batch: SampleBatch) async throws -> AppendReceipt { try await database.append(batch) }

    func select(_ request: SeriesRequest, in context: QueryContext) throws -> [any SeriesCursor] {
        try database.select(request, in: context)
    }

    func series(_ request: SeriesRequest, in context: QueryContext) throws -> [Labels] {
        try database.series(request, in: context)
    }

    func labelNames(_ request: SeriesRequest, in context: QueryContext) throws -> [String] {
        try database.labelNames(request, in: context)
    }

    func labelValues(_ name: String, _ request: SeriesRequest, in context: QueryContext) throws -> [String] {
        try database.labelValues(name, request, in: context)
    }

    func metadata(metricName: String?, limit: Int, in context: QueryContext) throws -> [MetricMetadata] {
        try database.metadata(metricName: metricName, limit: limit, in: context)
    }
}

/// Folders for the stores of a run, removed at its end.
private final class ScratchFolders: @unchecked Sendable {
    private let lock = NSLock()
    private var paths: [String] = []

    func make() throws -> String {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("vedette-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        lock.withLock { paths.append(url.path) }
        return url.path
    }

    func remove() {
        for path in lock.withLock({ paths }) { try? FileManager.default.removeItem(atPath: path) }
    }
}
