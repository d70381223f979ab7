internal import Telemetry

/// Walks the fields of one Protocol Buffers message without copying (protobuf.dev, "Encoding"). Unknown fields are
/// skipped by `skip`, so that senders may be newer than we are.
struct ProtobufReader {
    /// How a field's value is written.
    enum WireType: UInt8 {
        case varint = 0
        case fixed64 = 1
        case bytes = 2
        case fixed32 = 5
    }

    private var reader: ByteReader

    /// Reads the message that `bytes` hold.
    init(_ bytes: UnsafeRawBufferPointer) {
        reader = ByteReader(bytes)
    }

    /// The next field's number and type; nil at the end of the message.
    mutating func next() throws(ByteError) -> (number: UInt32, type: WireType)? {
        if reader.isAtEnd { return nil }
        let start = reader.offset
        let tag = try reader.varint()
        guard tag >> 3 > 0, tag >> 3 <= 0x1fff_ffff, let type = WireType(rawValue: UInt8(tag & 7)) else {
            throw ByteError(offset: start, reason: "no field of a message")
        }
        return (UInt32(tag >> 3), type)
    }

    /// A field of the type `bytes`: text, bytes, a message, packed numbers. Lives as long as the message.
    mutating func bytes(_ type: WireType) throws(ByteError) -> UnsafeRawBufferPointer {
        try expect(type, .bytes)
        return try reader.prefixed()
    }

    /// A field of the type `double`.
    mutating func double(_ type: WireType) throws(ByteError) -> Double {
        try expect(type, .fixed64)
        return try reader.double()
    }

    /// A field of one of the types `int64`, `uint64`, `int32`, `uint32`, `bool` or an enumeration.
    mutating func integer(_ type: WireType) throws(ByteError) -> UInt64 {
        try expect(type, .varint)
        return try reader.varint()
    }

    /// A field of one of the types `sint32` and `sint64`.
    mutating func signed(_ type: WireType) throws(ByteError) -> Int64 {
        try expect(type, .varint)
        return try reader.signed()
    }

    /// Passes over a field that is of no interest.
    mutating func skip(_ type: WireType) throws(ByteError) {
        switch type {
        case .varint: _ = try reader.varint()
        case .fixed64: _ = try reader.slice(8)
        case .bytes: _ = try reader.prefixed()
        case .fixed32: _ = try reader.slice(4)
        }
    }

    private func expect(_ found: WireType, _ wanted: WireType) throws(ByteError) {
        guard found == wanted else {
            throw ByteError(offset: reader.offset, reason: "a field of the wrong type: \(found), expected \(wanted)")
        }
    }
}
