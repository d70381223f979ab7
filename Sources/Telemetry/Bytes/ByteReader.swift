/// Why bytes could not be read as what they should be: where, and what was expected.
public struct ByteError: Error, Equatable, CustomStringConvertible {
    /// The offset of the first byte that did not fit, from the start of the reader's buffer.
    public let offset: Int
    /// What was wrong, lower case, without a full stop.
    public let reason: String

    /// Names a place and a reason.
    public init(offset: Int, reason: String) {
        self.offset = offset
        self.reason = reason
    }

    /// "byte 17: varint longer than ten bytes"
    public var description: String { "byte \(offset): \(reason)" }
}

/// Reads what `ByteWriter` wrote, from a buffer it does not own. Every read is bounds-checked and throws `ByteError`.
public struct ByteReader {
    /// The whole buffer.
    public let bytes: UnsafeRawBufferPointer
    @usableFromInline var position: Int

    /// The offset of the next byte.
    @inlinable public var offset: Int { position }

    /// Reads `bytes` from the start.
    @inlinable
    public init(_ bytes: UnsafeRawBufferPointer) {
        self.init(bytes, at: 0)
    }

    /// Reads `bytes` from `offset`; behind their end every read throws.
    @inlinable
    public init(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        self.bytes = bytes
        position = offset
    }

    /// The number of bytes not read yet.
    @inlinable public var remaining: Int { bytes.count - position }

    /// Whether everything was read.
    @inlinable public var isAtEnd: Bool { position >= bytes.count }

    /// The next byte.
    @inlinable
    public mutating func byte() throws(ByteError) -> UInt8 {
        try need(1, "a byte")
        defer { position += 1 }
        return bytes[position]
    }

    /// A little-endian integer.
    @inlinable
    public mutating func fixed<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) throws(ByteError) -> Value {
        let width = MemoryLayout<Value>.size
        try need(width, "an integer")
        defer { position += width }
        return Value(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: Value.self))
    }

    /// A double from its bit pattern.
    @inlinable
    public mutating func double() throws(ByteError) -> Double { Double(bitPattern: try fixed(UInt64.self)) }

    /// An unsigned LEB128 integer.
    @inlinable
    public mutating func varint() throws(ByteError) -> UInt64 {
        let start = position
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            if shift == 63 && byte > 1 { throw ByteError(offset: start, reason: "varint longer than 64 bits") }
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
            shift += 7
            if shift > 63 { throw ByteError(offset: start, reason: "varint longer than ten bytes") }
        }
        throw ByteError(offset: start, reason: "varint is cut short")
    }

    /// A zigzag-coded signed integer.
    @inlinable
    public mutating func signed() throws(ByteError) -> Int64 {
        let value = try varint()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    /// A count or length that must not exceed `maximum`, so that hostile input cannot ask for much memory.
    @inlinable
    public mutating func count(upTo maximum: Int, _ what: String = "count") throws(ByteError) -> Int {
        let start = position
        let value = try varint()
        guard value <= UInt64(maximum) else {
            throw ByteError(offset: start, reason: "\(what) \(value) is over \(maximum)")
        }
        return Int(value)
    }

    /// The next `length` bytes, without copying. They live as long as the reader's buffer.
    @inlinable
    public mutating func slice(_ length: Int) throws(ByteError) -> UnsafeRawBufferPointer {
        try need(length, "a run of bytes")
        defer { position += length }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<position + length])
    }

    /// Bytes behind a varint length, without copying.
    @inlinable
    public mutating func prefixed() throws(ByteError) -> UnsafeRawBufferPointer {
        let length = try count(upTo: remaining, "length")
        return try slice(length)
    }

    /// Text behind a varint length; throws when it is not UTF-8.
    public mutating func string() throws(ByteError) -> String {
        let start = offset
        let raw = try prefixed()
        guard let text = String(validating: raw, as: UTF8.self) else {
            throw ByteError(offset: start, reason: "text is not UTF-8")
        }
        return text
    }

    /// Labels behind a varint length; throws when they are not canonical.
    public mutating func labels() throws(ByteError) -> Labels {
        let start = offset
        guard let labels = Labels(validating: try prefixed()) else {
            throw ByteError(offset: start, reason: "labels are not canonical")
        }
        return labels
    }

    /// Structured metadata behind a varint length: labels whose values may be empty.
    package mutating func structuredMetadata() throws(ByteError) -> Labels {
        let start = offset
        guard let labels = Labels(validating: try prefixed(), allowsEmptyValues: true) else {
            throw ByteError(offset: start, reason: "structured metadata is not canonical")
        }
        return labels
    }

    @inlinable
    func need(_ length: Int, _ what: StaticString) throws(ByteError) {
        if length < 0 || length > bytes.count - position { throw missing(length, what) }
    }

    @usableFromInline
    func missing(_ length: Int, _ what: StaticString) -> ByteError {
        let wanted = length == 1 ? "one more byte" : "\(length) more bytes"
        return ByteError(offset: position, reason: "\(wanted) wanted for \(what), \(remaining) are left")
    }
}
