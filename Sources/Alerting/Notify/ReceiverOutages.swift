/// Which integrations take no messages at present, so that whoever reads the log is told when that begins and when it
/// is over, and not of every attempt in between. A message that is given up is always told.
struct ReceiverOutages: Sendable {
    private var failing: Set<String> = []

    /// What to say about an attempt; nil when it is no news. `waits` tells whether other messages to the integration
    /// wait after an attempt that failed: while one does, the outage is not over.
    mutating func note(_ message: OutboxMessage, _ verdict: DeliveryVerdict, waits: () -> Bool) -> String? {
        let name = message.lane.name
        switch verdict {
        case .accepted:
            guard failing.contains(name), !waits() else { return nil }
            failing.remove(name)
            return "receiver \(name) takes messages again; none waits for it any more"
        case .retry(let reason, _):
            guard failing.insert(name).inserted else { return nil }
            return "receiver \(name) does not take messages (\(reason)). They are kept and tried again; "
                + "`vedette alerts` lists them"
        case .refused(let reason):
            return ReceiverOutages.givenUp(message, "refused for good: \(reason)")
        }
    }

    /// What to say about a message that nobody will get.
    static func givenUp(_ message: OutboxMessage, _ reason: String) -> String {
        "receiver \(message.lane.name) was not told that \(message.lane.groupKey) is \(message.status) (\(reason)). "
            + "Tell people yourself; the audit log has it"
    }
}
