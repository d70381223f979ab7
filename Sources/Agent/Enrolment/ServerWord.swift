internal import Synchronization

/// What the server said last about what it was sent: nothing while all goes well, else why it takes nothing.
final class ServerWord: Sendable {
    private let state = Mutex<String?>(nil)

    /// Nothing said yet.
    init() {}

    /// Why the server takes nothing; nil while it does.
    var trouble: String? { state.withLock { $0 } }

    /// The server took something (nil), or did not.
    func set(_ trouble: String?) { state.withLock { $0 = trouble } }

    /// Whether the server has shut this agent out for good, in its own words (`EnrolmentRefusal`).
    var isRevocation: Bool { trouble?.contains("was revoked") ?? false }
}
