import Disk
import Telemetry
import TestSupport
import Testing

@testable import TSDB

/// A byte of any file is not what was written, or a file is gone: the database starts, what it answers is right, and
/// what is missing is told.
struct DamageTests {
    /// A database with something in every kind of file, as a process that was killed leaves it.
    private struct Victim {
        var files: [String: [UInt8]] = [:]
        var folders: [String] = []
        let clock: ManualClock
        let options: MetricDatabaseOptions
        /// What it answers.
        var whole: [Labels: [Int64: UInt64]] = [:]
        /// What it would answer had nothing been deleted.
        var beforeDeletion: [Labels: [Int64: UInt64]] = [:]

        init() throws {
            var options = DatabaseHarness.smallOptions
            options.segmentBytes = 16 << 10
            options.logGrowthBytes = 1 << 10
            options.headAgeMilliseconds = .max / 4
            self.options = options
            let harness = try DatabaseHarness(options: options)
            clock = harness.clock
            let now = harness.clock.nowMilliseconds
            func scrape(_ tick: Int, ago: Int64 = 0) throws {
                var group = SampleGroup(target: Labels(["job": "node"]))
                let values = [
                    Double(tick), Double(tick) * 0.1, 4, Double(bitPattern: UInt64(tick) &* 0x9e37_79b9_7f4a_7c15),
                ]
                for (number, value) in values.enumerated() {
                    group.append(
                        .series("m\(number)"), milliseconds: now + Int64(tick) * 1000 - ago, value: value)
                }
                group.exemplars = [
                    ExemplarSample(
                        seriesIndex: 0, milliseconds: now + Int64(tick) * 1000, value: 1,
                        labels: Labels(["trace_id": "\(tick)"]))
                ]
                _ = try harness.append(SampleBatch(groups: [group]))
            }
            for tick in 0..<40 {
                try scrape(tick)
                if tick % 10 == 9 { try harness.database.seal() }
            }
            for tick in 40..<44 { try scrape(tick, ago: 8 * 86_400_000) }
            try harness.database.seal()
            beforeDeletion = try harness.samples()
            let range = TimeRange(startMilliseconds: now + 35_000, endMilliseconds: now + 37_000)
            _ = try harness.database.delete(matching: [.equal("__name__", "m1")], range: range)
            for tick in 44..<50 { try scrape(tick) }
            harness.clock.advance(milliseconds: 60_000)
            collect(harness.storage, "", harness.database)
            whole = try harness.samples()
        }

        private mutating func collect(_ storage: SimulatedStorage, _ folder: String, _ database: MetricDatabase) {
            let here = folder.isEmpty ? DatabaseHarness.folder : folder
            folders.append(here)
            for entry in (try? storage.list(here)) ?? [] {
                let path = StoragePath.join(here, entry.name)
                if entry.isFolder {
                    collect(storage, path, database)
                } else {
                    files[path] = storage.bytes(of: path)
                }
            }
        }

        /// A disk with these files.
        func disk(_ change: (inout [String: [UInt8]]) -> Void) throws -> SimulatedStorage {
            let storage = SimulatedStorage(seed: 1)
            var files = files
            change(&files)
            for folder in folders { try storage.makeFolder(folder) }
            for (path, bytes) in files { storage.replaceBytes(of: path, with: bytes) }
            return storage
        }

        /// Opens a disk and compares; a complaint when something is wrong without a word.
        func complaint(about disk: SimulatedStorage, mayEndEarly: Bool = false) throws -> String? {
            let database: MetricDatabase
            do {
                database = try MetricDatabase.open(
                    storage: disk, folder: DatabaseHarness.folder, options: options, wallClock: clock)
            } catch let error as StorageError where error.detail.contains("version") {
                // A damaged version byte looks like a newer format, which is refused by name.
                return nil
            }
            let context = QueryContext(clock: clock)
            let found = try DatabaseHarness.samples(of: database, [], range: .all, in: context)
            let isTold = !context.warnings.isEmpty
            let isFound = !database.findings.isEmpty
            try database.close()
            for (labels, times) in found {
                for (time, bits) in times where whole[labels]?[time] != bits {
                    if isTold, beforeDeletion[labels]?[time] == bits { continue }
                    return "\(labels) at \(time) has a value that is not its own"
                }
            }
            let last = whole.values.flatMap(\.keys).max()
            for (labels, times) in whole where !isTold && !mayEndEarly {
                // What the end of the log had, nobody can tell from a write that a power cut interrupted.
                for time in times.keys where found[labels]?[time] == nil && !(time == last && isFound) {
                    return "\(labels) at \(time) is missing without a word"
                }
            }
            return nil
        }
    }

