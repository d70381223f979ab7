/// Packs unsigned integers of one width behind each other, lowest bit first, without gaps.
///
/// Shape: value `i` occupies bits `i * width ..< (i + 1) * width` of the bytes, bit 0 being the lowest of the first
/// byte.
enum BitPacking {
    /// The bytes that `count` values of `width` bits take.
    static func byteCount(count: Int, width: Int) -> Int { (count * width + 7) / 8 }

    /// The bits needed for `value`; 0 needs none.
    static func width(of value: UInt64) -> Int { 64 - value.leadingZeroBitCount }

    /// Appends the lowest `width` bits of each value.
    static func pack(_ values: UnsafeBufferPointer<UInt64>, width: Int, into bytes: inout [UInt8]) {
        guard width > 0 else { return }
        let mask: UInt64 = width == 64 ? .max : (1 &<< UInt64(width)) &- 1
        var word: UInt64 = 0
        var filled = 0
        for value in values {
            let kept = value & mask
            word |= kept &<< UInt64(filled)
            filled += width
            guard filled >= 64 else { continue }
            withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
            filled -= 64
            word = filled == 0 ? 0 : kept &>> UInt64(width - filled)
        }
        while filled > 0 {
            bytes.append(UInt8(truncatingIfNeeded: word))
            word &>>= 8
            filled -= 8
        }
    }

    /// Fills `values` from bytes that `pack` wrote. `bytes` must hold `byteCount(count:width:)` of them.
    static func unpack(_ bytes: UnsafeRawBufferPointer, width: Int, into values: UnsafeMutableBufferPointer<UInt64>) {
        guard width > 0 else {
            values.update(repeating: 0)
            return
        }
        let mask: UInt64 = width == 64 ? .max : (1 &<< UInt64(width)) &- 1
        var bit = 0
        for index in values.indices {
            let start = bit &>> 3
            let shift = UInt64(bit & 7)
            var value = load(bytes, at: start) &>> shift
            // A value of more than 57 bits may reach into a ninth byte.
            if shift > 0, Int(shift) + width > 64 { value |= UInt64(bytes[start + 8]) &<< (64 - shift) }
            values[index] = value & mask
            bit += width
        }
    }

    /// Eight bytes from `offset`, zeros where the buffer ends before.
    @inline(__always)
    private static func load(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UInt64 {
        if offset + 8 <= bytes.count {
            return UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        var value: UInt64 = 0
        var shift: UInt64 = 0
        for index in offset..<bytes.count {
            value |= UInt64(bytes[index]) &<< shift
            shift += 8
        }
        return value
    }
}
