internal import Disk
internal import Synchronization
internal import TSDB
internal import Telemetry
internal import TestSupport

/// Damages the files of a metric database at random and opens it: what is read must be what was written, and what is
/// not read must be told.
struct MetricBlockFuzzer: Fuzzer {
    static let name = "metric-block"

    static func run(seed: UInt64, events: Int) throws {
        var generator = SeededGenerator(seed: seed)
        var event = 0
        while event < events {
            do {
                let victim = try DamagedMetrics(seed: generator.next())
                // Writing is the slow part: each database is damaged in several ways.
                for _ in 0..<20 where event < events {
                    try victim.damageAndCheck(seed: generator.next())
                    event += 1
                }
            } catch {
                throw FuzzFinding(seed: seed, event: event, "\(error)")
            }
        }
    }
}

/// A database of a few sealed blocks, and what is in it.
struct DamagedMetrics {
    private struct Finding: Error, CustomStringConvertible {
        let description: String
    }

    private static let folder = "metrics"

    private let storage: SimulatedStorage
    private let clock = ManualClock()
    private let options: MetricDatabaseOptions
    private let written: [Labels: [Int64: UInt64]]
    private let files: [String: [UInt8]]

    /// Writes a database.
    init(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        storage = SimulatedStorage(seed: seed)
        var options = MetricDatabaseOptions()
        options.driving = .manual
        options.reserveBytes = 1 << 10
        self.options = options
        let database = try MetricDatabase.open(
            storage: storage, folder: Self.folder, options: options, wallClock: clock)
        let series = generator.int(in: 1..<12)
        var time = clock.nowMilliseconds - 1_000_000
        for _ in 0..<generator.int(in: 1..<4) {
            for _ in 0..<generator.int(in: 1..<40) {
                time += Int64(generator.int(in: 1..<2000))
                database.submit(Self.batch(series, at: time, using: &generator)) { _ in }
                database.drive()
            }
            try database.seal()
        }
        try database.close()
        written = try Self.read(storage, options, clock).samples
        var files: [String: [UInt8]] = [:]
        for entry in try storage.list("\(Self.folder)/blocks") {
            let path = "\(Self.folder)/blocks/\(entry.name)"
            files[path] = storage.bytes(of: path)
        }
        self.files = files
        guard !files.isEmpty, !written.isEmpty else { throw Finding(description: "nothing was written") }
    }

    private static func batch(_ series: Int, at time: Int64, using generator: inout SeededGenerator) -> SampleBatch {
        var group = SampleGroup(target: Labels(["job": "fuzz"]))
        for number in 0..<series where !generator.oneIn(9) {
            let labels = Labels(["__name__": "m\(number)", "job": "fuzz"])
            let bits =
                switch number % 4 {
                case 0: Double(generator.int(in: 0..<1000)).bitPattern
                case 1: generator.next()
                case 2: (Double(generator.int(in: 0..<1000)) / 100).bitPattern
                default: generator.oneIn(5) ? Sample.staleBits : 4.bitPattern
                }
            group.append(labels, milliseconds: time, value: Double(bitPattern: bits))
        }
        return SampleBatch(groups: [group])
    }

    /// Damages a copy and reads it.
    func damageAndCheck(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let disk = SimulatedStorage(seed: seed)
        try disk.makeFolder("\(Self.folder)/blocks")
        for (path, bytes) in files.sorted(by: { $0.key < $1.key }) {
            var bytes = bytes
            if generator.oneIn(files.count) { Self.damage(&bytes, using: &generator) }
            disk.replaceBytes(of: path, with: bytes)
        }
        let (samples, isTold) = try Self.read(disk, options, clock)
        for (labels, times) in samples {
            for (time, bits) in times where written[labels]?[time] != bits {
                throw Finding(description: "\(labels) at \(time) has a value that was never written")
            }
        }
        let missing = written.reduce(0) { $0 + $1.value.count - (samples[$1.key]?.count ?? 0) }
        if missing > 0, !isTold { throw Finding(description: "\(missing) samples are missing without a word") }
    }

    private static func damage(_ bytes: inout [UInt8], using generator: inout SeededGenerator) {
        switch generator.int(in: 0..<6) {
        case 0: bytes.removeLast(generator.int(in: 0..<bytes.count) + 1)
        case 1: bytes += generator.bytes(generator.int(in: 1..<100))
        case 2:
            let start = generator.int(in: 0..<bytes.count)
            let end = min(bytes.count, start + generator.int(in: 1..<200))
            bytes.replaceSubrange(start..<end, with: [UInt8](repeating: 0, count: end - start))
        default:
            for _ in 0..<generator.int(in: 1..<4) {
                bytes[generator.int(in: 0..<bytes.count)] ^= UInt8(1 << generator.int(in: 0..<8))
            }
        }
    }

    private static func read(
        _ disk: SimulatedStorage, _ options: MetricDatabaseOptions, _ clock: ManualClock
    ) throws -> (samples: [Labels: [Int64: UInt64]], isTold: Bool) {
        let database: MetricDatabase
        do {
            database = try MetricDatabase.open(storage: disk, folder: folder, options: options, wallClock: clock)
        } catch let error as StorageError where error.detail.contains("version") {
            // A damaged version byte looks like a newer format, which is refused by name.
            return ([:], true)
        }
        defer { try? database.close() }
        let context = QueryContext(clock: clock)
        var samples: [Labels: [Int64: UInt64]] = [:]
        var buffer = SampleBuffer()
        for cursor in try database.select(SeriesRequest(matchers: [], range: .all), in: context) {
            while try cursor.next(into: &buffer) {
                for (time, value) in zip(buffer.timesMilliseconds, buffer.values) {
                    samples[cursor.labels, default: [:]][time] = value.bitPattern
                }
            }
        }
        return (samples, !context.warnings.isEmpty)
    }
}
