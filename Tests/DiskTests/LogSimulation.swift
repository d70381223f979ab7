internal import Disk
internal import Synchronization
internal import TestSupport

/// Some lives of one log on a simulated disk: each appends, syncs, rotates and cuts until something goes wrong; the
/// next one opens what is left and compares it with the model. The same seed does the same thing on any machine.
struct LogSimulation {
    /// How the log is used; only the first may pass.
    enum Honesty: Sendable {
        case honest
        /// Acknowledges without a sync.
        case skipsSync
        /// The disk answers syncs without doing them.
        case lyingDisk
    }

    private let honesty: Honesty
    private var generator: SeededGenerator
    private var storage: SimulatedStorage
    private var model = LogModel()
    private var coverage = LogCoverage()
    private var options: SegmentedLog.Options

    /// Runs the lives of `seed` and returns what they met; throws `FuzzFinding` when a promise was broken.
    static func run(seed: UInt64, honesty: Honesty = .honest) throws -> LogCoverage {
        var simulation = LogSimulation(seed: seed, honesty: honesty)
        var life = 0
        do {
            while life < 4 {
                try simulation.live()
                life += 1
            }
            try simulation.finish()
        } catch let broken as Broken {
            throw FuzzFinding(seed: seed, event: life, broken.description)
        }
        return simulation.coverage
    }

    private init(seed: UInt64, honesty: Honesty) {
        self.honesty = honesty
        generator = SeededGenerator(seed: seed)
        let salts = Mutex(SeededGenerator(seed: ~seed))
        options = SegmentedLog.Options(
            segmentBytes: UInt64(generator.int(in: 256..<4096)), growthBytes: UInt64(generator.pick([0, 256, 4096])),
            salt: { salts.withLock { $0.next() } })
        storage = SimulatedStorage(seed: generator.next())
    }

    /// One life: until the plan's crash, the sync that fails, or a good end.
    private mutating func live() throws {
        storage = storage.survivors(of: nextEnding(), plan: nextPlan())
        do {
            let log = try SegmentedLog(folder: "data/wal", in: storage, options: options)
            try model.verify(log, afterCrash: true)
            coverage.note(log.recovery)
            log.segmentPreamble = generator.oneIn(2) ? { [LogModel.preamble] } : nil
            let steps = generator.int(in: 1..<40)
            if generator.oneIn(3) { try commitInGroups(log, steps: steps) } else { try drive(log, steps: steps) }
        } catch let error as StorageError {
            guard storage.crash != nil || error.kind == .noSpace else {
                throw Broken("refused for no reason: \(error)")
            }
        }
        coverage.note(storage)
    }

    /// The last opening has a disk without faults, and everything must be well again.
    private mutating func finish() throws {
        let last = storage
        storage = storage.survivors(of: nextEnding(), plan: SimulatedStorage.Plan())
        coverage.tears.add(last.tears)
        let log = try SegmentedLog(folder: "data/wal", in: storage, options: options)
        try model.verify(log, afterCrash: true)
        let records = [LogRecord(kind: 1, payload: Array("the last one".utf8))]
        try model.appended(records, at: try log.append(records))
        try log.sync()
        model.acknowledgeAll()
        try model.verify(SegmentedLog(folder: "data/wal", in: storage, options: options), afterCrash: true)
        coverage.promised += model.promised
    }

    private mutating func drive(_ log: SegmentedLog, steps: Int) throws {
        for _ in 0..<steps {
            do {
                try step(log)
            } catch let error as StorageError {
                if storage.crash != nil { return }
                if log.poison != nil { return try afterPoison(log) }
                // A refused write leaves no trace and the log goes on: with a full disk, after somebody made room.
                guard error.kind == .noSpace || error.kind == .inputOutput else { throw error }
                if generator.oneIn(2) { storage.setCapacity(1 << 30) }
            }
        }
    }

