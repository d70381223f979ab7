internal import Glibc

/// Where the host's files are: "/" in production, a folder shaped like a host in tests.
struct HostRoot: Sendable, Hashable {
    /// The folder, without a slash at its end; empty for the machine itself.
    let prefix: String

    /// The host whose files lie under `folder`.
    init(_ folder: String = "/") {
        var folder = folder
        while folder.hasSuffix("/") { folder.removeLast() }
        prefix = folder
    }

    /// Whether this is the machine itself, so that processes and kernel notifications exist.
    var isMachine: Bool { prefix.isEmpty }

    /// The path at which the host's absolute `path` is found.
    func path(_ path: String) -> String { prefix + path }

    /// The whole of a small text file; nil when it cannot be read. `limit` bounds what is read.
    func text(_ path: String, limit: Int = 1 << 20) -> String? {
        bytes(path, limit: limit).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The whole of a small file; nil when it cannot be read or is larger than `limit`.
    func bytes(_ path: String, limit: Int = 1 << 20) -> [UInt8]? {
        guard let file = KernelFile(self.path(path)) else { return nil }
        var buffer = ReadBuffer(capacity: 16 << 10, maximum: limit)
        return file.read(into: &buffer) { Array($0) }
    }

    /// The names in a folder, ordered; nil when it cannot be listed.
    func names(_ path: String) -> [String]? { Self.list(self.path(path)) { _ in true } }

    /// The names of the folders in a folder, ordered; nil when it cannot be listed.
    func folderNames(_ path: String) -> [String]? { Self.list(self.path(path)) { $0 == DT_DIR } }

    private static func list(_ path: String, where isWanted: (Int) -> Bool) -> [String]? {
        guard let folder = opendir(path) else { return nil }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            guard isWanted(Int(entry.pointee.d_type)) else { continue }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}
