/// Who sent a batch and which one it is, so that sending it again changes nothing (DESIGN D10).
///
/// Sequences rise by one per (agent, epoch, lane). The database that stores a batch keeps the last sequence of each
/// (agent, epoch, lane) in the same log record, and drops a batch whose sequence it has already.
public struct DeliveryIdentity: Hashable, Sendable {
    /// Live data goes ahead of what piled up while the server was away.
    public enum Lane: UInt8, Sendable, CaseIterable {
        case live = 0
        case backlog = 1
        /// Events travel apart, so that nothing delays an OOM kill.
        case event = 2
    }

    /// The sender and its epoch: what sequences are counted within.
    public struct Sender: Hashable, Sendable {
        /// The 128-bit identity an agent keeps from its enrolment on, as 32 hexadecimal digits.
        public var agent: String
        /// Rises each time the agent's spool starts anew.
        public var epoch: UInt64
        public var lane: Lane

        /// A sender's lane.
        public init(agent: String, epoch: UInt64, lane: Lane) {
            self.agent = agent
            self.epoch = epoch
            self.lane = lane
        }
    }

    public var sender: Sender
    /// Rises by one per batch, from 1.
    public var sequence: UInt64

    /// Batch `sequence` of `sender`.
    public init(sender: Sender, sequence: UInt64) {
        self.sender = sender
        self.sequence = sequence
    }
}

/// How far a sender may forget: two marks, because a batch can be safe on this disk and not yet in the object store.
public struct DeliveryMarks: Hashable, Sendable {
    /// The last sequence fsynced here.
    public var synced: UInt64
    /// The last sequence durable in the object store; equal to `synced` where there is none.
    public var archived: UInt64

    /// Marks of one (agent, epoch, lane).
    public init(synced: UInt64, archived: UInt64) {
        self.synced = synced
        self.archived = archived
    }
}
