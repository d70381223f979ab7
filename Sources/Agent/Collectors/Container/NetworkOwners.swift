internal import Glibc

/// Who sends the traffic of which network namespace: one container each, because several may share one (the containers
/// of a pod, `--network container:…`), and sums over them must count it once. The host's own belongs to nobody.
///
/// A sandbox, which lives as long as its pod, takes the namespace over from any other.
final class NetworkOwners {
    private struct Owner {
        var container: String
        var isSandbox: Bool
    }

    private let host: HostRoot
    private var owners: [String: Owner] = [:]
    private let hostNamespace: String?

    /// No owners yet.
    init(host: HostRoot) {
        self.host = host
        hostNamespace = Self.link(host.path("/proc/1/ns/net")) ?? Self.link(host.path("/proc/self/ns/net"))
    }

    /// A process' network namespace; nil where it may not be asked.
    func namespace(of process: Int32) -> String? { Self.link(host.path("/proc/\(process)/ns/net")) }

    /// Whether a namespace is the host's.
    func isHost(_ namespace: String) -> Bool { namespace == hostNamespace }

    /// Whether `container` is the one to send the traffic of `namespace`; it becomes so where nobody is.
    func claims(_ namespace: String, container: String, isSandbox: Bool) -> Bool {
        guard !isHost(namespace) else { return false }
        if let owner = owners[namespace], owner.container != container, owner.isSandbox || !isSandbox { return false }
        owners[namespace] = Owner(container: container, isSandbox: isSandbox)
        return true
    }

    /// `container` goes.
    func release(_ namespace: String, container: String) {
        if owners[namespace]?.container == container { owners[namespace] = nil }
    }

    private static func link(_ path: String) -> String? {
        withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { raw in
            guard let base = raw.baseAddress else { return nil }
            let length = readlink(path, base, raw.count)
            return length > 0 ? String(decoding: raw.prefix(length), as: UTF8.self) : nil
        }
    }
}
