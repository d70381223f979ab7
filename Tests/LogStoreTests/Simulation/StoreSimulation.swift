internal import Disk
internal import Synchronization
internal import Telemetry
internal import TestSupport

@testable internal import LogStore

/// Some lives of one store on a simulated disk. Each takes batches, seals, expires and deletes until something goes
/// wrong; the next one opens what is left and compares every answer with the model. The same seed does the same on any
/// machine.
struct StoreSimulation {
    /// How the store's disk behaves; only the first may pass.
    enum Honesty: Sendable {
        case honest
        /// The disk answers syncs without doing them.
        case lyingDisk
    }

    static let retentionMilliseconds: Int64 = 2 * 3_600_000

    var generator: LogGenerator
    var storage: SimulatedStorage
    let clock = ManualClock()
    var model = StoreModel()
    /// What was asked for and not answered in the life before, in order.
    var open: [StoreModel.Open] = []
    /// Batches that a sender has to send again.
    private var unanswered: [LogBatch] = []
    private var stored: [LogBatch] = []
    private var files: [SourceFileModel]
    private var sequences: [UInt64] = [0, 0]
    private var pushes = 0
    var coverage = StoreCoverage()
    private let honesty: Honesty
    private let options: LogStoreOptions
    private let logOptions: SegmentedLog.Options

    /// Runs the lives of `seed`; throws `FuzzFinding` when a promise was broken.
    static func run(seed: UInt64, honesty: Honesty = .honest) throws -> StoreCoverage {
        var simulation = StoreSimulation(seed: seed, honesty: honesty)
        var life = 0
        do {
            while life < 4 {
                try simulation.live(isLast: false)
                life += 1
            }
            try simulation.live(isLast: true)
        } catch let broken as BrokenPromise {
            throw FuzzFinding(seed: seed, event: life, broken.description)
        }
        return simulation.coverage
    }

    private init(seed: UInt64, honesty: Honesty) {
        self.honesty = honesty
        generator = LogGenerator(seed: seed)
        storage = SimulatedStorage(seed: generator.random.next())
        let salts = Mutex(SeededGenerator(seed: ~seed))
        logOptions = SegmentedLog.Options(
            segmentBytes: UInt64(generator.random.int(in: 512..<8192)),
            growthBytes: UInt64(generator.random.pick([0, 0, 2048])),
            salt: { salts.withLock { $0.next() } })
        var options = LogStoreOptions()
        options.maintenanceMilliseconds = nil
        options.retentionMilliseconds = Self.retentionMilliseconds
        options.sealBytes = generator.random.int(in: 500..<6000)
        options.headBytesMaximum = options.sealBytes * 2
        options.sealAgeMilliseconds = 300_000
        options.mergePartsMinimum = generator.random.int(in: 2..<5)
        options.cacheBytesMaximum = generator.random.pick([0, 2000, 1 << 20])
        self.options = options
        files = (0..<3).map { number in
            SourceFileModel(
                Labels(["app": "a\(number % 2)", "file": "f\(number)"]),
                LogOrigin(source: "agent\(number % 2)/f\(number)", generation: 1))
        }
    }

    /// One life: until the plan's crash, the sync that fails, or a good end.
    private mutating func live(isLast: Bool) throws {
        storage = storage.survivors(
            of: generator.random.oneIn(4) ? .kill : .powerCut, plan: isLast ? SimulatedStorage.Plan() : nextPlan())
        do {
            let database = try LogDatabase.open(
                storage: storage, folder: "data/logs", options: options, wallClock: clock, driving: .manual,
                logOptions: logOptions)
            // What opening may do without is not told as a failure; the machine is dead all the same.
            guard storage.crash == nil else { return coverage.note(storage) }
            try settleOpen(database)
            // A sender that got no answer sends again; a store that has the batch already must say so.
            for batch in unanswered where isAlive(database) { try append(database, [batch]) }
            if isAlive(database) { unanswered = [] }
            for _ in 0..<generator.random.int(in: 1..<25) where isAlive(database) { try step(database) }
            if storage.crash == nil, open.isEmpty { try verify(database) }
            try end(database)
        } catch let error as StorageError {
            guard storage.crash != nil || [.noSpace, .inputOutput].contains(error.kind) else {
                throw BrokenPromise("refused for no reason: \(error)")
            }
        }
        coverage.note(storage)
    }

