/// Replaces and reads small files as a whole: a reader sees the old content or the new, never a mixture, also after a
/// power cut.
package enum AtomicFile {
    /// Writes `bytes` beside `path`, syncs them, renames, and syncs the folder. After an error the old content stands,
    /// unless it was the last step that failed: then it is unknown which of the two a power cut would leave.
    /// A secret is readable by its owner alone.
    package static func write(
        _ bytes: [UInt8], to path: String, in storage: any FileStorage, isSecret: Bool = false
    ) throws(StorageError) {
        let temporary = path + ".new"
        do {
            let file = try storage.open(temporary, isSecret ? .createOrOpenPrivate : .createOrOpen)
            try file.truncate(to: 0)
            try bytes.withUnsafeBufferPointer { buffer throws(StorageError) in
                try file.write(UnsafeRawBufferPointer(buffer), at: 0)
            }
            try file.dataSync()
            try storage.rename(temporary, to: path)
        } catch {
            // Half a file of a full disk must not keep its space; a failure here changes nothing.
            try? storage.remove(temporary)
            throw error
        }
        try storage.syncFolder(StoragePath.parent(of: path))
    }

    /// The content of `path`, nil when there is no such file. One over `maximumBytes` is an error.
    package static func read(
        _ path: String, in storage: any FileStorage, maximumBytes: Int
    ) throws(StorageError) -> [UInt8]? {
        let file: any FileHandle
        do {
            file = try storage.open(path, .read)
        } catch  where error.kind == .notFound {
            return nil
        }
        let size = try file.size()
        guard size <= UInt64(maximumBytes) else {
            throw StorageError(
                .other, operation: "read", path: path, detail: "\(size) bytes, at most \(maximumBytes) are expected")
        }
        var failure: StorageError?
        let bytes = [UInt8](unsafeUninitializedCapacity: Int(size)) { buffer, count in
            do throws(StorageError) {
                try file.read(into: UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: Int(size)), at: 0)
                count = Int(size)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }
}
