internal import Glibc
internal import Synchronization

/// Gives open log files into the service manager's keeping (`FDSTORE=1`, sd_notify(3)), so that an agent that is
/// restarted or replaced finds files again that have no name any more. Without a manager it does nothing.
final class DescriptorKeeper: Sendable {
    private struct State {
        /// What an earlier run had given, by name.
        var received: [String: Int32] = [:]
        var kept: Set<String> = []
    }

    private let socketPath: String?
    private let state = Mutex(State())
    /// The manager keeps as many as `FileDescriptorStoreMax=` says and drops what is more.
    private static let keptMaximum = 4_096
    /// sd_listen_fds(3): the first descriptor that is passed.
    static let firstDescriptor: Int32 = 3

    /// A keeper for what the environment says: `NOTIFY_SOCKET`, and the descriptors an earlier run left.
    convenience init() {
        let value = { (name: String) in getenv(name).map { String(cString: $0) } }
        var received: [(String, Int32)] = []
        if value("LISTEN_PID").flatMap({ Int32($0) }) == getpid(),
            let count = value("LISTEN_FDS").flatMap({ Int32($0) })
        {
            let names = (value("LISTEN_FDNAMES") ?? "").split(separator: ":", omittingEmptySubsequences: false)
            for (index, name) in names.enumerated() where index < count {
                received.append((String(name), Self.firstDescriptor + Int32(index)))
            }
        }
        self.init(socketPath: value("NOTIFY_SOCKET"), received: received)
    }

    /// A keeper that talks to the manager behind `socketPath`; nil for none.
    init(socketPath: String?, received: [(String, Int32)] = []) {
        self.socketPath = socketPath
        state.withLock { state in
            for (name, descriptor) in received where name.hasPrefix("log-") {
                _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
                state.received[name] = descriptor
                state.kept.insert(name)
            }
        }
    }

    deinit {
        for descriptor in state.withLock({ $0.received.values.map { $0 } }) { close(descriptor) }
    }

    /// Gives `descriptor` into keeping under its identity.
    func keep(_ descriptor: Int32, _ identity: FileIdentity) {
        let name = Self.name(identity)
        let isNew = state.withLock { $0.kept.count < Self.keptMaximum && $0.kept.insert(name).inserted }
        guard isNew, socketPath != nil else { return }
        send("FDSTORE=1\nFDNAME=\(name)", descriptor)
    }

    /// The descriptor of that identity which an earlier run gave into keeping; it belongs to the caller then.
    func take(_ identity: FileIdentity) -> Int32? {
        state.withLock { $0.received.removeValue(forKey: Self.name(identity)) }
    }

    /// Whether an earlier run gave such a descriptor into keeping and nobody has taken it yet.
    func holds(_ identity: FileIdentity) -> Bool {
        state.withLock { $0.received[Self.name(identity)] != nil }
    }

    /// A file is wholly read: the manager may let go of it.
    func release(_ identity: FileIdentity) {
        let name = Self.name(identity)
        guard state.withLock({ $0.kept.remove(name) }) != nil, socketPath != nil else { return }
        send("FDSTOREREMOVE=1\nFDNAME=\(name)", nil)
    }

    /// Lets go of everything that an earlier run left and nobody asked for.
    func releaseRest() {
        let rest = state.withLock { state in
            defer { state.received = [:] }
            for name in state.received.keys { state.kept.remove(name) }
            return state.received
        }
        for (name, descriptor) in rest {
            close(descriptor)
            if socketPath != nil { send("FDSTOREREMOVE=1\nFDNAME=\(name)", nil) }
        }
    }

    private static func name(_ identity: FileIdentity) -> String {
        "log-\(identity.device)-\(identity.inode)-\(identity.birthNanoseconds)"
    }

    /// One datagram with at most one descriptor (unix(7), SCM_RIGHTS). A manager that is slow is not waited for: what
    /// it keeps is a second net, not the first.
    private func send(_ text: String, _ descriptor: Int32?) {
        guard let socketPath else { return }
        let socket = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { return }
        defer { close(socket) }
        UnixAddress.with(socketPath) { address, length in
            var bytes = Array(text.utf8)
            bytes.withUnsafeMutableBytes { payload in
                var piece = iovec(iov_base: payload.baseAddress, iov_len: payload.count)
                // struct cmsghdr: length, level, type, then the descriptor, aligned to 8.
                var control: [UInt64] = [20, UInt64(UInt32(SOL_SOCKET)) | 1 << 32, 0]
                if let descriptor { control[2] = UInt64(UInt32(bitPattern: descriptor)) }
                control.withUnsafeMutableBytes { raw in
                    withUnsafeMutablePointer(to: &piece) { pieces in
                        var message = msghdr()
                        message.msg_name = UnsafeMutableRawPointer(mutating: address)
                        message.msg_namelen = length
                        message.msg_iov = pieces
                        message.msg_iovlen = 1
                        if descriptor != nil {
                            message.msg_control = raw.baseAddress
                            message.msg_controllen = raw.count
                        }
                        _ = sendmsg(socket, &message, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
                    }
                }
            }
        }
    }
}

/// Addresses of unix sockets as the system calls want them.
enum UnixAddress {
    /// Calls `body` with the address of `path` (`@name` for the abstract namespace) and its length; nil when the path
    /// is too long.
    static func with<Result>(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result? {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(path.utf8)
        if bytes.first == UInt8(ascii: "@") { bytes[0] = 0 }
        guard !bytes.isEmpty, bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count + (bytes[0] == 0 ? 0 : 1))
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }
}
