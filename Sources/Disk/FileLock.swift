internal import Glibc

/// Keeps a second process out of a data folder. The system lets go of the lock when the process ends, however it ends.
package final class FileLock: Sendable {
    private let file: any FileHandle

    /// Takes the lock of the file at `path`, made when absent, and writes this process' id into it. When somebody else
    /// holds it, throws an error of kind `locked` that names the holder.
    package init(_ path: String, in storage: any FileStorage) throws(StorageError) {
        file = try storage.open(path, .createOrOpen)
        do {
            try file.lock()
        } catch  where error.kind == .locked {
            let holder = try? AtomicFile.read(path, in: storage, maximumBytes: 64)
            let process = holder.map { String(decoding: $0, as: UTF8.self).filter(\.isNumber) } ?? ""
            throw StorageError(
                .locked, operation: "lock", path: path, code: error.code,
                detail: process.isEmpty ? "it did not say who it is" : "process \(process)")
        }
        // Only words for the one who comes second: a full disk is no reason to refuse the lock.
        try? writeHolder()
    }

    private func writeHolder() throws(StorageError) {
        try file.truncate(to: 0)
        try Array("\(getpid())\n".utf8).withUnsafeBufferPointer { bytes throws(StorageError) in
            try file.write(UnsafeRawBufferPointer(bytes), at: 0)
        }
    }
}
