internal import Disk
internal import Telemetry

/// Who this agent is: 128 random bits kept in its data folder, and the host's name.
enum AgentIdentity {
    /// The identity in `folder`, made at the first start: 32 hexadecimal digits. Throws when it cannot be read or kept.
    static func load(folder: String, in storage: any FileStorage) throws -> String {
        try token(
            "\(folder)/agent-id", folder: folder, digits: 32, in: storage,
            advice: "restore it from a backup, or remove it to begin as a new agent")
    }

    /// The secret by which the server knows this agent again, made at the first start, in a file that only its owner
    /// may read: 64 hexadecimal digits. Throws when it cannot be read or kept.
    static func secret(folder: String, in storage: any FileStorage) throws -> String {
        try token(
            "\(folder)/agent-secret", folder: folder, digits: 64, in: storage,
            advice: "restore it from a backup, or remove it and have the server forget this agent's binding "
                + "(docs/formats/agent-bindings.md)")
    }

    /// Random digits that are kept for ever in a file of their own: two equal lines of them, each with its CRC32C, so
    /// that one damaged byte makes nobody another agent.
    private static func token(
        _ path: String, folder: String, digits: Int, in storage: any FileStorage, advice: String
    ) throws -> String {
        try storage.makeFolder(folder)
        if let bytes = try AtomicFile.read(path, in: storage, maximumBytes: 4096) {
            // By their places and not by their ends: a line end may be what is damaged.
            let lineBytes = digits + 10
            for start in [0, lineBytes] where bytes.count >= start + lineBytes - 1 {
                let token = String(decoding: bytes[start..<start + digits], as: UTF8.self)
                let checksum = String(decoding: bytes[start + digits + 1..<start + digits + 9], as: UTF8.self)
                if checksum == check(token) { return token }
            }
            throw StorageError(
                .other, operation: "read", path: path,
                detail: "no line of \(digits) hexadecimal digits whose check holds; \(advice)")
        }
        var generator = SystemRandomNumberGenerator()
        let token = Hexadecimal.text((0..<digits / 2).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
        let line = "\(token) \(check(token))\n"
        try AtomicFile.write(Array((line + line).utf8), to: path, in: storage, isSecret: true)
        return token
    }

    private static func check(_ token: String) -> String {
        let checksum = Array(token.utf8).withUnsafeBytes { crc32c($0) }
        return Hexadecimal.text(withUnsafeBytes(of: checksum.bigEndian) { Array($0) })
    }

    /// The host's name, "localhost" where the host does not tell.
    static func nodeName(of host: HostRoot) -> String {
        let name = (host.text("/proc/sys/kernel/hostname") ?? "").prefix { $0 != "\n" }
        return name.isEmpty ? "localhost" : String(name)
    }
}
