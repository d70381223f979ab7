internal import Telemetry

/// One double in 1 to 9 bytes, bit for bit: whole numbers as a varint, all others as they are.
///
/// Shape: a varint whose lowest bit is 0 holds a whole number, zigzag-coded and shifted left by one; the byte 1
/// stands in front of the eight bytes of any other double (also of -0, infinities, every NaN and the stale marker).
enum NumberCode {
    /// Beyond, the varint would be as long as the double.
    private static let wholeMaximum = 0x1p53

    static func write(_ value: Double, to writer: inout ByteWriter) {
        if value.magnitude < wholeMaximum {
            let whole = Int64(value)
            if Double(whole).bitPattern == value.bitPattern {
                writer.putVarint(UInt64(bitPattern: (whole << 1) ^ (whole >> 63)) << 1)
                return
            }
        }
        writer.put(1)
        writer.putDouble(value)
    }

    static func read(_ reader: inout ByteReader) throws(ByteError) -> Double {
        let start = reader.offset
        let code = try reader.varint()
        if code & 1 == 0 {
            let zigzag = code >> 1
            return Double(Int64(bitPattern: zigzag >> 1) ^ -Int64(bitPattern: zigzag & 1))
        }
        guard code == 1 else { throw ByteError(offset: start, reason: "unknown code of a number") }
        return try reader.double()
    }
}