    private func isAlive(_ database: LogDatabase) -> Bool { storage.crash == nil && database.log.status.poison == nil }

    private mutating func end(_ database: LogDatabase) throws {
        if database.log.status.poison != nil {
            coverage.note("a poisoned log")
            guard case .failed = database.ingestHealth else { throw BrokenPromise("a poisoned log is called healthy") }
        } else if storage.crash == nil, generator.random.oneIn(2) {
            try database.close()
            coverage.note("a clean end")
        }
        let value = { (name: String) in
            Int(database.metrics.first { $0.name == "vedette_logs_" + name }?.value ?? 0)
        }
        coverage.note("a part", value("sealed_parts_total"))
        coverage.note("an expired part", value("expired_parts_total"))
        coverage.note("a merged part", value("merged_parts_total"))
        coverage.note("a replayed batch", value("replayed_batches_total"))
    }

    // MARK: Steps

    private mutating func step(_ database: LogDatabase) throws {
        switch generator.random.int(in: 0..<20) {
        case 0..<9: try append(database, (0..<generator.random.int(in: 1..<4)).map { _ in nextBatch() })
        case 9: if let batch = stored.last, !generator.random.oneIn(3) { try append(database, [batch]) }
        case 10..<12: try attempt(database) { try $0.seal() }
        case 12..<15: database.maintain()
        case 15: clock.advance(milliseconds: Int64(generator.random.int(in: 0..<20_000)))
        case 16 where generator.random.oneIn(2):
            // Far enough for seals by age and for the window of pushes to pass.
            clock.advance(milliseconds: Int64(generator.random.int(in: 1_200_000..<4_000_000)))
            // What was pushed before may count as new or not, depending on when it came to lie in a part.
            stored = []
        case 16: try expire(database)
        case 17: try delete(database)
        default: try verify(database)
        }
        if generator.random.oneIn(3) { storage.setCapacity(1 << 30) }
    }

    /// Does something that a full or failing disk may refuse without harm.
    private func attempt(_ database: LogDatabase, _ body: (LogDatabase) throws -> Void) throws {
        do {
            try body(database)
        } catch let error as StorageError {
            let isExcused = storage.crash != nil || database.log.status.poison != nil
            guard isExcused || [.noSpace, .inputOutput].contains(error.kind) else { throw error }
        } catch let error as LogAppendError {
            throw BrokenPromise("the log refused work: \(error)")
        }
    }

    private mutating func expire(_ database: LogDatabase) throws {
        let now = clock.nowMilliseconds
        try attempt(database) {
            _ = try $0.enforceRetention(retentionMilliseconds: Self.retentionMilliseconds, nowMilliseconds: now)
        }
        model.expire(olderThan: (now - Self.retentionMilliseconds) * 1_000_000)
    }

    private mutating func delete(_ database: LogDatabase) throws {
        let now = clock.nowMilliseconds
        let range = TimeRange(
            startMilliseconds: now - Int64(generator.random.int(in: 0..<1000)),
            endMilliseconds: now + Int64(generator.random.int(in: -300..<300)))
        let matchers = [try LabelMatcher("app", .matchesRegex, "a\(generator.random.int(in: 0..<3))")]
        var isDone = false
        try attempt(database) {
            _ = try $0.delete(matching: matchers, range: range)
            isDone = true
        }
        if isDone {
            model.delete(matchers, range)
            coverage.note("a deletion")
        } else if storage.crash != nil {
            open.append(.deletion(matchers, range))
            coverage.note("a deletion that was not answered")
        } else {
            // Refused: a rename that may or may not outlive a power cut is resolved at the next start.
            open.append(.deletion(matchers, range))
            storage.setCapacity(1 << 30)
            storage = storage.survivors(of: .kill)
            throw StorageError(.noSpace, operation: "delete", path: "")
        }
    }

