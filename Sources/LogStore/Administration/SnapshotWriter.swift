internal import Disk
internal import Telemetry

/// Copies parts into a folder that a store can be opened in. Parts are never changed, so a second name for the same
/// file is a copy; only where the file system cannot do that are bytes copied.
struct SnapshotWriter {
    let storage: any FileStorage
    let folder: String

    private static let pieceBytes = 1 << 20

    /// Writes the snapshot; durable when it returns. The folder must be empty or absent.
    func write(_ parts: [OpenPart], deletions: [Deletion]) throws(StorageError) {
        try storage.makeFolder(folder)
        guard try storage.list(folder).isEmpty else {
            throw StorageError(.alreadyExists, operation: "snapshot", path: folder, detail: "the folder is not empty")
        }
        let target = StoragePath.join(folder, "parts")
        try storage.makeFolder(target)
        for part in parts {
            let path = StoragePath.join(target, part.name.fileName)
            do {
                try storage.link(part.reader.path, to: path)
            } catch {
                try copy(part.reader, to: path)
            }
        }
        if !deletions.isEmpty {
            let path = StoragePath.join(folder, LogRecoverer.deletionsFile)
            try AtomicFile.write(Deletion.encode(deletions), to: path, in: storage)
        }
        try storage.syncFolder(target)
        try storage.syncFolder(folder)
    }

    private func copy(_ part: PartReader, to path: String) throws(StorageError) {
        let file = try storage.open(path, .create)
        var offset: UInt64 = 0
        while offset < part.fileBytes {
            let count = Int(min(UInt64(SnapshotWriter.pieceBytes), part.fileBytes - offset))
            let piece = try PartReader.read(part.object, at: offset, bytes: count)
            try piece.withUnsafeBufferPointer { buffer throws(StorageError) in
                try file.write(UnsafeRawBufferPointer(buffer), at: offset)
            }
            offset += UInt64(count)
        }
        try file.dataSync()
    }
}
