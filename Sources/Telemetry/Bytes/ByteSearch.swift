internal import Glibc

/// Searches and comparisons that the C library does faster than a loop over a buffer.
extension UnsafeRawBufferPointer {
    /// The offset of the first `byte` at or behind `start`, nil when there is none.
    package func offset(of byte: UInt8, from start: Int = 0) -> Int? {
        guard let baseAddress, start < count else { return nil }
        guard let hit = memchr(baseAddress + start, Int32(byte), count - start) else { return nil }
        return UnsafeRawPointer(hit) - baseAddress
    }

    /// Whether the bytes are those of `text`.
    package func isSame(as text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        guard let baseAddress, count > 0 else { return true }
        return memcmp(baseAddress, text.utf8Start, count) == 0
    }

    /// Whether the bytes are those of `other`.
    package func isSame(as other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count else { return false }
        guard let baseAddress, let otherBase = other.baseAddress, count > 0 else { return true }
        return memcmp(baseAddress, otherBase, count) == 0
    }
}
