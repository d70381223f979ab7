import Disk
import Synchronization
import Telemetry
import TestSupport

@testable import TSDB

/// One seeded life of a database on a failing disk, compared with the model after every few steps.
struct MetricSimulation {
    /// What the lives of all seeds met together.
    struct Coverage {
        var crashes: [String: Int] = [:]
        var events: [String: Int] = [:]

        mutating func add(_ other: Coverage) {
            crashes.merge(other.crashes, uniquingKeysWith: +)
            events.merge(other.events, uniquingKeysWith: +)
        }

        mutating func note(_ event: String, _ count: Int = 1) { if count > 0 { events[event, default: 0] += count } }
    }

    private let syncsAreLies: Bool
    private var generator: SeededGenerator
    private var storage: SimulatedStorage
    private let clock = ManualClock()
    private var options = DatabaseHarness.smallOptions
    private var database: MetricDatabase?
    private var model = MetricModel()
    private var sequences: [DeliveryIdentity.Sender: UInt64] = [:]
    /// A delivery without an answer, which its sender repeats until it has one.
    private var unanswered: [DeliveryIdentity.Sender: SampleBatch] = [:]
    /// Sent without an answer since the last start.
    private var doubts: [SampleBatch] = []
    private(set) var coverage = Coverage()
    /// By instance: the series that its sender lists again and again, as agents do.
    private var keptLists: [String: [SeriesReference]] = [:]
    /// What happened, for the report of a failing seed.
    private(set) var story: [String] = []

    init(seed: UInt64, syncsAreLies: Bool = false) {
        self.syncsAreLies = syncsAreLies
        generator = SeededGenerator(seed: seed)
        storage = SimulatedStorage(seed: seed)
        options.segmentBytes = UInt64(generator.int(in: 1..<8)) << 10
        options.behindMilliseconds = 4000
        options.mergedMilliseconds = 20_000
        storage = SimulatedStorage(seed: seed, plan: plan())
    }

    /// Lives through `steps`; throws at the first difference.
    mutating func run(steps: Int) throws {
        try start()
        for _ in 0..<steps {
            clock.advance(milliseconds: Int64(generator.int(in: 1..<3000)))
            do {
                try step()
            } catch let error as HarnessError {
                throw error
            } catch {
                coverage.note("failed operation")
                story.append("failed: \(error)")
                if storage.crash == nil, generator.oneIn(2) { continue }
                try crash()
            }
            if generator.oneIn(4), storage.crash == nil { try check() }
        }
        if storage.crash != nil { try crash() }
        try check()
        try crash()
        try check()
    }

    private mutating func plan() -> SimulatedStorage.Plan {
        var plan = SimulatedStorage.Plan()
        plan.syncsAreLies = syncsAreLies
        switch generator.int(in: 0..<8) {
        case 0: break
        case 1:
            plan.failingSync = generator.int(in: 1..<60)
            plan.crashAfterFailingSync = generator.oneIn(2)
        case 2: plan.failingWrite = generator.int(in: 1..<60)
        default:
            plan.crashAtOperation = generator.int(in: 1..<200)
            plan.crashMoment = generator.pick(SimulatedStorage.Moment.allCases)
        }
        return plan
    }

    private mutating func step() throws {
        guard let database else { throw HarnessError("no database is open") }
        switch generator.int(in: 0..<40) {
        case 0:
            story.append("seal")
            try database.seal()
        case 1...6:
            story.append("maintain")
            database.maintain()
        case 7: try retain(database)
        case 8: try delete(database)
        case 9: storage.setCapacity(storage.crash == nil ? generator.int(in: 0..<40_000) : 0)
        case 10, 11: storage.setCapacity(1 << 30)
        case 12:
            coverage.note("clean restart")
            try database.close()
            try crash()
        default: try append(database)
        }
    }

    /// One batch, or several that share a write and a sync.
    private mutating func append(_ database: MetricDatabase, isStarting: Bool = false) throws {
        let repeated = Set(unanswered.keys)
        var batches: [SampleBatch] = []
        for _ in 0..<(generator.oneIn(3) ? generator.int(in: 2..<6) : 1) { batches.append(batch(after: batches)) }
        story.append("append \(batches)")
        let answers = Mutex<[Int: Result<AppendReceipt, AppendRefusal>]>([:])
        for (index, batch) in batches.enumerated() {
            database.submit(batch) { result in answers.withLock { $0[index] = result } }
        }
        database.drive()
        coverage.note("shared sync", batches.count - 1)
        var refused: AppendRefusal?
        for (index, batch) in batches.enumerated() {
            switch answers.withLock({ $0[index] }) {
            case .success(let receipt):
                let isRepeated = batch.delivery.map { repeated.contains($0.sender) } ?? false
                try answered(batch, receipt, isStarting ? (isRepeated ? .startingAgain : .starting) : .afterStart)
            case .failure(let refusal):
                coverage.note(isStarting ? "refused append while starting" : "refused append")
                model.doubt(batch)
                doubts.append(batch)
                refused = refusal
            case nil: throw HarnessError("an append was not answered")
            }
        }
        if let refused { throw refused }
    }

