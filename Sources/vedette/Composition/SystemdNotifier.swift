internal import Glibc

/// Tells systemd how the service is: datagrams to the socket that `NOTIFY_SOCKET` names (sd_notify(3); the protocol is
/// stable and needs no library).
struct SystemdNotifier: Sendable {
    private let path: String
    /// How often the watchdog wants to be fed; nil where it is off (`WATCHDOG_USEC`).
    let watchdogMilliseconds: Int64?

    /// The notifier of this process' environment; nil when nobody listens.
    init?(environment: (String) -> String?, pid: Int32 = getpid()) {
        guard let path = environment("NOTIFY_SOCKET"), path.hasPrefix("/") || path.hasPrefix("@"),
            path.utf8.count < SystemdNotifier.pathBytesMaximum
        else { return nil }
        self.path = path
        let isMine = environment("WATCHDOG_PID").map { $0 == "\(pid)" } ?? true
        watchdogMilliseconds = isMine ? environment("WATCHDOG_USEC").flatMap { Int64($0) }.map { $0 / 1_000 } : nil
    }

    /// The room of `sockaddr_un.sun_path`.
    private static let pathBytesMaximum = 108

    /// The service is up, and says so in words.
    func ready(_ status: String) { send("READY=1\nSTATUS=\(status)") }

    /// The service is leaving.
    func stopping() { send("STOPPING=1") }

    /// Work was done since the last time.
    func feedWatchdog() { send("WATCHDOG=1") }

    /// Says how it is, for `systemctl status`.
    func status(_ text: String) { send("STATUS=\(text)") }

    private func send(_ text: String) {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(path.utf8)
        // An abstract name begins with a zero byte, which is written as "@".
        if path.hasPrefix("@") { bytes[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let message = Array(text.utf8)
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                sendto(descriptor, message, message.count, Int32(MSG_NOSIGNAL), raw, length)
            }
        }
    }
}
