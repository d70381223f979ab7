internal import Disk
internal import Glibc
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

    /// The secret by which the server knows this agent again, made at the first start, in a file that only its owner
    /// may read: 64 hexadecimal digits. Throws when it cannot be read or kept.
    static func secret(folder: String, in storage: any FileStorage) throws -> String {
        try storage.makeFolder(folder)
        let path = "\(folder)/agent-secret"
        if let bytes = try AtomicFile.read(path, in: storage, maximumBytes: 4096) {
            let text = String(decoding: bytes, as: UTF8.self).prefix { $0 != "\n" }
            guard text.utf8.count == 64, Hexadecimal.bytes(String(text)) != nil else {
                throw StorageError(
                    .other, operation: "read", path: path,
                    detail: "not 64 hexadecimal digits; restore it from a backup, or remove it and have the server "
                        + "forget this agent's binding (docs/formats/agent-bindings.md)")
            }
            return String(text)
        }
        var generator = SystemRandomNumberGenerator()
        let secret = Hexadecimal.text((0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
        // Made before it is written, so that there is no moment in which others may read it. On a simulated disk there
        // is nobody else.
        if storage is SystemStorage {
            let descriptor = open("\(path).new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
            if descriptor >= 0 {
                fchmod(descriptor, 0o600)
                close(descriptor)
            }
        }
        try AtomicFile.write(Array("\(secret)\n".utf8), to: path, in: storage)
        return secret
    }

    /// The host's name, "localhost" where the host does not tell.
    static func nodeName(of host: HostRoot) -> String {
        let name = (host.text("/proc/sys/kernel/hostname") ?? "").prefix { $0 != "\n" }
        return name.isEmpty ? "localhost" : String(name)
    }
}
