internal import Synchronization

/// Something the agent tells the people who run it, once.
package struct AgentNotice: Sendable, Equatable {
    /// How much it matters.
    package enum Level: String, Sendable {
        case information
        case warning
        case error
    }

    package var level: Level
    /// What, where, what goes on all the same, and what to do.
    package var text: String

    /// A notice.
    package init(_ level: Level, _ text: String) {
        self.level = level
        self.text = text
    }
}

/// Passes notices on, each subject only when its text changed: what is not readable is said once, not every second.
final class Notices: Sendable {
    private let said = Mutex<[String: String]>([:])
    let deliver: @Sendable (AgentNotice) -> Void

    /// Notices that go to `deliver`.
    init(_ deliver: @escaping @Sendable (AgentNotice) -> Void) {
        self.deliver = deliver
    }

    /// Says `text` about `subject` unless that was the last thing said about it.
    func say(_ level: AgentNotice.Level, about subject: String, _ text: String) {
        let isNews = said.withLock { said in
            if said.count > 4096 { said.removeAll() }
            return said.updateValue(text, forKey: subject) != text
        }
        if isNews { deliver(AgentNotice(level, text)) }
    }

    /// Forgets what was said about `subject`, so that its return is news again.
    func settle(_ subject: String) {
        said.withLock { _ = $0.removeValue(forKey: subject) }
    }
}