    private mutating func answered(
        _ batch: SampleBatch, _ receipt: AppendReceipt, _ moment: MetricModel.Moment
    ) throws {
        coverage.note(receipt.isDuplicate ? "duplicate delivery" : "append")
        if moment != .afterStart { coverage.note("append while starting") }
        coverage.note("rejected sample", receipt.rejections.count)
        story.append("accepted \(receipt.accepted), \(receipt.rejections.map { "\($0.labels) \($0.milliseconds)" })")
        try model.accept(batch, receipt, moment)
        learn(receipt.seriesIDs, of: batch)
        guard let delivery = batch.delivery else { return }
        guard receipt.marks?.synced == delivery.sequence else { throw HarnessError("marks \(receipt)") }
        unanswered[delivery.sender] = nil
    }

    /// The next batch of somebody who is not waiting for an answer already.
    private mutating func batch(after others: [SampleBatch]) -> SampleBatch {
        var batch = scrape()
        guard generator.oneIn(2) else { return batch }
        let lane = generator.pick(DeliveryIdentity.Lane.allCases)
        let sender = DeliveryIdentity.Sender(agent: "\(generator.int(in: 0..<3))", epoch: 1, lane: lane)
        guard !others.contains(where: { $0.delivery?.sender == sender }) else { return batch }
        if let repeated = unanswered[sender] {
            coverage.note("repeated delivery")
            return repeated
        }
        sequences[sender, default: 0] += 1
        batch.delivery = DeliveryIdentity(sender: sender, sequence: sequences[sender] ?? 0)
        unanswered[sender] = batch
        return batch
    }

    /// A few series of a few targets at the present or a little before, times repeated now and then.
    private mutating func scrape() -> SampleBatch {
        var groups: [SampleGroup] = []
        for _ in 0..<generator.int(in: 1..<4) {
            let instance = "\(generator.int(in: 0..<3))"
            var group = SampleGroup(
                target: generator.oneIn(5) ? .empty : Labels(["instance": instance, "job": "node"]))
            let late = generator.oneIn(6) ? generator.int(in: 0..<(generator.oneIn(3) ? 120 : 20)) : 0
            let time = clock.nowMilliseconds / 500 * 500 - Int64(late) * 500
            if !group.target.isEmpty, generator.oneIn(2) {
                listAgain(instance, at: time, in: &group)
            } else {
                for name in 0..<generator.int(in: 1..<6) where !generator.oneIn(5) {
                    group.append(Labels.series("m\(name)", instance: instance), milliseconds: time, value: value())
                }
            }
            groups.append(group)
        }
        return SampleBatch(groups: groups)
    }

    private mutating func value() -> Double {
        generator.oneIn(12)
            ? Double(bitPattern: generator.pick(ColumnGenerator.special)) : Double(generator.int(in: 0..<100))
    }

    /// A sample of all series of an instance or of some, listed by the very array of the time before.
    private mutating func listAgain(_ instance: String, at time: Int64, in group: inout SampleGroup) {
        group.series =
            keptLists[instance] ?? (0..<6).map { .labels(Labels.series("m\($0)", instance: instance)) }
        group.keepsSeries = keptLists[instance] != nil
        keptLists[instance] = group.series
        let isWhole = generator.oneIn(2)
        for index in group.series.indices where isWhole || generator.oneIn(2) {
            group.seriesIndexes.append(UInt32(index))
            group.timesMilliseconds.append(time)
            group.values.append(value())
        }
    }

    /// Names series by their ids from now on.
    private mutating func learn(_ ids: [[SeriesID]], of batch: SampleBatch) {
        for (group, ids) in zip(batch.groups, ids) where group.keepsSeries {
            if ids.isEmpty {
                coverage.note("list of series known as a whole")
            } else if let instance = group.target["instance"] {
                keptLists[instance] = zip(ids, group.series).map { .known($0, $1.labels) }
            }
        }
    }

    private mutating func retain(_ database: MetricDatabase) throws {
        let keeps = Int64(generator.int(in: 5000..<60_000))
        let cutoff = clock.nowMilliseconds - keeps
        story.append("retention from \(cutoff)")
        model.mayDelete { $1 < cutoff }
        let freed = try database.enforceRetention(
            retentionMilliseconds: keeps, nowMilliseconds: clock.nowMilliseconds)
        coverage.note("retention", freed > 0 ? 1 : 0)
    }

