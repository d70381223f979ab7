internal import Telemetry

/// Knows what was stored before, by delivery and by the bytes of an origin. Part of the state that a replay of the log
/// builds up again: it depends on what was logged before and on nothing else, no clock and no option.
struct Deduplication: Sendable {
    private struct AgentLane: Hashable {
        var agent: String
        var lane: DeliveryIdentity.Lane

        init(_ sender: DeliveryIdentity.Sender) {
            agent = sender.agent
            lane = sender.lane
        }
    }

    /// The last sequence of the newest epochs of an agent's lane, rising by epoch.
    private var lastSequences: [AgentLane: [(epoch: UInt64, sequence: UInt64)]] = [:]
    private(set) var origins: [LogOrigin: PartFooter.StoredOrigin] = [:]
    /// What came since the last part was begun, which is what the next part says about origins.
    private var unsealedOrigins: [LogOrigin: PartFooter.StoredOrigin] = [:]

    // MARK: Deliveries

    /// Epochs of one agent that are remembered: of older ones nothing can still be on its way.
    static let epochsMaximum = 2

    /// The last sequence that was stored of a sender.
    func lastSequence(of sender: DeliveryIdentity.Sender) -> UInt64? {
        lastSequences[AgentLane(sender)]?.first { $0.epoch == sender.epoch }?.sequence
    }

    /// Whether a delivery is stored.
    func contains(_ delivery: DeliveryIdentity) -> Bool {
        lastSequence(of: delivery.sender).map { $0 >= delivery.sequence } ?? false
    }

    /// Keeps a delivery.
    mutating func insert(_ delivery: DeliveryIdentity) {
        let epoch = delivery.sender.epoch
        var epochs = lastSequences[AgentLane(delivery.sender)] ?? []
        if let index = epochs.firstIndex(where: { $0.epoch == epoch }) {
            epochs[index].sequence = max(epochs[index].sequence, delivery.sequence)
        } else {
            epochs.append((epoch, delivery.sequence))
            epochs.sort { $0.epoch < $1.epoch }
            epochs.removeFirst(max(0, epochs.count - Deduplication.epochsMaximum))
        }
        lastSequences[AgentLane(delivery.sender)] = epochs
    }

    /// The last sequence of every sender, ordered.
    var deliveries: [DeliveryIdentity] {
        let agents = lastSequences.sorted { left, right in
            let (a, b) = (left.key, right.key)
            return a.agent == b.agent ? a.lane.rawValue < b.lane.rawValue : a.agent < b.agent
        }
        return agents.flatMap { key, epochs in
            epochs.map { entry in
                let sender = DeliveryIdentity.Sender(agent: key.agent, epoch: entry.epoch, lane: key.lane)
                return DeliveryIdentity(sender: sender, sequence: entry.sequence)
            }
        }
    }

    // MARK: Origins

    /// What is known of the bytes of a line.
    enum Standing {
        case new
        case stored
        /// Some of its bytes are stored and some are not: kept, and counted, because it should not happen.
        case overlapping
    }

    /// Looks up a line of an origin and keeps its bytes.
    mutating func insert(_ range: Range<UInt64>, of origin: LogOrigin, nanoseconds: Int64) -> Standing {
        let known = origins[origin]
        if known?.intervals.contains(range) == true { return .stored }
        let standing: Standing = known?.intervals.overlaps(range) == true ? .overlapping : .new
        Deduplication.insert(range, of: origin, nanoseconds, into: &origins)
        Deduplication.insert(range, of: origin, nanoseconds, into: &unsealedOrigins)
        return standing
    }

    private static func insert(
        _ range: Range<UInt64>, of origin: LogOrigin, _ nanoseconds: Int64,
        into table: inout [LogOrigin: PartFooter.StoredOrigin]
    ) {
        table[
            origin,
            default: PartFooter.StoredOrigin(origin: origin, intervals: IntervalSet(), newestNanoseconds: nanoseconds)
        ].add(range, nanoseconds)
    }

    /// Takes over what a part says.
    mutating func restore(_ footer: PartFooter) {
        for delivery in footer.deliveries { insert(delivery) }
        for stored in footer.origins {
            guard var known = origins[stored.origin] else {
                origins[stored.origin] = stored
                continue
            }
            known.intervals.formUnion(stored.intervals)
            known.newestNanoseconds = max(known.newestNanoseconds, stored.newestNanoseconds)
            origins[stored.origin] = known
        }
    }

    /// Hands out what came since the last call, ordered, for the next part.
    mutating func takeUnsealedOrigins() -> [PartFooter.StoredOrigin] {
        defer { unsealedOrigins.removeAll() }
        return unsealedOrigins.values.sorted { left, right in
            let (a, b) = (left.origin, right.origin)
            return a.source == b.source ? a.generation < b.generation : a.source < b.source
        }
    }

    /// Takes back what a part was to say that could not be written.
    mutating func returnUnsealedOrigins(_ list: [PartFooter.StoredOrigin]) {
        for stored in list {
            for range in stored.intervals.ranges {
                Deduplication.insert(range, of: stored.origin, stored.newestNanoseconds, into: &unsealedOrigins)
            }
        }
    }

    /// Forgets origins whose newest line is older: should such a line come again, it is too old to be taken.
    mutating func forgetOrigins(olderThan nanoseconds: Int64) {
        origins = origins.filter { $0.value.newestNanoseconds >= nanoseconds }
    }

    /// About how much memory all of it holds.
    var memoryBytes: Int {
        lastSequences.count * 120 + origins.values.reduce(0) { $0 + 160 + $1.intervals.ranges.count * 16 }
    }
}

extension PartFooter.StoredOrigin {
    fileprivate mutating func add(_ range: Range<UInt64>, _ nanoseconds: Int64) {
        intervals.insert(range)
        newestNanoseconds = max(newestNanoseconds, nanoseconds)
    }
}