    private mutating func step(_ log: SegmentedLog) throws {
        switch generator.int(in: 0..<16) {
        case 0..<9: try append(log, nextRecords())
        case 9..<13: try sync(log)
        case 13:
            try log.rotate()
            model.acknowledgeAll()
        case 14:
            let span = log.endPosition.ordinal - log.firstPosition.ordinal
            let position = log.firstPosition.advanced(by: UInt64(generator.int(in: 0..<Int(span) + 1)))
            model.cut(before: position)
            try log.cut(before: position)
        default: try model.verify(log, afterCrash: false)
        }
    }

    private mutating func append(_ log: SegmentedLog, _ records: [LogRecord]) throws {
        do {
            try model.appended(records, at: try log.append(records))
        } catch let error as StorageError {
            if storage.crash != nil || log.poison != nil { model.leftOpen(records) }
            throw error
        }
    }

    private mutating func sync(_ log: SegmentedLog) throws {
        if honesty != .skipsSync { try log.sync() }
        model.acknowledgeAll()
    }

    /// A poisoned log refuses to write and still gives back everything that was acknowledged.
    private mutating func afterPoison(_ log: SegmentedLog) throws {
        coverage.poisoned += 1
        guard (try? log.append(kind: 1, [1])) == nil else { throw Broken("a poisoned log took a record") }
        guard (try? log.sync()) == nil else { throw Broken("a poisoned log answered a sync") }
        try model.verify(log, afterCrash: false)
    }

    private mutating func commitInGroups(_ log: sending SegmentedLog, steps: Int) throws {
        var options = GroupCommitLog.Options()
        options.batchBytes = generator.int(in: 1..<600)
        let group = try GroupCommitLog(log, driving: .manual, options: options)
        for _ in 0..<steps where storage.crash == nil && group.status.poison == nil {
            let answers = Mutex<[Result<LogPosition, LogAppendError>]>([])
            let records = nextRecords()
            for record in records {
                try group.submit(kind: record.kind, payload: record.payload) { answer in
                    answers.withLock { $0.append(answer) }
                }
            }
            group.runOnce()
            try settle(records, answers.withLock { $0 }, isOver: storage.crash != nil || group.status.poison != nil)
            if generator.oneIn(4) { storage.setCapacity(1 << 30) }
        }
        coverage.groupCommits += 1
    }

    /// Acknowledged records become promises; refused ones must not be there, unless the run is over.
    private mutating func settle(
        _ records: [LogRecord], _ answers: [Result<LogPosition, LogAppendError>], isOver: Bool
    ) throws {
        guard records.count == answers.count else {
            throw Broken("\(answers.count) answers to \(records.count) records")
        }
        var failed: [LogRecord] = []
        for (record, answer) in zip(records, answers) {
            switch answer {
            case .success(let position): try model.appended([record], at: position)
            case .failure: failed.append(record)
            }
        }
        model.acknowledgeAll()
        if isOver, !failed.isEmpty { model.leftOpen(failed) }
    }

    private mutating func nextRecords() -> [LogRecord] {
        (0..<generator.int(in: 1..<5)).map { _ in
            LogRecord(
                kind: UInt8(generator.int(in: 0..<255)),
                payload: generator.bytes(generator.oneIn(4) ? generator.int(in: 0..<300) : generator.int(in: 0..<24)))
        }
    }

    private mutating func nextEnding() -> SimulatedStorage.Ending { generator.oneIn(4) ? .kill : .powerCut }

    private mutating func nextPlan() -> SimulatedStorage.Plan {
        var plan = SimulatedStorage.Plan()
        plan.syncsAreLies = honesty == .lyingDisk
        if !generator.oneIn(4) { plan.crashAtOperation = generator.int(in: 1..<(generator.oneIn(2) ? 12 : 80)) }
        plan.crashMoment = generator.pick(SimulatedStorage.Moment.allCases)
        if generator.oneIn(4) {
            plan.failingSync = generator.int(in: 1..<12)
            plan.crashAfterFailingSync = generator.oneIn(2)
        }
        if generator.oneIn(5) { plan.failingWrite = generator.int(in: 1..<30) }
        if generator.oneIn(4) { plan.capacityBytes = generator.int(in: 200..<12_000) }
        return plan
    }
}
