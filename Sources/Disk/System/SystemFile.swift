internal import Glibc

/// An open file of the machine.
final class SystemFile: FileHandle {
    let path: String
    private let descriptor: Int32

    /// Adopts an open descriptor, which is closed with this object.
    init(path: String, descriptor: Int32) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    func size() throws(StorageError) -> UInt64 {
        var status = stat()
        _ = try SystemCall.run("fstat", path) { fstat(descriptor, &status) }
        return UInt64(status.st_size)
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(StorageError) {
        var done = 0
        while done < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let count = try SystemCall.run("pread", path) {
                pread(descriptor, rest.baseAddress, rest.count, off_t(offset) + off_t(done))
            }
            guard count > 0 else {
                throw StorageError(
                    .inputOutput, operation: "pread", path: path,
                    detail: "it ends at byte \(offset + UInt64(done)), \(buffer.count) bytes at \(offset) were wanted")
            }
            done += count
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(StorageError) {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            done += try SystemCall.run("pwrite", path) {
                pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset) + off_t(done))
            }
        }
    }

    func dataSync() throws(StorageError) {
        _ = try SystemCall.run("fdatasync", path) { fdatasync(descriptor) }
    }

    func truncate(to bytes: UInt64) throws(StorageError) {
        _ = try SystemCall.run("ftruncate", path) { ftruncate(descriptor, off_t(bytes)) }
    }

    func allocate(upTo bytes: UInt64) throws(StorageError) {
        // Where the file system has no fallocate (EOPNOTSUPP), glibc's posix_fallocate writes into every block instead,
        // which keeps the promise. It answers with the error's number and leaves errno alone.
        var code = EINTR
        while code == EINTR { code = posix_fallocate(descriptor, 0, off_t(bytes)) }
        if code != 0 { throw SystemCall.error("posix_fallocate", path, code) }
    }

    func lock() throws(StorageError) {
        _ = try SystemCall.run("flock", path) { flock(descriptor, LOCK_EX | LOCK_NB) }
    }
}
