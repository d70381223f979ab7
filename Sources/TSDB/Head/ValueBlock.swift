/// Eight values of one series as the head keeps them: decimals as their differences, all others XORed with the value
/// before. Whichever is chosen, the bits come back.
///
/// Shape of decimals: two bytes, the higher first, of 0, decimal places (4 bits), width (6), shift (5); the lowest
/// difference, shifted, as a zigzag-coded varint; how far each is above it, at that width, so `width` bytes. Of all
/// others: the byte 0x78, then as `DifferenceCode` says. The highest bit of the first byte is always 0.
enum ValueBlock {
    /// How many values it holds.
    static let count = 8
    /// The most bytes it takes; a little more is written to.
    static let bytesMaximum = 1 + DifferenceWriter.bytesMaximum(count: count)

    private static let xorHead: UInt8 = 0x78
    /// Decimals of more places are measured, not counted: their differences take as much as they do.
    private static let placesMaximum = 9
    private static let shiftMaximum = 31
    /// From here on XOR may be smaller.
    private static let smallBytes = 20

    /// Writes `values`, which follow on `last`; how many bytes they took.
    static func write(
        _ values: UnsafeBufferPointer<UInt64>, behind last: UInt64, into space: UnsafeMutableRawBufferPointer
    ) -> Int {
        let decimalBytes = writeDecimals(values, behind: last, into: space)
        if decimalBytes > 0, decimalBytes <= smallBytes { return decimalBytes }
        return withUnsafeTemporaryAllocation(byteCount: bytesMaximum, alignment: 8) { other in
            let bytes = writeXORed(values, behind: last, into: other)
            if decimalBytes > 0, decimalBytes <= bytes { return decimalBytes }
            space.copyMemory(from: UnsafeRawBufferPointer(rebasing: other[..<bytes]))
            return bytes
        }
    }

    /// Reads the block at `place`, and moves on behind it.
    static func read(
        _ bytes: UnsafeRawBufferPointer, at place: inout Int, behind last: UInt64,
        into values: UnsafeMutableBufferPointer<UInt64>
    ) {
        if bytes[place] == xorHead {
            var reader = DifferenceReader(UnsafeRawBufferPointer(rebasing: bytes[(place + 1)...]))
            _ = reader.read(into: values)
            place += 1 + reader.place
            var last = last
            for index in values.indices {
                last ^= values[index]
                values[index] = last
            }
        } else {
            readDecimals(bytes, at: &place, behind: last, into: values)
        }
    }

    private static func writeXORed(
        _ values: UnsafeBufferPointer<UInt64>, behind last: UInt64, into space: UnsafeMutableRawBufferPointer
    ) -> Int {
        space[0] = xorHead
        var writer = DifferenceWriter(UnsafeMutableRawBufferPointer(rebasing: space[1...]))
        var last = last
        for value in values {
            writer.put(value ^ last)
            last = value
        }
        return 1 + writer.count
    }
}

// MARK: - Decimals

extension ValueBlock {
    private static func scaling(places: Int) -> ColumnScaling {
        places == 0 ? .integer : ColumnScaling(operation: .divided, exponent: places)
    }

    /// The fewest decimal places that every value has, and the integers they come to; nil where one is no such decimal.
    private static func places(
        of values: UnsafeBufferPointer<UInt64>, into integers: UnsafeMutablePointer<Int64>
    ) -> Int? {
        if ColumnScaling.integer.unscale(values, into: integers) == 0 { return 0 }
        var places = 1
        for value in values {
            while scaling(places: places).integer(value) == nil {
                places += 1
                if places > placesMaximum { return nil }
            }
        }
        return scaling(places: places).unscale(values, into: integers) == 0 ? places : nil
    }

    /// Writes decimals; 0, with nothing written, where the values are none.
    private static func writeDecimals(
        _ values: UnsafeBufferPointer<UInt64>, behind last: UInt64, into space: UnsafeMutableRawBufferPointer
    ) -> Int {
        withUnsafeTemporaryAllocation(of: Int64.self, capacity: count) { steps in
            guard let base = steps.baseAddress, let places = places(of: values, into: base) else { return 0 }
            // A decimal is below 2^53, so no difference of differences has more than 55 bits.
            var previous = scaling(places: places).integer(last) ?? 0
            var lowest = Int64.max
            var bits: UInt64 = 0
            for index in steps.indices {
                let integer = steps[index]
                steps[index] = integer &- previous
                previous = integer
                lowest = min(lowest, steps[index])
                bits |= UInt64(bitPattern: steps[index])
            }
            let shift = min(shiftMaximum, bits.trailingZeroBitCount)
            var spread: UInt64 = 0
            for index in steps.indices { spread |= UInt64(bitPattern: steps[index] &- lowest) >> UInt64(shift) }
            let width = 64 - spread.leadingZeroBitCount
            let head = places << 11 | width << 5 | shift
            space[0] = UInt8(head >> 8)
            space[1] = UInt8(head & 0xff)
            var place = 2
            put(lowest >> Int64(shift), at: &place, in: space)
            for byte in place..<place + width + 8 { space[byte] = 0 }
            for index in steps.indices {
                let offset = UInt64(bitPattern: steps[index] &- lowest) >> UInt64(shift)
                let bit = index * width
                let word = space.loadUnaligned(fromByteOffset: place + bit >> 3, as: UInt64.self)
                space.storeBytes(
                    of: word | (offset << UInt64(bit & 7)).littleEndian, toByteOffset: place + bit >> 3,
                    as: UInt64.self)
            }
            return place + width
        }
    }

    private static func readDecimals(
        _ bytes: UnsafeRawBufferPointer, at place: inout Int, behind last: UInt64,
        into values: UnsafeMutableBufferPointer<UInt64>
    ) {
        let head = Int(bytes[place]) << 8 | Int(bytes[place + 1])
        let (scaling, width, shift) = (scaling(places: head >> 11), head >> 5 & 63, UInt64(head & 31))
        place += 2
        let lowest = signed(bytes, at: &place) << Int64(shift)
        let mask: UInt64 = (1 << UInt64(width)) &- 1
        var integer = scaling.integer(last) ?? 0
        withUnsafeTemporaryAllocation(byteCount: 64 + 8, alignment: 8) { packed in
            // The last words that are loaded reach beyond what was written.
            packed.initializeMemory(as: UInt8.self, repeating: 0)
            packed.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[place..<place + width]))
            withUnsafeTemporaryAllocation(of: Int64.self, capacity: count) { integers in
                for index in integers.indices {
                    let bit = index * width
                    let word = UInt64(
                        littleEndian: packed.loadUnaligned(fromByteOffset: bit >> 3, as: UInt64.self))
                    let offset = (word >> UInt64(bit & 7)) & mask
                    integer = integer &+ lowest &+ Int64(bitPattern: offset << shift)
                    integers[index] = integer
                }
                guard let bits = values.baseAddress else { return }
                scaling.scale(UnsafeBufferPointer(integers), first: 0, divisor: 1, into: bits)
            }
        }
        place += width
    }

    private static func put(_ value: Int64, at place: inout Int, in space: UnsafeMutableRawBufferPointer) {
        var rest = UInt64(bitPattern: (value << 1) ^ (value >> 63))
        while rest >= 0x80 {
            space[place] = UInt8(truncatingIfNeeded: rest) | 0x80
            rest >>= 7
            place += 1
        }
        space[place] = UInt8(rest)
        place += 1
    }

    private static func signed(_ bytes: UnsafeRawBufferPointer, at place: inout Int) -> Int64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = bytes[place]
            place += 1
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1) }
            shift += 7
        }
    }
}