    @Test func aFlippedBitInAnyFileIsHarmlessOrTold() throws {
        let victim = try Victim()
        #expect(try victim.complaint(about: victim.disk { _ in }) == nil)
        var generator = SeededGenerator(seed: 5)
        var kinds: Set<String> = []
        for (path, bytes) in victim.files.sorted(by: { $0.key < $1.key }) {
            let used = (bytes.lastIndex { $0 != 0 } ?? -1) + 1
            // Every byte of the small files, every third or so of the others.
            let step = max(1, used / 700)
            kinds.insert(path.split(separator: "/").dropFirst(2).first.map(String.init) ?? path)
            for byte in stride(from: 0, to: used, by: step) {
                let place = min(used - 1, byte + generator.int(in: 0..<step))
                let bit = UInt8(1 << generator.int(in: 0..<8))
                let disk = try victim.disk { $0[path]?[place] ^= bit }
                if let complaint = try victim.complaint(about: disk) {
                    Issue.record("byte \(place) of \(path), bit \(bit): \(complaint)")
                    return
                }
            }
        }
        #expect(kinds.isSuperset(of: ["blocks", "wal", "tombstones", "exemplars", "blocklist"]), "\(kinds)")
    }

    @Test func aFileThatIsGoneOrCutIsToldOrNotNeeded() throws {
        let victim = try Victim()
        var generator = SeededGenerator(seed: 6)
        for path in victim.files.keys.sorted() where !path.hasSuffix("/reserve") {
            if let complaint = try victim.complaint(about: victim.disk { $0[path] = nil }) {
                Issue.record("without \(path): \(complaint)")
            }
            for _ in 0..<40 {
                let disk = try victim.disk { files in
                    let count = files[path]?.count ?? 0
                    files[path]?.removeLast(generator.int(in: 0..<count + 1))
                }
                // A log without its end is what a power cut leaves of an append that was not answered.
                let mayEndEarly = path.contains("/wal/")
                if let complaint = try victim.complaint(about: disk, mayEndEarly: mayEndEarly) {
                    Issue.record("cut \(path): \(complaint)")
                    return
                }
            }
        }
    }

    @Test func deletionsThatAreGoneAreMissedUntilTheyAreRepeatedOrRestored() throws {
        let victim = try Victim()
        let path = try #require(victim.files.keys.first { $0.hasSuffix("/tombstones") })
        let disk = try victim.disk { $0[path] = nil }
        func open() throws -> MetricDatabase {
            try MetricDatabase.open(
                storage: disk, folder: DatabaseHarness.folder, options: victim.options, wallClock: victim.clock)
        }
        for _ in 0..<2 {
            let database = try open()
            #expect(database.quarantine.contains { $0.path == path && $0.reason.contains("1 deletion had") })
            #expect(database.findings.contains { $0.contains(path) })
            let context = QueryContext(clock: victim.clock)
            _ = try DatabaseHarness.samples(of: database, [], range: .all, in: context)
            #expect(context.warnings.contains { $0.contains("1 deletion had") } && !context.gaps.isEmpty)
            try database.close()
        }
        let restored = victim.files[path] ?? []
        disk.replaceBytes(of: path, with: restored)
        #expect(try open().quarantine.isEmpty)
        try disk.remove(path)
        let database = try open()
        #expect(!database.quarantine.isEmpty)
        _ = try database.delete(matching: [.equal("__name__", "m1")], range: .all)
        #expect(database.quarantine.isEmpty)
        try database.close()
        #expect(try open().quarantine.isEmpty)
    }

    @Test func aBlockThatIsGoneIsMissedUntilRetentionWouldHaveDroppedIt() throws {
        let victim = try Victim()
        let block = try #require(victim.files.keys.filter { $0.hasSuffix(".block") }.max())
        let disk = try victim.disk { $0[block] = nil }
        func open() throws -> MetricDatabase {
            try MetricDatabase.open(
                storage: disk, folder: DatabaseHarness.folder, options: victim.options, wallClock: victim.clock)
        }
        for _ in 0..<2 {
            let database = try open()
            #expect(database.quarantine.contains { $0.path == block && $0.reason.contains("is gone") })
            try database.seal()
            try database.close()
        }
        let database = try open()
        let later = victim.clock.nowMilliseconds + 86_400_000
        _ = try database.enforceRetention(retentionMilliseconds: 1000, nowMilliseconds: later)
        #expect(!database.quarantine.contains { $0.path == block })
        try database.close()
        #expect(try open().quarantine.isEmpty)
    }
}
