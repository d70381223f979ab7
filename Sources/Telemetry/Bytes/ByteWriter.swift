/// Appends fixed-width little-endian integers, varints and length-prefixed bytes to a growing buffer.
public struct ByteWriter: Sendable {
    @usableFromInline var buffer: [UInt8]

    /// What was written so far.
    @inlinable public var bytes: [UInt8] { buffer }

    /// An empty writer with room for `capacity` bytes.
    @inlinable
    public init(capacity: Int = 0) {
        self.init(adopting: [], capacity: capacity)
    }

    /// A writer that goes on behind `bytes`.
    @inlinable
    public init(adopting bytes: [UInt8], capacity: Int = 0) {
        buffer = bytes
        buffer.reserveCapacity(capacity)
    }

    /// The number of bytes written.
    @inlinable public var count: Int { buffer.count }

    /// Lets `body` append to what was written.
    package mutating func withBuffer(_ body: (inout [UInt8]) -> Void) { body(&buffer) }

    /// Appends one byte.
    @inlinable
    public mutating func put(_ byte: UInt8) { buffer.append(byte) }

    /// Appends bytes as they are.
    @inlinable
    public mutating func put(_ other: [UInt8]) { buffer.append(contentsOf: other) }

    /// Appends bytes as they are.
    @inlinable
    public mutating func put(_ other: UnsafeRawBufferPointer) { buffer.append(contentsOf: other) }

    /// Appends an integer in little-endian order.
    @inlinable
    public mutating func putFixed(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { buffer.append(contentsOf: $0) }
    }

    /// Appends the eight bytes of a double's bit pattern, little-endian.
    @inlinable
    public mutating func putDouble(_ value: Double) { putFixed(value.bitPattern) }

    /// Appends an unsigned LEB128 integer, 1 to 10 bytes.
    @inlinable
    public mutating func putVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            buffer.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        buffer.append(UInt8(truncatingIfNeeded: rest))
    }

    /// Appends a signed integer, zigzag-coded so that small magnitudes stay short.
    @inlinable
    public mutating func putSigned(_ value: Int64) {
        putVarint(UInt64(bitPattern: (value << 1) ^ (value >> 63)))
    }

    /// Appends a varint length and the bytes.
    @inlinable
    public mutating func putPrefixed(_ other: [UInt8]) {
        putVarint(UInt64(other.count))
        buffer.append(contentsOf: other)
    }

    /// Appends a varint length and the bytes.
    @inlinable
    public mutating func putPrefixed(_ other: UnsafeRawBufferPointer) {
        putVarint(UInt64(other.count))
        buffer.append(contentsOf: other)
    }

    /// Appends a varint length and the UTF-8 of `text`.
    @inlinable
    public mutating func putString(_ text: String) {
        var text = text
        text.withUTF8 { putPrefixed(UnsafeRawBufferPointer($0)) }
    }

    /// Replaces four bytes at `offset`, for a length or checksum known only afterwards.
    @inlinable
    public mutating func patchFixed(_ value: UInt32, at offset: Int) {
        withUnsafeBytes(of: value.littleEndian) { raw in
            for index in 0..<4 { buffer[offset + index] = raw[index] }
        }
    }

    /// Takes back everything from `count` bytes on.
    @inlinable
    public mutating func truncate(to count: Int) { buffer.removeLast(buffer.count - count) }

    /// Forgets what was written and keeps the memory.
    @inlinable
    public mutating func removeAll() { buffer.removeAll(keepingCapacity: true) }
}
