internal import Telemetry

/// Writes the fields of Protocol Buffers messages (protobuf.dev, "Encoding"), numbers that are zero too.
struct ProtobufEncoder {
    private(set) var bytes = ByteWriter()

    /// A field of one of the types `int64`, `uint64`, `int32`, `uint32` or an enumeration.
    mutating func integer(_ number: UInt32, _ value: UInt64) {
        tag(number, .varint)
        bytes.putVarint(value)
    }

    /// A field of one of the types `sint32` and `sint64`.
    mutating func signed(_ number: UInt32, _ value: Int64) {
        tag(number, .varint)
        bytes.putSigned(value)
    }

    /// A field of the type `double`.
    mutating func double(_ number: UInt32, _ value: Double) {
        tag(number, .fixed64)
        bytes.putDouble(value)
    }

    /// A field of the type `string`.
    mutating func text(_ number: UInt32, _ text: String) {
        tag(number, .bytes)
        bytes.putString(text)
    }

    /// A field of the type `bytes`, or packed numbers.
    mutating func run(_ number: UInt32, _ run: [UInt8]) {
        tag(number, .bytes)
        bytes.putPrefixed(run)
    }

    /// A field that is a message.
    mutating func message(_ number: UInt32, _ body: (inout ProtobufEncoder) -> Void) {
        var inner = ProtobufEncoder()
        body(&inner)
        run(number, inner.bytes.bytes)
    }

    private mutating func tag(_ number: UInt32, _ type: ProtobufReader.WireType) {
        bytes.putVarint(UInt64(number) << 3 | UInt64(type.rawValue))
    }
}
