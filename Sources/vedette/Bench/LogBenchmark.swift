internal import Disk
internal import Telemetry

/// Durable appends: the segmented log with group commit beside a bare write and fdatasync of the same bytes.
enum LogBenchmark: Benchmark {
    static let name = "log"
    static let about = "records a second that are on disk when acknowledged, beside a bare write + fdatasync"
    private static let recordBytes = 1_024
    private static let rounds = 200
    private static let writers = 64

    static func run(in folder: String) async throws -> [(what: String, figure: String)] {
        let clock = SystemMonotonicClock()
        let payload = [UInt8](repeating: 7, count: recordBytes)
        let bare = try await BlockingWork.perform { try bareNanoseconds(folder, payload, clock) }
        let log = try GroupCommitLog(
            SegmentedLog(folder: "\(folder)/log", in: SystemStorage()), driving: .thread(name: "bench"))
        let start = clock.nowNanoseconds
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<writers {
                group.addTask { for _ in 0..<rounds { _ = try await log.append(kind: 1, payload: payload) } }
            }
            try await group.waitForAll()
        }
        let nanoseconds = clock.nowNanoseconds - start
        let status = log.status
        await log.close()
        let records = writers * rounds
        let each = Double(nanoseconds) / Double(records)
        return [
            ("bare write + fdatasync", "\(BenchText.rate(1e9 / bare)) records/s, one writer"),
            ("group commit, \(writers) writers", "\(BenchText.rate(1e9 / each)) records/s"),
            ("records per sync", BenchText.rate(Double(records) / Double(max(1, status.syncs)))),
            ("ratio", BenchText.rate(bare / each)),
        ]
    }

    /// Nanoseconds of one bare write and sync.
    private static func bareNanoseconds(
        _ folder: String, _ payload: [UInt8], _ clock: SystemMonotonicClock
    ) throws -> Double {
        let file = try SystemStorage().open("\(folder)/bare", .create)
        let start = clock.nowNanoseconds
        for round in 0..<rounds {
            try payload.withUnsafeBytes { try file.write($0, at: UInt64(round * recordBytes)) }
            try file.dataSync()
        }
        return Double(clock.nowNanoseconds - start) / Double(rounds)
    }
}
