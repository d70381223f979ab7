/// A remote-write request (`prometheus.WriteRequest` of Prometheus' remote write 1.0) of series that have one sample
/// each, of values that no codec makes smaller.
package enum RemoteWriteBody {
    /// What it is sent as.
    package static let mediaType = "application/x-protobuf"

    /// The series `name{instance="0", job=job, series="0" ...}`, each with a random value at one time.
    package static func noise(_ name: String, job: String, series: Int, at milliseconds: Int64) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        var request: [UInt8] = []
        for number in 0..<series {
            var one: [UInt8] = []
            for (label, value) in [("__name__", name), ("instance", "0"), ("job", job), ("series", "\(number)")] {
                put(1, message(label, value), into: &one)
            }
            // 0x3ff: between 1 and 2, a number in any case.
            let bits = 0x3ff << 52 | UInt64.random(in: 0..<1 << 52, using: &generator)
            var sample: [UInt8] = [1 << 3 | 1]
            withUnsafeBytes(of: bits.littleEndian) { sample += Array($0) }
            sample.append(2 << 3)
            putVarint(UInt64(milliseconds), into: &sample)
            put(2, sample, into: &one)
            put(1, one, into: &request)
        }
        return snappy(request)
    }

    private static func message(_ name: String, _ value: String) -> [UInt8] {
        var label: [UInt8] = []
        put(1, Array(name.utf8), into: &label)
        put(2, Array(value.utf8), into: &label)
        return label
    }

    private static func put(_ field: UInt8, _ bytes: [UInt8], into message: inout [UInt8]) {
        message.append(field << 3 | 2)
        putVarint(UInt64(bytes.count), into: &message)
        message += bytes
    }

    private static func putVarint(_ value: UInt64, into bytes: inout [UInt8]) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// Snappy's block format with literals only, as noise would be in any case.
    private static func snappy(_ bytes: [UInt8]) -> [UInt8] {
        var coded: [UInt8] = []
        putVarint(UInt64(bytes.count), into: &coded)
        for start in stride(from: 0, to: bytes.count, by: 1 << 16) {
            let piece = bytes[start..<min(start + 1 << 16, bytes.count)]
            // A literal whose length less one stands in the two bytes behind.
            coded.append(61 << 2)
            coded.append(UInt8((piece.count - 1) & 0xff))
            coded.append(UInt8((piece.count - 1) >> 8))
            coded += piece
        }
        return coded
    }
}
