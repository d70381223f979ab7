internal import Glibc
internal import Telemetry

/// Files that the configuration names by patterns.
final class PlainLogFiles: FileLogSource {
    private let context: FileLogContext
    private(set) var folders: [String] = []

    init?(_ context: FileLogContext) {
        self.context = context
        guard !context.settings.files.isEmpty else { return nil }
    }

    func logs(_ snapshot: ContainerRegistry.Snapshot) -> [FollowedLog] {
        var logs: [FollowedLog] = []
        var folders: Set<String> = []
        for files in context.settings.files {
            let pattern = context.host.path(files.pattern)
            let paths = Self.expand(pattern)
            folders.formUnion(Self.folders(of: pattern, paths))
            for path in Self.withoutRotated(paths) {
                logs.append(
                    FollowedLog(
                        key: path, path: path, format: Self.format(files.format), labels: labels(path, files)))
            }
        }
        self.folders = folders.sorted()
        return logs
    }

    private static func format(_ name: String) -> any LogFormat {
        switch name {
        case CRIFormat.name: CRIFormat()
        case DockerJSONFormat.name: DockerJSONFormat()
        default: PlainFormat()
        }
    }

    /// glob(3); folders and what does not exist are left out.
    private static func expand(_ pattern: String) -> [String] {
        var matches = glob_t()
        defer { globfree(&matches) }
        guard glob(pattern, 0, nil, &matches) == 0, let paths = matches.gl_pathv else { return [] }
        return (0..<Int(matches.gl_pathc)).compactMap { index in
            guard let path = paths[index] else { return nil }
            var status = stat()
            guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
            return String(cString: path)
        }
    }

    /// `app.log*` also matches what was rotated away from `app.log`: the tail of that one reads it. Archives are no
    /// text.
    private static func withoutRotated(_ paths: [String]) -> [String] {
        let archives = [".gz", ".xz", ".bz2", ".zst", ".zip", ".tmp", ".swp"]
        let texts = paths.filter { path in !archives.contains { path.hasSuffix($0) } }
        let all = Set(texts)
        return texts.filter { path in
            guard let slash = path.lastIndex(of: "/") else { return true }
            let name = String(path[path.index(after: slash)...])
            for separator in [Character("."), "-"] {
                var rest = name[...]
                while let cut = rest.lastIndex(of: separator), cut > rest.startIndex {
                    rest = rest[..<cut]
                    let base = String(rest)
                    guard !RotatedFiles.ordered([name], base: base).isEmpty else { continue }
                    if all.contains("\(path[...slash])\(base)") { return false }
                }
            }
            return true
        }
    }

    /// The folders of the files, and that in front of the first wildcard: new files appear there.
    private static func folders(of pattern: String, _ paths: [String]) -> [String] {
        let plain = pattern.prefix { !"*?[".contains($0) }
        let fixed = plain.lastIndex(of: "/").map { String(plain[..<$0]) } ?? ""
        return [fixed.isEmpty ? "/" : fixed]
            + paths.compactMap { path in path.lastIndex(of: "/").map { String(path[..<$0]) } }
    }

    private func labels(_ path: String, _ files: LogSettings.Files) -> [Labels] {
        LogStream.allCases.map { stream in
            let name = path.split(separator: "/").last.map(String.init) ?? path
            var labels = [
                "source": "file", "filename": path, "node": context.node,
                "service": name.hasSuffix(".log") ? String(name.dropLast(4)) : name,
            ]
            if files.format != PlainFormat.name { labels["stream"] = stream.label }
            return Labels(labels.merging(files.labels) { $1 })
        }
    }
}
