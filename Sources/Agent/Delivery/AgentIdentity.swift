internal import Disk
internal import Telemetry

/// Who this agent is: 128 random bits kept in its data folder, and the host's name.
enum AgentIdentity {
    /// The identity in `folder`, made at the first start: 32 hexadecimal digits. Throws when it cannot be read or kept.
    static func load(folder: String, in storage: any FileStorage) throws -> String {
        try storage.makeFolder(folder)
        let path = "\(folder)/agent-id"
        if let bytes = try AtomicFile.read(path, in: storage, maximumBytes: 4096) {
            let text = String(decoding: bytes, as: UTF8.self).prefix { $0 != "\n" }
            guard text.utf8.count == 32, let raw = Hexadecimal.bytes(String(text)) else {
                throw StorageError(
                    .other, operation: "read", path: path,
                    detail: "not 32 hexadecimal digits; restore it from a backup, or remove it to begin as a new agent")
            }
            return Hexadecimal.text(raw)
        }
        var generator = SystemRandomNumberGenerator()
        let id = Hexadecimal.text((0..<16).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
        try AtomicFile.write(Array("\(id)\n".utf8), to: path, in: storage)
        return id
    }

    /// The host's name, "localhost" where the host does not tell.
    static func nodeName(of host: HostRoot) -> String {
        let name = (host.text("/proc/sys/kernel/hostname") ?? "").prefix { $0 != "\n" }
        return name.isEmpty ? "localhost" : String(name)
    }
}
