public import Telemetry

/// What an agent tells about itself with each batch.
public struct AgentInformation: Hashable, Sendable {
    /// 32 hexadecimal digits, kept from enrolment on.
    public var agent: String
    /// The host's name, the `node` label of what it sends.
    public var node: String
    public var version: String
    /// The agent's wall clock when it sent, so that the server can report the offset.
    public var sentNanoseconds: Int64

    /// Information about an agent.
    public init(agent: String, node: String, version: String, sentNanoseconds: Int64) {
        self.agent = agent
        self.node = node
        self.version = version
        self.sentNanoseconds = sentNanoseconds
    }
}

/// One batch on the wire: one signal, one delivery identity (DESIGN D10, docs/formats/agent-protocol.md).
public struct AgentBatch: Sendable {
    /// A batch carries one signal.
    public enum Signal: Sendable {
        /// `isUrgent` marks event samples, which wake the rules they match.
        case samples(SampleBatch, isUrgent: Bool)
        case lines(LogBatch)
        case events([HostEvent])
    }

    public var information: AgentInformation
    public var delivery: DeliveryIdentity
    public var signal: Signal

    /// A batch.
    public init(information: AgentInformation, delivery: DeliveryIdentity, signal: Signal) {
        self.information = information
        self.delivery = delivery
        self.signal = signal
    }
}

/// The server's answer to a batch.
public struct AgentReply: Hashable, Sendable {
    /// What the agent does next.
    public enum Verdict: UInt8, Sendable {
        /// Stored and fsynced (or stored before): cut the spool at the marks.
        case stored = 0
        /// The server does not know an id of the batch: send it again with its declarations.
        case redeclare = 1
        /// Come again after `retryAfterSeconds`.
        case later = 2
        /// It can never be stored; `reason` says why. The agent counts it, sets it aside and goes on.
        case refused = 3
    }

    public var verdict: Verdict
    public var marks: DeliveryMarks
    public var accepted: Int
    public var rejected: Int
    public var retryAfterSeconds: Int
    /// For people; empty when stored.
    public var reason: String
    /// Whether commands wait for the agent.
    public var hasCommands: Bool

    /// A reply.
    public init(
        verdict: Verdict, marks: DeliveryMarks, accepted: Int = 0, rejected: Int = 0, retryAfterSeconds: Int = 0,
        reason: String = "", hasCommands: Bool = false
    ) {
        self.verdict = verdict
        self.marks = marks
        self.accepted = accepted
        self.rejected = rejected
        self.retryAfterSeconds = retryAfterSeconds
        self.reason = reason
        self.hasCommands = hasCommands
    }
}

/// A typed action for one agent. The agent's own allow-list decides whether it is done (DESIGN D8).
public struct AgentCommand: Hashable, Sendable {
    /// Unique for ever; an agent never does one id twice.
    public var id: String
    /// For example `container.restart`.
    public var action: String
    /// An immutable id: a container id, a pod uid, a unit invocation.
    public var target: String
    /// Typed by the action; unknown names are refused.
    public var arguments: [String: String]
    /// Not to be started after this time.
    public var expiresNanoseconds: Int64
    /// Why: alert, rule, remedy and mode, for the agent's own audit log.
    public var justification: Labels

    /// A command.
    public init(
        id: String, action: String, target: String, arguments: [String: String] = [:], expiresNanoseconds: Int64,
        justification: Labels = .empty
    ) {
        self.id = id
        self.action = action
        self.target = target
        self.arguments = arguments
        self.expiresNanoseconds = expiresNanoseconds
        self.justification = justification
    }
}

/// What an agent did about a command.
public struct CommandReport: Hashable, Sendable {
    /// How far it got.
    public enum Outcome: String, Sendable, CaseIterable {
        case started
        case done
        case failed
        /// The allow-list, a rate limit, an expiry or an unknown target refused it.
        case refused
    }

    public var id: String
    public var outcome: Outcome
    /// One sentence for people.
    public var reason: String
    /// Facts about it, for example `started_at`, `pid`, `previous_started_at`.
    public var facts: Labels
    public var nanoseconds: Int64

    /// A report about command `id`.
    public init(id: String, outcome: Outcome, reason: String, facts: Labels = .empty, nanoseconds: Int64) {
        self.id = id
        self.outcome = outcome
        self.reason = reason
        self.facts = facts
        self.nanoseconds = nanoseconds
    }
}
