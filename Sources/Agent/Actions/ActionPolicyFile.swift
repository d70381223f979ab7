internal import Glibc
internal import Wire

/// Reads the allow-list from a file that only root can have written. Anything else is refused, because whoever can
/// write the file decides what is done on this host.
struct ActionPolicyFile: Sendable {
    /// Who owns a file and who may write it.
    struct Facts: Equatable, Sendable {
        enum Kind: Equatable, Sendable {
            case file
            case folder
            /// A symbolic link, a device, a pipe.
            case other
        }

        var kind: Kind
        var owner: UInt32
        /// The permission bits.
        var mode: UInt32
    }

    /// Why the file does not count.
    struct Refusal: Error, Equatable, CustomStringConvertible {
        var description: String
    }

    let path: String
    /// Asks about a path without following a link at its end; nil when nothing is there. A port, for tests.
    var facts: @Sendable (String) -> Facts? = ActionPolicyFile.factsOfSystem
    /// Reads the file; nil when it cannot be read.
    var read: @Sendable (String) -> (facts: Facts, text: String)? = ActionPolicyFile.readFromSystem

    /// What is allowed now: nothing where there is no file. Throws `Refusal` or `ConfigurationError`.
    func load() throws -> ActionPolicy {
        guard path.hasPrefix("/") else { throw Refusal(description: "\(path): an absolute path is wanted") }
        guard facts(path) != nil else { return .observeOnly }
        for folder in parents {
            guard let facts = facts(folder) else { return .observeOnly }
            try check(facts, folder, isFile: false)
        }
        guard let (facts, text) = read(path) else {
            throw Refusal(description: "\(path) cannot be read; nothing is allowed")
        }
        // The facts are those of the descriptor that was read, so that nobody can swap the file in between.
        try check(facts, path, isFile: true)
        return try ActionPolicy(parsing: text, file: path)
    }

    private var parents: [String] {
        var folders = ["/"]
        var folder = ""
        for part in path.split(separator: "/").dropLast() {
            folder += "/\(part)"
            folders.append(folder)
        }
        return folders
    }

    private func check(_ facts: Facts, _ path: String, isFile: Bool) throws(Refusal) {
        guard facts.kind == (isFile ? .file : .folder) else {
            let wanted = isFile ? "regular file" : "folder"
            throw Refusal(description: "\(path) is no \(wanted) (links are not followed); nothing is allowed")
        }
        guard facts.owner == 0 else {
            let owner = "user \(facts.owner)"
            throw Refusal(
                description: "\(path) belongs to \(owner), not to root; nothing is allowed (chown root \(path))")
        }
        // In a sticky folder such as /tmp nobody but root can rename or remove what belongs to root.
        let isSticky = !isFile && facts.mode & 0o1000 != 0
        guard isSticky || facts.mode & 0o022 == 0 else {
            throw Refusal(
                description: "\(path) can be written by others than root; nothing is allowed (chmod go-w \(path))")
        }
    }

    /// Asks the system.
    static let factsOfSystem: @Sendable (String) -> Facts? = { path in
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        return Facts(status)
    }

    /// Opens the file without following a link, and reads at most 1 MiB.
    static let readFromSystem: @Sendable (String) -> (facts: Facts, text: String)? = { path in
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_size <= 1 << 20 else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        guard count == bytes.count, let text = String(validating: bytes, as: UTF8.self) else { return nil }
        return (Facts(status), text)
    }
}

extension ActionPolicyFile.Facts {
    fileprivate init(_ status: stat) {
        switch status.st_mode & S_IFMT {
        case S_IFREG: kind = .file
        case S_IFDIR: kind = .folder
        default: kind = .other
        }
        owner = status.st_uid
        mode = UInt32(status.st_mode) & 0o7777
    }
}
