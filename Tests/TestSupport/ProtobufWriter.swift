internal import Telemetry

/// Writes Protocol Buffers messages as foreign senders do, for tests of what reads them.
package struct ProtobufWriter {
    private var writer = ByteWriter()

    /// The message.
    package var bytes: [UInt8] { writer.bytes }

    /// An empty message.
    package init() {}

    /// A message from what `fill` writes.
    package static func message(_ fill: (inout ProtobufWriter) -> Void) -> [UInt8] {
        var writer = ProtobufWriter()
        fill(&writer)
        return writer.bytes
    }

    /// Bytes, or a message within.
    package mutating func put(_ field: Int, _ bytes: [UInt8]) {
        writer.putVarint(UInt64(field << 3 | 2))
        writer.putPrefixed(bytes)
    }

    /// Text.
    package mutating func put(_ field: Int, _ text: String) { put(field, Array(text.utf8)) }

    /// An unsigned or enumerated number.
    package mutating func put(_ field: Int, _ value: UInt64) {
        writer.putVarint(UInt64(field << 3))
        writer.putVarint(value)
    }

    /// `int64`: negative numbers take ten bytes.
    package mutating func put(_ field: Int, _ value: Int64) { put(field, UInt64(bitPattern: value)) }

    /// `sint32` and `sint64`.
    package mutating func putSigned(_ field: Int, _ value: Int64) {
        writer.putVarint(UInt64(field << 3))
        writer.putSigned(value)
    }

    /// `double`.
    package mutating func put(_ field: Int, _ value: Double) {
        writer.putVarint(UInt64(field << 3 | 1))
        writer.putDouble(value)
    }

    /// Packed `double`s.
    package mutating func putPacked(_ field: Int, _ values: [Double]) {
        var packed = ByteWriter()
        for value in values { packed.putDouble(value) }
        put(field, packed.bytes)
    }

    /// Packed `sint64`s.
    package mutating func putPacked(_ field: Int, signed values: [Int64]) {
        var packed = ByteWriter()
        for value in values { packed.putSigned(value) }
        put(field, packed.bytes)
    }

    /// A remote-write series with labels in the order given and its samples.
    package static func series(
        _ labels: [(String, String)], _ samples: [(milliseconds: Int64, value: Double)]
    ) -> [UInt8] {
        message { series in
            for (name, value) in labels {
                series.put(
                    1,
                    message { pair in
                        pair.put(1, name)
                        pair.put(2, value)
                    })
            }
            for sample in samples {
                series.put(
                    2,
                    message { point in
                        point.put(1, sample.value)
                        point.put(2, sample.milliseconds)
                    })
            }
        }
    }

    /// A Loki push with one stream.
    package static func push(_ labels: String, _ lines: [(nanoseconds: Int64, line: [UInt8])]) -> [UInt8] {
        message { push in
            push.put(
                1,
                message { stream in
                    stream.put(1, labels)
                    for line in lines {
                        stream.put(
                            2,
                            message { entry in
                                entry.put(
                                    1,
                                    message { time in
                                        time.put(1, line.nanoseconds / 1_000_000_000)
                                        time.put(2, line.nanoseconds % 1_000_000_000)
                                    })
                                entry.put(2, line.line)
                            })
                    }
                })
        }
    }
}
