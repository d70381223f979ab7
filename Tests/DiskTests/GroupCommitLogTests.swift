internal import Disk
internal import Synchronization
internal import TestSupport
internal import Testing

/// What the writer thread promises its senders.
@Suite struct GroupCommitLogTests {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    func open(
        _ driving: GroupCommitLog.Driving, options: GroupCommitLog.Options = .init()
    ) throws -> GroupCommitLog {
        try GroupCommitLog(
            SegmentedLog(folder: "\(folder.path)/wal", in: SystemStorage()), driving: driving, options: options)
    }

    @Test func manySendersShareTheThread() async throws {
        let log = try open(.thread(name: "test-wal"))
        let positions = try await withThrowingTaskGroup(of: LogPosition.self) { group in
            for number in 0..<500 {
                group.addTask { try await log.append(kind: 1, payload: payload(number)) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(Set(positions).count == 500)
        let frames = try await log.perform { log in try log.read(from: .first) { _ in true }.frames }
        #expect(frames == 500)
        #expect(log.status.records == 500)
        #expect(log.status.syncs <= 500)
        await log.close()
        await #expect(throws: LogAppendError.closed) { try await log.append(kind: 1, payload: []) }
    }

    @Test func answersComeInLogOrderAfterOneSync() throws {
        let log = try open(.manual)
        let answers = Mutex<[LogPosition]>([])
        for number in 0..<20 {
            try log.submit(kind: 1, payload: payload(number)) { result in
                guard case .success(let position) = result else { return }
                answers.withLock { $0.append(position) }
            }
        }
        #expect(answers.withLock { $0.isEmpty })
        #expect(log.runOnce())
        #expect(!log.runOnce())
        #expect(answers.withLock { $0 } == (1...20).map { LogPosition($0) })
        #expect(log.status.syncs == 1)
    }

    @Test func whatIsTooMuchIsRefusedAtOnce() throws {
        var options = GroupCommitLog.Options()
        options.queueBytes = 1000
        let log = try open(.manual, options: options)
        try log.submit(kind: 1, payload: [UInt8](repeating: 1, count: 5000)) { _ in }
        #expect(throws: LogAppendError.overloaded(queuedBytes: log.queuedBytes, maximumBytes: 1000)) {
            try log.submit(kind: 1, payload: [1]) { _ in }
        }
        log.runOnce()
        #expect(log.queuedBytes == 0)
        try log.submit(kind: 1, payload: [1]) { _ in }
        log.closeBlocking()
        #expect(log.status.records == 2)
    }

    @Test func closingAnswersEverythingFirst() throws {
        let log = try open(.thread(name: "test-wal"))
        let answered = Atomic(0)
        for number in 0..<300 {
            try log.submit(kind: 1, payload: payload(number)) { _ in answered.add(1, ordering: .relaxed) }
        }
        log.closeBlocking()
        #expect(answered.load(ordering: .relaxed) == 300)
        log.closeBlocking()
    }

    @Test func workSeesWhatWasSubmittedBeforeAndIsSynced() throws {
        let log = try open(.manual)
        try log.submit(kind: 1, payload: [1]) { _ in }
        let seen = try log.performBlocking { log in
            _ = try log.append(kind: 2, [2])
            return try log.read(from: .first) { _ in true }.frames
        }
        #expect(seen == 2)
        #expect(try log.performBlocking { $0.isSynced })
    }

    @Test func recordsAreEncodedInOrderBehindThePreamble() throws {
        let events = Mutex<[String]>([])
        let log = try open(.manual)
        try log.performBlocking { log in
            log.segmentPreamble = {
                events.withLock { $0.append("preamble") }
                return []
            }
        }
        for number in 0..<3 {
            try log.submit(
                kind: 1, bytes: 1,
                encoding: {
                    events.withLock { $0.append("record \(number)") }
                    return [UInt8(number)]
                }, completion: { _ in })
        }
        log.runOnce()
        #expect(events.withLock { $0 } == ["preamble", "record 0", "record 1", "record 2"])
    }
}
