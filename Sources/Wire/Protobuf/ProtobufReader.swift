internal import Telemetry

/// Walks the fields of one Protocol Buffers message without copying (protobuf.dev, "Encoding"). Unknown fields are
/// skipped by `skip`, so that senders may be newer than we are.
///
/// It reads the buffer itself rather than through `ByteReader`: remote write spends most of its time here, and one-byte
/// tags and lengths are nearly all there is.
struct ProtobufReader {
    /// How a field's value is written.
    enum WireType: UInt8 {
        case varint = 0
        case fixed64 = 1
        case bytes = 2
        case fixed32 = 5
    }

    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    /// Reads the message that `bytes` hold.
    @inline(__always)
    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// The next field's number and type; nil at the end of the message.
    @inline(__always)
    mutating func next() throws(ByteError) -> (number: UInt32, type: WireType)? {
        if position >= bytes.count { return nil }
        let start = position
        let tag = try varint()
        guard tag >> 3 > 0, tag >> 3 <= 0x1fff_ffff, let type = WireType(rawValue: UInt8(tag & 7)) else {
            throw ByteError(offset: start, reason: "no field of a message")
        }
        return (UInt32(tag >> 3), type)
    }

    /// A field of the type `bytes`: text, bytes, a message, packed numbers. Lives as long as the message.
    @inline(__always)
    mutating func bytes(_ type: WireType) throws(ByteError) -> UnsafeRawBufferPointer {
        try expect(type, .bytes)
        let length = try varint()
        guard length <= UInt64(bytes.count - position) else { throw cut("a run of \(length) bytes") }
        return slice(Int(length))
    }

    /// A field of the type `double`.
    @inline(__always)
    mutating func double(_ type: WireType) throws(ByteError) -> Double {
        try expect(type, .fixed64)
        guard bytes.count - position >= 8 else { throw cut("a number") }
        defer { position += 8 }
        return Double(
            bitPattern: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self)))
    }

    /// A field of one of the types `int64`, `uint64`, `int32`, `uint32`, `bool` or an enumeration.
    @inline(__always)
    mutating func integer(_ type: WireType) throws(ByteError) -> UInt64 {
        try expect(type, .varint)
        return try varint()
    }

    /// A field of one of the types `sint32` and `sint64`.
    mutating func signed(_ type: WireType) throws(ByteError) -> Int64 {
        let value = try integer(type)
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    /// Passes over a field that is of no interest.
    mutating func skip(_ type: WireType) throws(ByteError) {
        switch type {
        case .varint: _ = try varint()
        case .bytes: _ = try bytes(type)
        case .fixed64, .fixed32:
            let width = type == .fixed64 ? 8 : 4
            guard bytes.count - position >= width else { throw cut("a number") }
            position += width
        }
    }

    @inline(__always)
    private mutating func varint() throws(ByteError) -> UInt64 {
        if position < bytes.count, bytes[position] < 0x80 {
            defer { position += 1 }
            return UInt64(bytes[position])
        }
        var reader = ByteReader(bytes, at: position)
        let value = try reader.varint()
        position = reader.offset
        return value
    }

    @inline(__always)
    private mutating func slice(_ length: Int) -> UnsafeRawBufferPointer {
        defer { position += length }
        return UnsafeRawBufferPointer(start: bytes.baseAddress.map { $0 + position }, count: length)
    }

    @inline(__always)
    private func expect(_ found: WireType, _ wanted: WireType) throws(ByteError) {
        guard found == wanted else {
            throw ByteError(offset: position, reason: "a field of the wrong type: \(found), expected \(wanted)")
        }
    }

    private func cut(_ what: String) -> ByteError {
        ByteError(offset: position, reason: "\(what) that is cut short")
    }
}
