import Disk
import Synchronization
import Telemetry
import TestSupport

@testable import TSDB

/// Drives a database step by step on a simulated disk: every append is one write and one sync, nothing runs beside it.
struct DatabaseHarness {
    static let folder = "data/metrics"

    let storage: SimulatedStorage
    let clock: ManualClock
    var options: MetricDatabaseOptions
    private(set) var database: MetricDatabase

    init(
        storage: SimulatedStorage = SimulatedStorage(seed: 1), clock: ManualClock = ManualClock(),
        options: MetricDatabaseOptions = DatabaseHarness.smallOptions
    ) throws {
        self.storage = storage
        self.clock = clock
        self.options = options
        database = try MetricDatabase.open(
            storage: storage, folder: Self.folder, options: options, wallClock: clock)
    }

    /// Everything small, so that short tests cross every edge.
    static var smallOptions: MetricDatabaseOptions {
        var options = MetricDatabaseOptions()
        options.driving = .manual
        options.rowsPerChunk = 8
        options.rowsSealedAlong = 6
        options.headBytes = 64 << 10
        options.segmentBytes = 4 << 10
        options.blocksPerMerge = 3
        options.reserveBytes = 4 << 10
        options.pageCacheBytes = 64 << 10
        options.logBytes = 64 << 10
        let counter = Mutex<UInt64>(0)
        options.salt = {
            counter.withLock { counter in
                counter += 1
                return counter &* 0x9e37_79b9_7f4a_7c15
            }
        }
        return options
    }

    /// Appends and waits for the answer.
    func append(_ batch: SampleBatch) throws -> AppendReceipt {
        let answer = Mutex<Result<AppendReceipt, AppendRefusal>?>(nil)
        database.submit(batch) { result in answer.withLock { $0 = result } }
        database.drive()
        guard let result = answer.withLock({ $0 }) else { throw AppendRefusal(.unavailable, "no answer came") }
        return try result.get()
    }

    /// Opens the database anew on the same disk.
    mutating func restart() throws {
        try database.close()
        database = try MetricDatabase.open(
            storage: storage, folder: Self.folder, options: options, wallClock: clock)
    }

    var context: QueryContext { QueryContext(clock: clock) }

    /// All samples that `matchers` select within `range`, as bit patterns by time.
    func samples(
        _ matchers: [LabelMatcher] = [], range: TimeRange = .all, in context: QueryContext? = nil
    ) throws -> [Labels: [Int64: UInt64]] {
        try Self.samples(of: database, matchers, range: range, in: context ?? self.context)
    }

    static func samples(
        of database: MetricDatabase, _ matchers: [LabelMatcher], range: TimeRange, in context: QueryContext
    ) throws -> [Labels: [Int64: UInt64]] {
        var found: [Labels: [Int64: UInt64]] = [:]
        var previous: Labels?
        var buffer = SampleBuffer()
        for cursor in try database.select(SeriesRequest(matchers: matchers, range: range), in: context) {
            if let previous, !(previous < cursor.labels) { throw HarnessError("series are not ordered") }
            previous = cursor.labels
            var last = Int64.min
            while try cursor.next(into: &buffer) {
                guard buffer.timesMilliseconds.count == buffer.values.count, !buffer.values.isEmpty else {
                    throw HarnessError("columns of a chunk differ in length")
                }
                for (time, value) in zip(buffer.timesMilliseconds, buffer.values) {
                    guard time > last || (time == .min && found[cursor.labels] == nil) else {
                        throw HarnessError("times do not rise in \(cursor.labels)")
                    }
                    guard range.contains(time) else { throw HarnessError("a sample outside the range") }
                    last = time
                    found[cursor.labels, default: [:]][time] = value.bitPattern
                }
            }
        }
        return found
    }
}

/// What the harness itself found wrong.
struct HarnessError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

extension Labels {
    /// `name{instance="…", job="…"}`.
    static func series(
        _ name: String, job: String = "node", instance: String = "a", _ more: [String: String] = [:]
    )
        -> Labels
    {
        Labels(more.merging(["__name__": name, "job": job, "instance": instance]) { $1 })
    }
}

extension SampleBatch {
    /// One sample of each series at one time.
    static func scrape(_ values: [(Labels, Double)], at milliseconds: Int64) -> SampleBatch {
        var group = SampleGroup()
        for (labels, value) in values { group.append(labels, milliseconds: milliseconds, value: value) }
        return SampleBatch(groups: [group])
    }
}
