internal import Disk
internal import Synchronization
internal import Telemetry
internal import Wire

/// Keeps batches on disk until the server has them, and hands them to the forwarder in order. Thread-safe; one thread
/// of its own does the disk work.
final class Spool: Sendable, LineSink {
    /// What the spool is made from.
    struct Setting: Sendable {
        var folder: String
        var storage: any FileStorage
        var policy = SpoolPolicy()
        var wallClock: any WallClock
        var notices: Notices
    }

    /// Something for the spool's thread.
    enum Work: Sendable {
        case batch(DeliveryQueue, AgentBatch.Signal, nanoseconds: Int64, ticket: UInt64, bytes: Int)
        case frames(DeliveryQueue, Outbox.Entry, CheckedContinuation<AgentFrames?, any Error>)
        case declarations(DeliveryQueue, Outbox.Entry, CheckedContinuation<[[UInt8]], any Error>)
        case keepRejected(DeliveryQueue, Outbox.Entry, reason: String)
    }

    /// What the threads share.
    struct Shared: Sendable {
        var incoming: [Work] = []
        var incomingBytes = 0
        var outboxes = DeliveryQueue.allCases.map { Outbox($0) }
        var cache: [[UInt64: AgentFrames]] = DeliveryQueue.allCases.map { _ in [:] }
        var cacheBytes = 0
        var waiters: [Int: CheckedContinuation<Outbox.Entry?, Never>] = [:]
        var lastTicket: UInt64 = 0
        var acceptsLines = true
        var isClosed = false
        var statistics = SpoolStatistics()
    }

    let shared = Mutex(Shared())
    let waker = Waker()
    let setting: Setting
    /// What the disk does not take.
    let direct = DirectLane()
    private let onSettled = Mutex<(@Sendable (UInt64) -> Void)?>(nil)
    private let onRoom = Mutex<(@Sendable () -> Void)?>(nil)

    /// What may wait for the disk; more samples are dropped and counted, lines stay in their files.
    static let incomingBytesMaximum = 32 << 20
    /// Batches kept in memory so that the usual case reads nothing back.
    static let cacheBytesMaximum = 8 << 20

    /// A spool; `SpoolWorker` does its disk work.
    init(_ setting: Setting) {
        self.setting = setting
    }

    /// Calls `listener` with the ticket of each batch that the server has.
    func whenSettled(_ listener: @escaping @Sendable (UInt64) -> Void) {
        onSettled.withLock { $0 = listener }
    }

    /// Calls `listener` when lines are taken again.
    func whenAccepting(_ listener: @escaping @Sendable () -> Void) { onRoom.withLock { $0 = listener } }

    /// Tells the listener that lines are taken again.
    func tellRoom() { onRoom.withLock { $0 }?() }

    var isAcceptingLines: Bool {
        shared.withLock { $0.acceptsLines && !$0.isClosed && $0.incomingBytes < Self.incomingBytesMaximum / 4 }
    }

    /// Takes lines; the ticket is reported as settled once they are stored.
    func submit(_ batch: LogBatch) -> UInt64 {
        let bytes = batch.streams.reduce(256) { $0 + $1.bytes.count + $1.count * 24 }
        return submit(.lines, .lines(batch), bytes)
    }

    /// Takes samples. Urgent ones travel with the events.
    func submit(_ batch: SampleBatch, isUrgent: Bool) {
        let bytes = batch.sampleCount * 20 + 256
        _ = submit(isUrgent ? .events : .samples, .samples(batch, isUrgent: isUrgent), bytes)
    }

    /// Takes events.
    func submit(_ events: [HostEvent]) {
        guard !events.isEmpty else { return }
        _ = submit(.events, .events(events), events.count * 512)
    }

    private func submit(_ queue: DeliveryQueue, _ signal: AgentBatch.Signal, _ bytes: Int) -> UInt64 {
        let now = setting.wallClock.nowNanoseconds
        let ticket: UInt64? = shared.withLock { shared in
            if shared.incomingBytes > Self.incomingBytesMaximum, queue == .samples {
                shared.statistics.droppedBatches += 1
                return nil
            }
            shared.lastTicket += 1
            shared.incoming.append(
                .batch(queue, signal, nanoseconds: now, ticket: shared.lastTicket, bytes: bytes))
            shared.incomingBytes += bytes
            return shared.lastTicket
        }
        guard let ticket else {
            setting.notices.say(
                .warning, about: "spool overload",
                "the disk of \(setting.folder) is slower than the samples that come; some are dropped and counted")
            return 0
        }
        waker.wake()
        return ticket
    }

    /// Lets the worker write what waits, then ends it.
    func close() {
        shared.withLock { $0.isClosed = true }
        direct.close()
        waker.wake()
    }

    /// The batch that waits longest to be written; nil when none does.
    var firstWaitingTicket: UInt64? {
        shared.withLock { shared in
            for case .batch(_, _, nanoseconds: _, ticket: let ticket, bytes: _) in shared.incoming { return ticket }
            return nil
        }
    }

