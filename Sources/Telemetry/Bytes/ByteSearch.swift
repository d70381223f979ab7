internal import CKernels
internal import Glibc

/// Searches and comparisons that the C library does faster than a loop over a buffer.
extension UnsafeRawBufferPointer {
    /// The offset of the first `byte` at or behind `start`, nil when there is none.
    package func offset(of byte: UInt8, from start: Int = 0) -> Int? {
        guard let baseAddress, start < count else { return nil }
        guard let hit = memchr(baseAddress + start, Int32(byte), count - start) else { return nil }
        return UnsafeRawPointer(hit) - baseAddress
    }

    /// The offset of the first occurrence of `needle` at or behind `start`, nil when there is none.
    package func offset(of needle: [UInt8], from start: Int = 0) -> Int? {
        guard start <= count, let baseAddress else { return needle.isEmpty ? start : nil }
        let offset = needle.withUnsafeBytes {
            vedette_find(baseAddress + start, count - start, $0.baseAddress, $0.count)
        }
        return offset < 0 ? nil : start + offset
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
