internal import Glibc

/// Reads whole columns of values as one type; nil as soon as a value would not be written the same way again.
enum ValueParsing {
    typealias Bytes = UnsafePointer<UInt8>

    /// Decimal integers: no leading zeros, no plus, no minus zero, at most 18 digits.
    static func integers(_ values: [SlotValue], in base: Bytes) -> [Int64]? {
        var result = [Int64](repeating: 0, count: values.count)
        for index in values.indices {
            guard let value = integer(base + Int(values[index].start), Int(values[index].count)) else { return nil }
            result[index] = value
        }
        return result
    }

    @inline(__always)
    static func integer(_ bytes: Bytes, _ count: Int) -> Int64? {
        var index = 0
        let isNegative = count > 0 && bytes[0] == UInt8(ascii: "-")
        if isNegative { index = 1 }
        guard count > index, count - index <= 18 else { return nil }
        if bytes[index] == UInt8(ascii: "0"), count > index + 1 || isNegative { return nil }
        var value: Int64 = 0
        while index < count {
            let digit = bytes[index] &- UInt8(ascii: "0")
            if digit > 9 { return nil }
            value = value &* 10 &+ Int64(digit)
            index += 1
        }
        return isNegative ? -value : value
    }

    /// Digits of one width of at most 18.
    static func fixed(_ values: [SlotValue], in base: Bytes) -> [Int64]? {
        var result = [Int64](repeating: 0, count: values.count)
        for index in values.indices {
            let bytes = base + Int(values[index].start)
            var value: Int64 = 0
            for place in 0..<Int(values[index].count) {
                let digit = bytes[place] &- UInt8(ascii: "0")
                if digit > 9 { return nil }
                value = value &* 10 &+ Int64(digit)
            }
            result[index] = value
        }
        return result
    }

    /// Decimal fractions: digits, a point, digits; no leading zeros before the last one before the point.
    static func decimals(_ values: [SlotValue], in base: Bytes) -> (mantissas: [Int64], scales: [Int64])? {
        var mantissas = [Int64](repeating: 0, count: values.count)
        var scales = mantissas
        for index in values.indices {
            let bytes = base + Int(values[index].start)
            let count = Int(values[index].count)
            let isNegative = bytes[0] == UInt8(ascii: "-")
            let start = isNegative ? 1 : 0
            guard count - start >= 3, count - start <= 18 else { return nil }
            var point = start
            var value: Int64 = 0
            while point < count, bytes[point] != UInt8(ascii: ".") {
                let digit = bytes[point] &- UInt8(ascii: "0")
                if digit > 9 { return nil }
                value = value &* 10 &+ Int64(digit)
                point += 1
            }
            let whole = point - start
            guard whole > 0, whole == 1 || bytes[start] != UInt8(ascii: "0"), point + 1 < count else { return nil }
            for place in point + 1..<count {
                let digit = bytes[place] &- UInt8(ascii: "0")
                if digit > 9 { return nil }
                value = value &* 10 &+ Int64(digit)
            }
            if isNegative && value == 0 { return nil }
            mantissas[index] = isNegative ? -value : value
            scales[index] = Int64(count - point - 1)
        }
        return (mantissas, scales)
    }

    /// IPv4 addresses without leading zeros.
    static func addresses(_ values: [SlotValue], in base: Bytes) -> [Int64]? {
        var result = [Int64](repeating: 0, count: values.count)
        for index in values.indices {
            let bytes = base + Int(values[index].start)
            let count = Int(values[index].count)
            var address: Int64 = 0
            var place = 0
            for octet in 0..<4 {
                let start = place
                var value: Int64 = 0
                while place < count, bytes[place] != UInt8(ascii: "."), place - start < 4 {
                    let digit = bytes[place] &- UInt8(ascii: "0")
                    if digit > 9 { return nil }
                    value = value &* 10 &+ Int64(digit)
                    place += 1
                }
                let digits = place - start
                guard digits > 0, value < 256, digits == 1 || bytes[start] != UInt8(ascii: "0") else { return nil }
                address = address << 8 | value
                if octet < 3 {
                    guard place < count, bytes[place] == UInt8(ascii: ".") else { return nil }
                    place += 1
                }
            }
            guard place == count else { return nil }
            result[index] = address
        }
        return result
    }

    @inline(__always)
    private static func nibble(_ byte: UInt8) -> UInt8? {
        let digit = byte &- UInt8(ascii: "0")
        if digit < 10 { return digit }
        let letter = (byte | 0x20) &- UInt8(ascii: "a")
        return letter < 6 ? letter + 10 : nil
    }

