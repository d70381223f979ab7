internal import Glibc

/// The machine's file system, by plain system calls.
public struct SystemStorage: FileStorage {
    /// What relative paths are relative to; empty for the working folder of the process.
    private let root: String

    /// Files below `root`; absolute paths stay as they are.
    public init(root: String = "") {
        self.root = root
    }

    public func open(_ path: String, _ mode: FileMode) throws(StorageError) -> any FileHandle {
        let flags =
            switch mode {
            case .read: O_RDONLY
            case .readWrite: O_RDWR
            case .create: O_RDWR | O_CREAT | O_EXCL
            case .createOrOpen, .createOrOpenPrivate: O_RDWR | O_CREAT
            }
        let full = resolve(path)
        let isPrivate = mode == .createOrOpenPrivate
        let descriptor = try SystemCall.run("open", full) {
            Glibc.open(full, flags | O_CLOEXEC, isPrivate ? 0o600 : 0o640)
        }
        // One that was left by an earlier run may be open to others.
        if isPrivate, fchmod(descriptor, 0o600) != 0 {
            let code = errno
            close(descriptor)
            throw SystemCall.error("fchmod", full, code)
        }
        return SystemFile(path: full, descriptor: descriptor)
    }

    public func link(_ path: String, to other: String) throws(StorageError) {
        let (from, to) = (resolve(path), resolve(other))
        _ = try SystemCall.run("link", to) { Glibc.link(from, to) }
    }

    public func rename(_ path: String, to other: String) throws(StorageError) {
        let (from, to) = (resolve(path), resolve(other))
        _ = try SystemCall.run("rename", from) { Glibc.rename(from, to) }
    }

    public func remove(_ path: String) throws(StorageError) {
        let full = resolve(path)
        // remove(3) chooses between unlink and rmdir.
        _ = try SystemCall.run("remove", full) { Glibc.remove(full) }
    }

    public func makeFolder(_ path: String) throws(StorageError) {
        let full = resolve(path)
        if mkdir(full, 0o750) == 0 { return try syncFolder(StoragePath.parent(of: full)) }
        switch errno {
        case EEXIST where isFolder(full): return
        case ENOENT where StoragePath.parent(of: full) != full:
            try makeFolder(StoragePath.parent(of: full))
            _ = try SystemCall.run("mkdir", full) { mkdir(full, 0o750) }
            try syncFolder(StoragePath.parent(of: full))
        case let code: throw SystemCall.error("mkdir", full, code)
        }
    }

    public func list(_ path: String) throws(StorageError) -> [FolderEntry] {
        let full = resolve(path)
        guard let folder = opendir(full) else { throw SystemCall.error("opendir", full, errno) }
        defer { closedir(folder) }
        var entries: [FolderEntry] = []
        while true {
            errno = 0
            guard let entry = readdir(folder) else { break }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            var status = stat()
            // A file that was removed since readdir saw it is no entry any more.
            guard name != ".", name != "..", fstatat(dirfd(folder), name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
                continue
            }
            let isFolder = status.st_mode & S_IFMT == S_IFDIR
            entries.append(FolderEntry(name: name, isFolder: isFolder, bytes: isFolder ? 0 : UInt64(status.st_size)))
        }
        if errno != 0 { throw SystemCall.error("readdir", full, errno) }
        return entries.sorted { $0.name < $1.name }
    }

    public func syncFolder(_ path: String) throws(StorageError) {
        let full = resolve(path)
        let descriptor = try SystemCall.run("open", full) { Glibc.open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        defer { close(descriptor) }
        do {
            _ = try SystemCall.run("fsync", full) { fsync(descriptor) }
        } catch  where error.code == EINVAL {
            // A file system that cannot sync folders (some network and user-space ones) has no stronger call to offer.
        }
    }

    public func space(at path: String) throws(StorageError) -> FileSystemSpace {
        let full = resolve(path)
        var status = statvfs()
        _ = try SystemCall.run("statvfs", full) { statvfs(full, &status) }
        let unit = UInt64(status.f_frsize)
        return FileSystemSpace(
            totalBytes: UInt64(status.f_blocks) * unit, availableBytes: UInt64(status.f_bavail) * unit)
    }

    private func resolve(_ path: String) -> String {
        root.isEmpty || path.hasPrefix("/") ? path : StoragePath.join(root, path)
    }

    private func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }
}
