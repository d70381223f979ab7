internal import Disk
internal import Synchronization
internal import Telemetry
internal import TestSupport
internal import Testing

@testable internal import LogStore

/// Damage on disk: never stops a start, never changes a line, is always told.
struct DamageTests {
    let clock = ManualClock()
    let all = LogRequest(matchers: [], range: .all)

    @Test func theFuzzerFindsNothing() throws {
        try LogPartFuzzer.runFromTable()
    }

    private func open(_ storage: SimulatedStorage) throws -> LogDatabase {
        var options = LogStoreOptions()
        options.maintenanceMilliseconds = nil
        return try LogDatabase.open(
            storage: storage, folder: "logs", options: options, wallClock: clock, driving: .manual,
            logOptions: SegmentedLog.Options(growthBytes: 0))
    }

    /// A store with two parts of two streams, closed.
    private func filled() throws -> (storage: SimulatedStorage, answer: [AnsweredLine]) {
        let storage = SimulatedStorage(seed: 1)
        let database = try open(storage)
        for part in 0..<2 {
            for app in ["a", "b"] {
                let lines = (0..<30).map { (clock.nowNanoseconds + Int64($0), "line \(part) \($0) of \(app)") }
                database.submit(LogBatch(Labels(["app": app]), lines)) { _ in }
            }
            database.log.runOnce()
            try database.seal()
        }
        let answer = try database.lines(all, QueryContext(clock: clock))
        try database.close()
        return (storage, answer)
    }

    @Test func everyDamagedByteIsToldOrHarmless() throws {
        let (pristine, answer) = try filled()
        let names = try pristine.list("logs/parts").map { "logs/parts/" + $0.name }
        #expect(names.count == 2 && answer.count == 120)
        let size = pristine.bytes(of: names[0])?.count ?? 0
        var lossy = 0
        for byte in 0..<size {
            let storage = pristine.survivors(of: .kill)
            storage.flipBit(byte % 8, ofByte: byte, in: names[0])
            let database = try open(storage)
            let context = QueryContext(clock: clock)
            let found = try database.lines(all, context)
            if found != answer {
                lossy += 1
                // Whole blocks are missing, and the answer names the file and the time.
                #expect(Set(found.map(\.description)).isSubset(of: answer.map(\.description)), "byte \(byte)")
                #expect(!context.gaps.isEmpty, "byte \(byte)")
                #expect(context.warnings.contains { $0.contains(names[0]) }, "byte \(byte)")
                #expect(!database.quarantine.isEmpty)
            }
            try database.close()
        }
        // Anchors and footers are there twice: only the blocks themselves can lose lines.
        let part = try PartReader(MemoryObject(bytes: pristine.bytes(of: names[0]) ?? []))
        #expect(lossy == part.footer.blocks.reduce(0) { $0 + $1.storedBytes })
    }

    @Test func aPartWithoutAFooterIsSetAside() throws {
        let (storage, answer) = try filled()
        let path = "logs/parts/" + (try storage.list("logs/parts")[0].name)
        storage.replaceBytes(of: path, with: [UInt8](repeating: 7, count: 500))
        for _ in 0..<2 {
            let database = try open(storage)
            let context = QueryContext(clock: clock)
            let found = try database.lines(all, context)
            #expect(found == answer.filter { $0.text.hasPrefix("line 1") })
            #expect(context.gaps.count == 1 && context.warnings.count == 1)
            #expect(database.quarantine.count == 1 && database.quarantine[0].path.hasSuffix(".damaged"))
            #expect(database.queryHealth == .ready && database.ingestHealth == .ready)
            let start = clock.nowNanoseconds + 3_600_000_000_000
            let elsewhere = QueryContext(clock: clock)
            let later = LogTimeRange(startNanoseconds: start, endNanoseconds: start + 1)
            _ = try database.lines(LogRequest(matchers: [], range: later), elsewhere)
            #expect(elsewhere.gaps.isEmpty)
            try database.close()
        }
    }

    @Test func aMediumThatDoesNotReadIsDamageOfThoseBlocks() throws {
        let (storage, answer) = try filled()
        let path = "logs/parts/" + (try storage.list("logs/parts")[1].name)
        storage.makeUnreadable(40..<60, in: path)
        let database = try open(storage)
        let context = QueryContext(clock: clock)
        let found = try database.lines(all, context)
        #expect(found == answer.filter { $0.text != "" && !($0.text.hasPrefix("line 1") && $0.text.hasSuffix("of a")) })
        #expect(context.gaps.map(\.labels) == [Labels(["app": "a"])])
        // The other questions go on too.
        #expect(try database.streams(all, in: QueryContext(clock: clock)).count == 2)
        try database.close()
    }

    @Test func damagedLogRecordsAreAGapAndNoMore() throws {
        let storage = SimulatedStorage(seed: 1)
        var database = try open(storage)
        for number in 0..<5 {
            database.submit(LogBatch(Labels(["app": "a"]), [(clock.nowNanoseconds, "line \(number)")])) { _ in }
            database.log.runOnce()
            clock.advance(milliseconds: 1000)
        }
        try database.close()
        let path = "logs/log/" + (try storage.list("logs/log")[0].name)
        let bytes = try #require(storage.bytes(of: path))
        let place = try #require(bytes.indices.first { bytes[$0...].starts(with: Array("line 2".utf8)) })
        storage.flipBit(0, ofByte: place, in: path)
        database = try open(storage)
        for _ in 0..<2 {
            let context = QueryContext(clock: clock)
            #expect(try database.lines(all, context).map(\.text) == [0, 1, 3, 4].map { "line \($0)" })
            #expect(context.gaps.map(\.reason) == ["1 batches of the write-ahead log are damaged"])
            try database.close()
            database = try open(storage)
        }
        try database.close()
    }

    @Test func aFullDiskRefusesAndRecoversByItself() throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try open(storage)
        let answers = Mutex<[Result<LogReceipt, AppendRefusal>]>([])
        func append(_ text: String) {
            database.submit(LogBatch(Labels(["app": "a"]), [(clock.nowNanoseconds, text)])) { answer in
                answers.withLock { $0.append(answer) }
            }
            database.log.runOnce()
        }
        append("one")
        storage.setCapacity(100)
        append("two")
        guard case .failure(let refusal)? = answers.withLock({ $0.last }) else {
            Issue.record("a full disk took a line")
            return
        }
        #expect(refusal.kind == .unavailable && refusal.retryAfterSeconds != nil)
        guard case .refusing = database.ingestHealth else {
            Issue.record("a full disk is called ready")
            return
        }
        #expect(throws: StorageError.self) { try database.seal() }
        #expect(try database.lines(all, QueryContext(clock: clock)).map(\.text) == ["one"])
        storage.setCapacity(1 << 30)
        append("two")
        #expect(database.ingestHealth == .ready)
        try database.seal()
        #expect(try database.lines(all, QueryContext(clock: clock)).map(\.text) == ["one", "two"])
        try database.close()
    }
}