    /// Up to 16 hexadecimal digits.
    static func hexadecimal(_ values: [SlotValue], in base: Bytes) -> [Int64]? {
        var result = [Int64](repeating: 0, count: values.count)
        for index in values.indices {
            let bytes = base + Int(values[index].start)
            var value: UInt64 = 0
            for place in 0..<Int(values[index].count) {
                guard let nibble = nibble(bytes[place]) else { return nil }
                value = value << 4 | UInt64(nibble)
            }
            result[index] = Int64(bitPattern: value)
        }
        return result
    }

    /// Hexadecimal digits, two to a byte; the last byte of a value with an odd number of them has its high half used.
    static func packed(_ values: [SlotValue], in base: Bytes, skipsHyphens: Bool) -> [UInt8]? {
        guard let first = values.first else { return nil }
        let digits = skipsHyphens ? 32 : Int(first.count)
        let stride = (digits + 1) / 2
        var result = [UInt8](repeating: 0, count: values.count * stride)
        for index in values.indices {
            let bytes = base + Int(values[index].start)
            var place = 0
            for digit in 0..<digits {
                if skipsHyphens, place == 8 || place == 13 || place == 18 || place == 23 {
                    guard bytes[place] == UInt8(ascii: "-") else { return nil }
                    place += 1
                }
                guard let nibble = nibble(bytes[place]) else { return nil }
                result[index * stride + digit / 2] |= digit & 1 == 0 ? nibble << 4 : nibble
                place += 1
            }
        }
        return result
    }

    /// Points in time of one form, as their distance to `times` of their rows.
    static func timestamps(_ values: [SlotValue], in base: Bytes, times: [Int64]) -> (TimestampForm, [Int64])? {
        guard let first = values.first,
            let form = TimestampForm(UnsafeRawBufferPointer(start: base + Int(first.start), count: Int(first.count)))
        else { return nil }
        var result = [Int64](repeating: 0, count: values.count)
        let unit = form.unitNanoseconds
        for index in values.indices {
            let value = values[index]
            let text = UnsafeRawBufferPointer(start: base + Int(value.start), count: Int(value.count))
            guard let units = form.value(of: text) else { return nil }
            result[index] = units &- floor(times[Int(value.row)], unit)
        }
        return (form, result)
    }

    /// `nanoseconds` in whole units, rounded down.
    @inline(__always)
    static func floor(_ nanoseconds: Int64, _ unit: Int64) -> Int64 {
        let quotient = nanoseconds / unit
        return nanoseconds < 0 && quotient * unit != nanoseconds ? quotient - 1 : quotient
    }

    /// The distinct values in the order in which they come, and for each value which; nil beyond `limit` of them.
    static func dictionary(
        _ values: [SlotValue], in base: Bytes, limit: Int
    ) -> (distinct: [SlotValue], indexes: [Int64])? {
        var places = [Int32](repeating: -1, count: 64)
        var hashes: [UInt32] = []
        var distinct: [SlotValue] = []
        var indexes = [Int64](repeating: 0, count: values.count)
        for index in values.indices {
            let value = values[index]
            let hash = hash(base + Int(value.start), Int(value.count))
            var place = Int(hash) & (places.count - 1)
            var found: Int32 = -1
            while places[place] >= 0 {
                let candidate = Int(places[place])
                let known = distinct[candidate]
                if hashes[candidate] == hash, known.count == value.count,
                    memcmp(base + Int(known.start), base + Int(value.start), Int(value.count)) == 0
                {
                    found = Int32(candidate)
                    break
                }
                place = (place + 1) & (places.count - 1)
            }
            if found < 0 {
                guard distinct.count < limit else { return nil }
                found = Int32(distinct.count)
                places[place] = found
                distinct.append(value)
                hashes.append(hash)
                if distinct.count * 2 > places.count { places = grown(places.count * 4, hashes) }
            }
            indexes[index] = Int64(found)
        }
        return (distinct, indexes)
    }

    private static func grown(_ count: Int, _ hashes: [UInt32]) -> [Int32] {
        var places = [Int32](repeating: -1, count: count)
        for (index, hash) in hashes.enumerated() {
            var place = Int(hash) & (count - 1)
            while places[place] >= 0 { place = (place + 1) & (count - 1) }
            places[place] = Int32(index)
        }
        return places
    }

    @inline(__always)
    private static func hash(_ bytes: Bytes, _ count: Int) -> UInt32 {
        UInt32(truncatingIfNeeded: WordHash.hash(UnsafeRawBufferPointer(start: bytes, count: count)))
    }
}
