internal import Disk
internal import Glibc

/// A folder on the real disk that goes away with this object.
package final class TemporaryFolder: Sendable {
    /// The absolute path.
    package let path: String

    /// A new, empty folder below the system's folder for such things.
    package init() throws {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(parent)/vedette-test-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else {
            throw StorageError(.other, operation: "mkdtemp", path: "/tmp", code: errno)
        }
        path = String(cString: made)
    }

    deinit {
        try? Self.removeAll(path, in: SystemStorage())
    }

    private static func removeAll(_ path: String, in storage: SystemStorage) throws {
        for entry in try storage.list(path) {
            let inner = StoragePath.join(path, entry.name)
            if entry.isFolder { try removeAll(inner, in: storage) } else { try storage.remove(inner) }
        }
        try storage.remove(path)
    }
}
