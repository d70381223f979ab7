/// Appends fixed-width little-endian integers, varints and length-prefixed bytes to a growing buffer.
public struct ByteWriter: Sendable {
    /// What was written so far.
    public private(set) var bytes: [UInt8]

    /// An empty writer with room for `capacity` bytes.
    @inlinable
    public init(capacity: Int = 0) {
        self.init(adopting: [], capacity: capacity)
    }

    /// A writer that goes on behind `bytes`.
    public init(adopting bytes: [UInt8], capacity: Int = 0) {
        self.bytes = bytes
        self.bytes.reserveCapacity(capacity)
    }

    /// The number of bytes written.
    public var count: Int { bytes.count }

    /// Appends one byte.
    public mutating func put(_ byte: UInt8) { bytes.append(byte) }

    /// Appends bytes as they are.
    public mutating func put(_ other: [UInt8]) { bytes.append(contentsOf: other) }

    /// Appends bytes as they are.
    public mutating func put(_ other: UnsafeRawBufferPointer) { bytes.append(contentsOf: other) }

    /// Appends an integer in little-endian order.
    public mutating func putFixed(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// Appends the eight bytes of a double's bit pattern, little-endian.
    public mutating func putDouble(_ value: Double) { putFixed(value.bitPattern) }

    /// Appends an unsigned LEB128 integer, 1 to 10 bytes.
    public mutating func putVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    /// Appends a signed integer, zigzag-coded so that small magnitudes stay short.
    public mutating func putSigned(_ value: Int64) {
        putVarint(UInt64(bitPattern: (value << 1) ^ (value >> 63)))
    }

    /// Appends a varint length and the bytes.
    public mutating func putPrefixed(_ other: [UInt8]) {
        putVarint(UInt64(other.count))
        bytes.append(contentsOf: other)
    }

    /// Appends a varint length and the bytes.
    public mutating func putPrefixed(_ other: UnsafeRawBufferPointer) {
        putVarint(UInt64(other.count))
        bytes.append(contentsOf: other)
    }

    /// Appends a varint length and the UTF-8 of `text`.
    public mutating func putString(_ text: String) {
        var text = text
        text.withUTF8 { putPrefixed(UnsafeRawBufferPointer($0)) }
    }

    /// Replaces four bytes at `offset`, for a length or checksum known only afterwards.
    public mutating func patchFixed(_ value: UInt32, at offset: Int) {
        withUnsafeBytes(of: value.littleEndian) { raw in
            for index in 0..<4 { bytes[offset + index] = raw[index] }
        }
    }

    /// Forgets what was written and keeps the memory.
    public mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }
}
