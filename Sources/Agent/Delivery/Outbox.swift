internal import Telemetry
internal import Wire

/// What waits to be sent in one queue, what the server has, and which lane new batches take. Pure: no I/O, no clock.
///
/// Sequences of a lane must arrive in order, so a batch that was tried is tried again before its successors. While the
/// server is away new batches join the backlog lane; once it answers, new ones are live and go ahead of the backlog.
struct Outbox {
    /// A batch in the spool.
    struct Entry: Equatable, Sendable {
        var position: UInt64
        var epoch: UInt64
        var lane: DeliveryIdentity.Lane
        var sequence: UInt64
        var segmentStart: UInt64
        var nanoseconds: Int64
        var bytes: Int
        /// The ticket under which it was submitted; 0 for batches of an earlier run.
        var ticket: UInt64
    }

    private struct Lane {
        /// Not yet stored, in order; the ones before `head` are done with.
        var entries: [Entry] = []
        var head = 0
        /// Stored by the server, but not yet where it is durable for good.
        var stored: [Entry] = []
        /// The last batch that was added.
        var last: Entry?

        /// The last sequence of `epoch` that was added, 0 for none.
        func lastSequence(_ epoch: UInt64) -> UInt64 {
            guard let last, last.epoch == epoch else { return 0 }
            return last.sequence
        }

        var first: Entry? { head < entries.count ? entries[head] : nil }
        var count: Int { entries.count - head }

        mutating func removeFirst() -> Entry? {
            guard let first else { return nil }
            head += 1
            if head > 1024, head * 2 > entries.count {
                entries.removeFirst(head)
                head = 0
            }
            return first
        }
    }

    let queue: DeliveryQueue
    private var lanes: [Lane] = Array(repeating: Lane(), count: DeliveryIdentity.Lane.allCases.count)
    private(set) var pendingBytes = 0
    /// Whether the server did not answer lately, so that what comes now will be old when it is sent.
    private(set) var isBehind = false

    /// More than this waiting in the live lane means that it is not live any more.
    static let liveEntriesMaximum = 30

    /// An empty outbox.
    init(_ queue: DeliveryQueue) {
        self.queue = queue
    }

    /// The lane that a new batch takes.
    var laneForNew: DeliveryIdentity.Lane {
        if queue == .events { return .event }
        return isBehind || lanes[Int(DeliveryIdentity.Lane.live.rawValue)].count >= Self.liveEntriesMaximum
            ? .backlog : .live
    }

    /// The number of batches that wait.
    var pendingCount: Int { lanes.reduce(0) { $0 + $1.count } }

    /// When the oldest batch that waits was made; nil when nothing does.
    var oldestNanoseconds: Int64? { lanes.compactMap { $0.first?.nanoseconds }.min() }

    /// A batch is in the spool.
    mutating func add(_ entry: Entry) {
        lanes[Int(entry.lane.rawValue)].entries.append(entry)
        lanes[Int(entry.lane.rawValue)].last = entry
        pendingBytes += entry.bytes
    }

    /// What to send next: events, then live, then backlog.
    var next: Entry? {
        let order: [DeliveryIdentity.Lane] = [.event, .live, .backlog]
        return order.lazy.compactMap { lanes[Int($0.rawValue)].first }.first
    }

    /// The server answered. Returns what is now stored there.
    mutating func stored(_ lane: DeliveryIdentity.Lane, epoch: UInt64, _ marks: DeliveryMarks) -> [Entry] {
        isBehind = false
        var done: [Entry] = []
        while let first = lanes[Int(lane.rawValue)].first, first.epoch <= epoch {
            guard first.epoch < epoch || first.sequence <= marks.synced else { break }
            if let entry = remove(lane) { done.append(entry) }
        }
        lanes[Int(lane.rawValue)].stored += done
        lanes[Int(lane.rawValue)].stored.removeAll {
            $0.epoch < epoch || ($0.epoch == epoch && $0.sequence <= marks.archived)
        }
        return done
    }

    /// The batch can never be stored; it is out of the way.
    mutating func setAside(_ entry: Entry) {
        isBehind = false
        guard lanes[Int(entry.lane.rawValue)].first == entry else { return }
        _ = remove(entry.lane)
    }

    /// The server did not answer.
    mutating func failed() { isBehind = true }

    /// Gives up everything in front of `position`. Returns what was given up and had not been stored.
    mutating func giveUp(before position: UInt64) -> [Entry] {
        var lost: [Entry] = []
        for lane in DeliveryIdentity.Lane.allCases {
            let index = Int(lane.rawValue)
            while let first = lanes[index].first, first.position < position {
                if let entry = remove(lane) { lost.append(entry) }
            }
            lanes[index].stored.removeAll { $0.position < position }
        }
        return lost
    }

    /// The position in front of which nothing is needed any more; nil when nothing is needed at all.
    var neededFrom: UInt64? {
        lanes.compactMap { lane in
            [lane.first?.position, lane.stored.first?.position].compactMap(\.self).min()
        }.min()
    }

    /// For each lane, the last sequence of `epoch` in front of which nothing is needed: what a ledger may say.
    func archived(epoch: UInt64) -> [UInt64] {
        lanes.map { lane in
            // Batches of older epochs may stand in front.
            let waiting = lane.entries[lane.head...].first { $0.epoch == epoch }
            let stored = lane.stored.first { $0.epoch == epoch }
            let needed = [waiting, stored].compactMap { $0?.sequence }.min()
            return needed.map { $0 - 1 } ?? lane.lastSequence(epoch)
        }
    }

    private mutating func remove(_ lane: DeliveryIdentity.Lane) -> Entry? {
        let entry = lanes[Int(lane.rawValue)].removeFirst()
        pendingBytes -= entry?.bytes ?? 0
        return entry
    }
}
