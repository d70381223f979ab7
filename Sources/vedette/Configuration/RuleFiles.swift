internal import Alerting
internal import Disk
internal import Glibc

/// Finds rule and remedy files for the commands and the server; `AlertingFiles` says what is in them.
enum RuleFiles {
    /// Reads a folder (nothing for nil). Throws every error found, one a line, so that all can be mended at once.
    static func read(_ folder: String?) throws -> AlertingFiles.Content {
        guard let folder else { return AlertingFiles.read([]) }
        let content = try examine([folder])
        guard content.isUsable else {
            let errors = content.findings.filter { $0.severity == .error }
            throw CommandFailure(errors.map(\.description).joined(separator: "\n"))
        }
        return content
    }

    /// Reads files and folders and collects findings instead of throwing them. Throws only for what cannot be read.
    static func examine(_ paths: [String], ignoresUnknownFields: Bool = false) throws -> AlertingFiles.Content {
        var sources: [AlertingFiles.Source] = []
        for path in paths {
            do {
                sources += try AlertingFiles.sources(in: path, storage: SystemStorage())
            } catch  where error.code == ENOTDIR {
                sources.append(try source(at: path))
            } catch {
                throw CommandFailure("the rules cannot be read: \(error)")
            }
        }
        return AlertingFiles.read(sources, ignoresUnknownFields: ignoresUnknownFields)
    }

    /// What is piped into the process, as one rule file.
    static func standardInput(ignoresUnknownFields: Bool) -> AlertingFiles.Content {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count <= AlertingFiles.fileBytesMaximum {
            let count = Glibc.read(STDIN_FILENO, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += piece.prefix(count)
        }
        let source = AlertingFiles.Source(path: "<stdin>", bytes: bytes)
        return AlertingFiles.read([source], ignoresUnknownFields: ignoresUnknownFields)
    }

    /// One file; an error in words when it is not there or cannot be read.
    static func source(at path: String) throws -> AlertingFiles.Source {
        let source: AlertingFiles.Source?
        do {
            source = try AlertingFiles.source(at: path, storage: SystemStorage())
        } catch {
            throw CommandFailure("the file cannot be read: \(error)")
        }
        guard let source else { throw CommandFailure("there is no file or folder \(path)") }
        return source
    }

    /// The paths that a shell pattern matches, by name; none is no error.
    static func paths(matching pattern: String) -> [String] {
        var found = glob_t()
        defer { globfree(&found) }
        guard glob(pattern, 0, nil, &found) == 0, let names = found.gl_pathv else { return [] }
        return (0..<Int(found.gl_pathc)).compactMap { index in names[index].map { String(cString: $0) } }
    }
}
