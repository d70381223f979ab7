/// Something that happened on a host at one moment.
public struct HostEvent: Sendable, Equatable {
    /// What happened; the raw value is the `event` field of its record.
    public enum Kind: String, Sendable, CaseIterable {
        case oomKill = "oom_kill"
        case exit
        case start
        case restart
        case deploy
        case pressure
        case unhealthy
        case unitFailed = "unit_failed"
        case kernelWarning = "kernel_warning"
        case action
        case alert
        case silence
        case discovered
        case vanished
        case dropped
    }

    public var kind: Kind
    public var nanoseconds: Int64
    /// Which source noticed it, for example `cgroup`, `kmsg`, `docker`: independent sources confirm one another.
    public var source: String
    /// The identity labels of what it happened to.
    public var subject: Labels
    /// More fields, for example `exit_code`, `pid`, `victim`.
    public var details: Labels
    /// One sentence for people.
    public var text: String

    /// An event.
    public init(
        _ kind: Kind, nanoseconds: Int64, source: String, subject: Labels, details: Labels = .empty, text: String
    ) {
        self.kind = kind
        self.nanoseconds = nanoseconds
        self.source = source
        self.subject = subject
        self.details = details
        self.text = text
    }
}

/// Port: notices events as the kernel or an engine tells them.
public protocol EventSource: Sendable {
    /// The name that its events carry in `source`.
    var name: String { get }
    /// Delivers events until its task is cancelled; throws when the source cannot work here, saying why.
    func run(deliver: @escaping @Sendable (HostEvent) -> Void) async throws
}
