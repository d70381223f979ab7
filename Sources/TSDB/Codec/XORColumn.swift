internal import Telemetry

/// Encodes doubles that no scaling makes integers: each is XORed with the one before and only the bits between the
/// leading and the trailing zeros are kept (Pelkonen et al., "Gorilla", VLDB 2015, section 4.1.2).
enum XORColumn {
    /// Appends the bit patterns; the caller keeps their count.
    static func encode(_ bits: ArraySlice<UInt64>) -> [UInt8] {
        guard let first = bits.first else { return [] }
        var writer = BitWriter()
        writer.put(first, count: 64)
        var previous = first
        var leading = -1
        var trailing = 0
        for value in bits.dropFirst() {
            let difference = value ^ previous
            previous = value
            guard difference != 0 else {
                writer.put(0, count: 1)
                continue
            }
            let zerosBefore = min(difference.leadingZeroBitCount, 31)
            let zerosBehind = difference.trailingZeroBitCount
            if leading >= 0, zerosBefore >= leading, zerosBehind >= trailing {
                writer.put(0b10, count: 2)
            } else {
                (leading, trailing) = (zerosBefore, zerosBehind)
                writer.put(0b11, count: 2)
                writer.put(UInt64(leading), count: 5)
                writer.put(UInt64(64 - leading - trailing - 1), count: 6)
            }
            writer.put(difference >> UInt64(trailing), count: 64 - leading - trailing)
        }
        return writer.finish()
    }

    /// Reads `count` bit patterns that `encode` wrote; `bytes` holds nothing else.
    static func decode(count: Int, from bytes: UnsafeRawBufferPointer) throws(ByteError) -> [UInt64] {
        guard count > 0 else { return [] }
        var reader = BitReader(bytes)
        var previous = try reader.take(64)
        var values = [previous]
        values.reserveCapacity(count)
        var width = 0
        var trailing = 0
        while values.count < count {
            if try reader.take(1) == 1 {
                if try reader.take(1) == 1 {
                    let leading = Int(try reader.take(5))
                    width = Int(try reader.take(6)) + 1
                    trailing = 64 - leading - width
                    guard trailing >= 0 else {
                        throw ByteError(offset: 0, reason: "XOR window of \(leading)+\(width) bits is over 64")
                    }
                }
                guard width > 0 else { throw ByteError(offset: 0, reason: "XOR window used before it was set") }
                previous ^= try reader.take(width) << UInt64(trailing)
            }
            values.append(previous)
        }
        return values
    }
}