    private mutating func delete(_ database: MetricDatabase) throws {
        let name = "m\(generator.int(in: 0..<6))"
        let end = clock.nowMilliseconds - Int64(generator.int(in: 0..<10_000))
        let range = TimeRange(startMilliseconds: end - 5000, endMilliseconds: end)
        story.append("delete \(name) in \(range)")
        func isDeleted(_ labels: Labels, _ time: Int64) -> Bool { labels.metricName == name && range.contains(time) }
        model.mayDelete(isDeleted)
        let touched = try database.delete(matching: [.equal("__name__", name)], range: range)
        model.delete(isDeleted)
        coverage.note("delete", touched > 0 ? 1 : 0)
    }

    /// The machine dies, or only the process; the next one opens what is left, dying again perhaps.
    private mutating func crash() throws {
        note(storage.crash)
        if let database {
            coverage.note("flush", database.counters.flushes.load(ordering: .relaxed))
            coverage.note("backfill", database.counters.backfillBlocks.load(ordering: .relaxed))
            coverage.note("merge", database.counters.merges.load(ordering: .relaxed))
        }
        database = nil
        let ending = generator.pick(SimulatedStorage.Ending.allCases)
        coverage.note("\(ending)")
        story.append("\(ending) after \(storage.crash.map { "\($0)" } ?? "no crash")")
        storage = storage.survivors(of: ending, plan: plan())
        try start()
        let found = try contents()
        story.append("opened with \(database?.findings ?? []), \(database?.ingestHealth ?? .ready)")
        try model.check(found)
        // A log that failed while it was opened may show what is not durable; it takes and repeats nothing.
        guard database?.ingestHealth == .ready else { return coverage.note("opened for reading only") }
        model.settle(found)
        // What was not answered since may still come.
        for batch in doubts { model.doubt(batch) }
    }

    /// Opens the database and lets it read the log back, at once or in steps between which appends go on and the
    /// process dies.
    private mutating func start() throws {
        try open()
        while let database {
            do {
                if try database.readBack(records: generator.int(in: 1..<12)) { break }
                expectStarting(database)
                if generator.oneIn(2) { try append(database, isStarting: true) }
                if generator.oneIn(12) { try retain(database) }
                if generator.oneIn(16) { storage.setCapacity(storage.crash == nil ? generator.int(in: 0..<40_000) : 0) }
                if generator.oneIn(20) { throw AppendRefusal(.unavailable, "the process is killed") }
            } catch let error as HarnessError {
                throw error
            } catch {
                story.append("while starting: \(error)")
                // Without a crash a refusal changes nothing.
                if storage.crash == nil, generator.oneIn(2) { continue }
                coverage.note("crash while starting")
                note(storage.crash)
                if generator.oneIn(4) { try? database.close() }
                storage = storage.survivors(
                    of: generator.pick(SimulatedStorage.Ending.allCases),
                    plan: generator.oneIn(3) ? plan() : SimulatedStorage.Plan())
                try open()
            }
        }
        let replayed = database?.counters.samplesReplayed.load(ordering: .relaxed) ?? 0
        coverage.note("replayed sample", replayed)
        try expectNoQuarantine()
    }

    private func expectStarting(_ database: MetricDatabase) {
        let request = SeriesRequest(matchers: [], range: .all)
        let answer = try? database.select(request, in: QueryContext(clock: clock))
        precondition(answer == nil, "a part of the samples was taken for all of them")
    }

    private func expectNoQuarantine() throws {
        if let quarantine = database?.quarantine, !quarantine.isEmpty {
            throw HarnessError("quarantine: \(quarantine)")
        }
    }

    private mutating func note(_ crash: (operation: SimulatedStorage.Operation, moment: SimulatedStorage.Moment)?) {
        guard let crash else { return }
        coverage.crashes["\(crash.operation.rawValue) \(crash.moment.rawValue)", default: 0] += 1
    }

    private mutating func open() throws {
        options.reading = generator.oneIn(2) ? .stepwise : .beforeReturning
        doubts = []
        for _ in 0..<20 {
            do {
                let opened = try MetricDatabase.open(
                    storage: storage, folder: DatabaseHarness.folder, options: options, wallClock: clock)
                database = opened
                return try expectNoQuarantine()
            } catch let error as HarnessError {
                throw error
            } catch {
                coverage.note("failed open")
                story.append("failed open: \(error)")
                note(storage.crash)
                storage = storage.survivors(of: generator.pick(SimulatedStorage.Ending.allCases))
            }
        }
        throw HarnessError("the database does not open")
    }

    private func contents() throws -> [Labels: [Int64: UInt64]] {
        guard let database else { return [:] }
        let context = QueryContext(clock: clock)
        let found = try DatabaseHarness.samples(of: database, [], range: .all, in: context)
        guard context.warnings.isEmpty else { throw HarnessError("\(context.warnings)") }
        return found
    }

    private mutating func check() throws {
        coverage.note("check")
        if storage.crash == nil { try model.check(try contents()) }
    }
}
