internal import Glibc

/// Paths as they can be used from any folder: what people read must not depend on where a process was started.
enum AbsolutePath {
    /// `path` from the root on, without links where it exists.
    static func of(_ path: String) -> String {
        if let resolved = realpath(path, nil) {
            defer { free(resolved) }
            return String(cString: resolved)
        }
        guard !path.hasPrefix("/"), let folder = getcwd(nil, 0) else { return path }
        defer { free(folder) }
        return "\(String(cString: folder))/\(path)"
    }
}