    /// How the spool is.
    var statistics: SpoolStatistics {
        shared.withLock { shared in
            var statistics = shared.statistics
            statistics.pendingBatches = shared.outboxes.map(\.pendingCount)
            statistics.oldestNanoseconds = shared.outboxes.map(\.oldestNanoseconds)
            statistics.sentBatches += direct.sentBatches
            return statistics
        }
    }

    /// Tells the listener which batches the server has now.
    func settle(_ entries: [Outbox.Entry]) {
        guard let listener = onSettled.withLock({ $0 }) else { return }
        for entry in entries where entry.ticket != 0 { listener(entry.ticket) }
    }
}

/// What the forwarder asks.
extension Spool {
    /// The next batch of a queue, as soon as there is one; nil when the spool is closed or the task is cancelled.
    func next(_ queue: DeliveryQueue) async -> Outbox.Entry? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer: Outbox.Entry?? = shared.withLock { shared in
                    if shared.isClosed || Task.isCancelled { return .some(nil) }
                    if let next = shared.outboxes[queue.rawValue].next { return next }
                    shared.waiters[queue.rawValue] = continuation
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            shared.withLock { $0.waiters.removeValue(forKey: queue.rawValue) }?.resume(returning: nil)
        }
    }

    /// A batch's frames, from memory or from disk; nil when it was given up meanwhile.
    func frames(of entry: Outbox.Entry, in queue: DeliveryQueue) async throws -> AgentFrames? {
        if let cached = shared.withLock({ $0.cache[queue.rawValue][entry.position] }) { return cached }
        return try await withCheckedThrowingContinuation { continuation in
            enqueue(.frames(queue, entry, continuation)) { continuation.resume(returning: nil) }
        }
    }

    /// Everything declared in a batch's segment up to it: for a server that knows none of it.
    func declarations(for entry: Outbox.Entry, in queue: DeliveryQueue) async throws -> [[UInt8]] {
        try await withCheckedThrowingContinuation { continuation in
            enqueue(.declarations(queue, entry, continuation)) { continuation.resume(returning: []) }
        }
    }

    /// The server has everything of the entry's lane up to `marks.synced`.
    func stored(_ entry: Outbox.Entry, in queue: DeliveryQueue, _ marks: DeliveryMarks) {
        let done = shared.withLock { shared in
            let done = shared.outboxes[queue.rawValue].stored(entry.lane, epoch: entry.epoch, marks)
            for entry in done { shared.forget(entry, queue) }
            shared.statistics.sentBatches += UInt64(done.count)
            return done
        }
        settle(done)
    }

    /// The server can never store the entry.
    func setAside(_ entry: Outbox.Entry, in queue: DeliveryQueue, reason: String) {
        shared.withLock { shared in
            shared.outboxes[queue.rawValue].setAside(entry)
            shared.statistics.refusedBatches += 1
        }
        enqueue(.keepRejected(queue, entry, reason: reason)) {}
        settle([entry])
    }

    /// The server did not answer for this queue.
    func failed(_ queue: DeliveryQueue) { shared.withLock { $0.outboxes[queue.rawValue].failed() } }

    private func enqueue(_ work: Work, orElse refuse: () -> Void) {
        let isClosed = shared.withLock { shared in
            if !shared.isClosed { shared.incoming.append(work) }
            return shared.isClosed
        }
        isClosed ? refuse() : waker.wake()
    }
}

extension Spool.Shared {
    /// Keeps a batch's frames in memory while there is room.
    mutating func remember(_ frames: AgentFrames, _ entry: Outbox.Entry, _ queue: DeliveryQueue) {
        guard cacheBytes + entry.bytes <= Spool.cacheBytesMaximum else { return }
        cache[queue.rawValue][entry.position] = frames
        cacheBytes += entry.bytes
    }

    /// Lets go of a batch's frames.
    mutating func forget(_ entry: Outbox.Entry, _ queue: DeliveryQueue) {
        if cache[queue.rawValue].removeValue(forKey: entry.position) != nil { cacheBytes -= entry.bytes }
    }

    /// The waiters for whom there is something now.
    mutating func ready() -> [(CheckedContinuation<Outbox.Entry?, Never>, Outbox.Entry)] {
        waiters.keys.sorted().compactMap { key in
            guard let next = outboxes[key].next, let waiter = waiters.removeValue(forKey: key) else { return nil }
            return (waiter, next)
        }
    }
}

/// The spool's own counters.
struct SpoolStatistics: Sendable, Equatable {
    var sentBatches: UInt64 = 0
    var droppedBatches: UInt64 = 0
    var refusedBatches: UInt64 = 0
    var givenUpBatches: UInt64 = 0
    var givenUpLines: UInt64 = 0
    /// By queue: events, samples, lines.
    var bytesOnDisk: [UInt64] = [0, 0, 0]
    var pendingBatches: [Int] = [0, 0, 0]
    /// When the oldest batch that waits was made.
    var oldestNanoseconds: [Int64?] = [nil, nil, nil]
}
