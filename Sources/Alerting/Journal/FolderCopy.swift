internal import Disk
internal import Synchronization

/// A folder read into memory: what is opened there may be repaired without touching the original, which a running
/// server may be writing to. For looking at a journal from outside.
final class FolderCopy: FileStorage {
    /// A larger folder is refused.
    static let bytesMaximum = 256 << 20

    /// A file in memory.
    private final class File: FileHandle {
        let path: String
        private let bytes: Mutex<[UInt8]>

        init(path: String, bytes: [UInt8]) {
            self.path = path
            self.bytes = Mutex(bytes)
        }

        func size() -> UInt64 { UInt64(bytes.withLock { $0.count }) }

        func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(StorageError) {
            let range = Int(offset)..<Int(offset) + buffer.count
            let piece = bytes.withLock { range.upperBound <= $0.count ? Array($0[range]) : nil }
            guard let piece else { throw StorageError(.inputOutput, operation: "read", path: path) }
            buffer.copyBytes(from: piece)
        }

        func write(_ source: UnsafeRawBufferPointer, at offset: UInt64) {
            let piece = Array(source)
            bytes.withLock { bytes in
                let end = Int(offset) + piece.count
                if bytes.count < end { bytes += [UInt8](repeating: 0, count: end - bytes.count) }
                bytes.replaceSubrange(Int(offset)..<end, with: piece)
            }
        }

        func dataSync() {}

        func truncate(to size: UInt64) {
            bytes.withLock { bytes in
                if Int(size) < bytes.count { bytes.removeLast(bytes.count - Int(size)) }
                bytes += [UInt8](repeating: 0, count: Int(size) - bytes.count)
            }
        }

        func allocate(upTo size: UInt64) {
            if size > self.size() { truncate(to: size) }
        }

        func lock() {}
    }

    private let files: Mutex<[String: File]>

    /// Reads the files directly in `folder` of `storage`.
    init(of folder: String, in storage: any FileStorage) throws(StorageError) {
        var copies: [String: File] = [:]
        var total = 0
        for entry in try storage.list(folder) where !entry.isFolder {
            let path = StoragePath.join(folder, entry.name)
            let bytes = try AtomicFile.read(path, in: storage, maximumBytes: FolderCopy.bytesMaximum) ?? []
            total += bytes.count
            guard total <= FolderCopy.bytesMaximum else {
                throw StorageError(.other, operation: "read", path: folder, detail: "more than 256 MiB")
            }
            copies[path] = File(path: path, bytes: bytes)
        }
        files = Mutex(copies)
    }

    func open(_ path: String, _ mode: FileMode) throws(StorageError) -> any FileHandle {
        let file = files.withLock { files -> File? in
            if let file = files[path] { return file }
            guard mode.mayCreate else { return nil }
            let file = File(path: path, bytes: [])
            files[path] = file
            return file
        }
        guard let file else { throw StorageError(.notFound, operation: "open", path: path) }
        return file
    }

    func link(_ path: String, to other: String) { files.withLock { $0[other] = $0[path] } }
    func rename(_ path: String, to other: String) { files.withLock { $0[other] = $0.removeValue(forKey: path) } }
    func remove(_ path: String) { files.withLock { $0[path] = nil } }
    func makeFolder(_ path: String) {}
    func syncFolder(_ path: String) {}

    func list(_ path: String) -> [FolderEntry] {
        files.withLock { files in
            files.filter { StoragePath.parent(of: $0.key) == path }.sorted { $0.key < $1.key }.map { file in
                FolderEntry(
                    name: String(file.key.dropFirst(path.count + 1)), isFolder: false, bytes: file.value.size())
            }
        }
    }

    func space(at path: String) -> FileSystemSpace { FileSystemSpace(totalBytes: 1 << 40, availableBytes: 1 << 40) }
}
