internal import Glibc

/// A port on loopback that nobody listens on, for programs that cannot pick one themselves.
package enum FreePort {
    /// Lets the kernel pick one and gives it back.
    package static func find() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        guard let port = bindToLoopback(descriptor) else { throw ScenarioError("no free port: \(errno)") }
        return port
    }

    /// Binds a socket to 127.0.0.1 and returns the port that the kernel picked; nil when it did not.
    static func bindToLoopback(_ descriptor: Int32) -> Int? {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                bind(descriptor, raw, length) == 0 && getsockname(descriptor, raw, &length) == 0
            }
        }
        return isBound ? Int(UInt16(bigEndian: address.sin_port)) : nil
    }
}