    private mutating func nextBatch() -> LogBatch {
        var batch = LogBatch(streams: [])
        let now = clock.nowNanoseconds
        for _ in 0..<generator.random.int(in: 1..<3) {
            let number = generator.random.int(in: 0..<files.count)
            files[number].grow(&generator, now: now)
            batch.streams.append(files[number].slice(&generator))
        }
        if generator.random.oneIn(3) {
            var lines = LogLines(labels: Labels(["app": "a2", "pushed": "yes"]))
            for _ in 0..<generator.random.int(in: 1..<5) {
                pushes += 1
                let line = generator.line() + Array(" #\(pushes)".utf8)
                lines.append(nanoseconds: SourceFileModel.time(&generator, now), line: line)
            }
            batch.streams.append(lines)
        }
        if generator.random.oneIn(8) {
            let range = LogTimeRange(startNanoseconds: now - 5, endNanoseconds: now + Int64(pushes))
            batch.losses = [
                LogLoss(
                    labels: Labels(["app": "a1"]), origin: nil, range: range, lines: 1, bytes: 2, reason: "spool full")
            ]
            coverage.note("a loss")
        }
        if !generator.random.oneIn(5) {
            let agent = generator.random.int(in: 0..<2)
            sequences[agent] += 1
            batch.delivery = DeliveryIdentity("agent\(agent)", sequences[agent])
        }
        return batch
    }

    /// Submits batches that share a sync and holds every answer against the model.
    private mutating func append(_ database: LogDatabase, _ batches: [LogBatch]) throws {
        let answers = Mutex<[Int: Result<LogReceipt, AppendRefusal>]>([:])
        for (number, batch) in batches.enumerated() {
            database.submit(batch) { answer in answers.withLock { $0[number] = answer } }
        }
        database.log.runOnce()
        let now = clock.nowNanoseconds
        for (number, batch) in batches.enumerated() {
            switch answers.withLock({ $0[number] }) {
            case nil: throw BrokenPromise("a batch got no answer")
            case .success(let receipt):
                try check(receipt, model.apply(batch, nowNanoseconds: now))
                stored.append(batch)
            case .failure(let refusal):
                if refusal.kind == .overloaded {
                    coverage.note("an overload")
                } else if refusal.kind == .malformed {
                    throw BrokenPromise("called malformed: \(refusal)")
                } else if !isAlive(database) {
                    open.append(.batch(batch, nowNanoseconds: now))
                }
                if batch.delivery != nil { unanswered.append(batch) }
            }
        }
    }

    private mutating func check(_ receipt: LogReceipt, _ expected: StoreModel.Receipt) throws {
        let rejected = receipt.rejections.reduce(0) { $0 + $1.lines }
        let found = StoreModel.Receipt(
            accepted: receipt.accepted, duplicates: receipt.duplicates, rejected: rejected,
            isDuplicate: receipt.isDuplicate)
        guard found == expected else { throw BrokenPromise("the receipt is \(found), not \(expected)") }
        coverage.note(found.isDuplicate ? "a stored batch sent again" : "a batch stored")
        if !found.isDuplicate { coverage.note("a line stored before", found.duplicates) }
        coverage.note("a line refused", rejected)
    }

    private mutating func nextPlan() -> SimulatedStorage.Plan {
        var plan = SimulatedStorage.Plan()
        plan.syncsAreLies = honesty == .lyingDisk
        if !generator.random.oneIn(4) {
            plan.crashAtOperation = generator.random.int(in: 1..<(generator.random.oneIn(2) ? 25 : 150))
        }
        plan.crashMoment = generator.random.pick(SimulatedStorage.Moment.allCases)
        if generator.random.oneIn(4) {
            plan.failingSync = generator.random.int(in: 1..<20)
            plan.crashAfterFailingSync = generator.random.oneIn(2)
        }
        if generator.random.oneIn(5) { plan.failingWrite = generator.random.int(in: 1..<40) }
        if generator.random.oneIn(4) { plan.capacityBytes = generator.random.int(in: 1000..<30_000) }
        return plan
    }
}

/// A promise that did not hold.
struct BrokenPromise: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
