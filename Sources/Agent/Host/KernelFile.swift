internal import Glibc

/// Memory that is read into again and again; grows by doubling up to a bound.
struct ReadBuffer: ~Copyable {
    fileprivate private(set) var bytes: UnsafeMutableRawBufferPointer
    private let maximum: Int

    /// A buffer of `capacity` bytes that never grows beyond `maximum`.
    init(capacity: Int = 64 << 10, maximum: Int = 4 << 20) {
        bytes = .allocate(byteCount: capacity, alignment: 8)
        self.maximum = maximum
    }

    deinit { bytes.deallocate() }

    /// Doubles the buffer and keeps its first `kept` bytes; false at the bound.
    fileprivate mutating func grow(keeping kept: Int) -> Bool {
        guard bytes.count < maximum else { return false }
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: min(maximum, bytes.count * 2), alignment: 8)
        larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<kept]))
        bytes.deallocate()
        bytes = larger
        return true
    }
}

/// A file of /proc or /sys that stays open and is read from its start each time, so that a sample costs one call.
final class KernelFile {
    private let descriptor: Int32

    /// Opens `path`; nil when it is not there or may not be read.
    init?(_ path: String) {
        descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
    }

    deinit { close(descriptor) }

    /// Reads the whole file and hands its bytes to `body`; nil when it failed (the cgroup was removed, for example) or
    /// is larger than the buffer may become.
    ///
    /// Files that are printed in records come in pieces, so reading goes on until nothing more comes; a file that the
    /// kernel prints at once (`isPrintedAtOnce`) needs a single call.
    func read<Result>(
        into buffer: inout ReadBuffer, isPrintedAtOnce: Bool = false, _ body: (UnsafeRawBufferPointer) -> Result?
    ) -> Result? {
        var length = 0
        while true {
            if length == buffer.bytes.count, !buffer.grow(keeping: length) { return nil }
            let space = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[length...])
            let count = pread(descriptor, space.baseAddress, space.count, off_t(length))
            if count < 0 {
                if errno == EINTR { continue }
                return nil
            }
            length += count
            if count == 0 || (isPrintedAtOnce && count < space.count) { break }
        }
        return body(UnsafeRawBufferPointer(rebasing: buffer.bytes[..<length]))
    }
}
