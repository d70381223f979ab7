internal import Glibc

/// Which file it is, whatever its name: inodes are used again right after a rotation, birth times are not.
struct FileIdentity: Hashable, Sendable {
    var device: UInt64
    var inode: UInt64
    /// Nanoseconds since 1970, 0 where the file system keeps none.
    var birthNanoseconds: Int64

    /// The open file's identity; nil when it cannot be asked.
    init?(descriptor: Int32) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        birthNanoseconds = LinuxCalls.birthNanoseconds(of: descriptor)
    }

    /// An identity as it was written down.
    init(device: UInt64, inode: UInt64, birthNanoseconds: Int64) {
        self.device = device
        self.inode = inode
        self.birthNanoseconds = birthNanoseconds
    }

    /// The source of log lines from this file on one agent.
    func source(agent: String) -> String { "\(agent)/\(device):\(inode):\(birthNanoseconds)" }
}
