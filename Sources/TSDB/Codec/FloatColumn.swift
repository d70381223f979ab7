internal import Telemetry

/// Encodes the values of one series in one strip with the smallest codec that gives every bit pattern back:
/// NaN payloads, minus zero, infinities and subnormal numbers included.
enum FloatColumn {
    /// How a column's bytes are to be read. New codecs get new numbers; docs/formats/metric-block.md lists them.
    enum Codec: UInt8 {
        /// One bit pattern for all rows.
        case constant = 0
        /// One scaled integer for all rows.
        case constantDecimal = 1
        /// Scaled integers with patched exceptions.
        case decimal = 2
        /// XOR with the value before.
        case xor = 3
        /// Eight bytes each.
        case raw = 4
    }

    /// A column as bytes, and as integers where it is wholly those.
    struct Encoded {
        var bytes: [UInt8]
        /// The integers and their exponent when no value is an exception; aggregates are then exact and short.
        var decimals: Decimals?
    }

    /// Values as integers divided by a power of ten.
    struct Decimals {
        var exponent: Int
        var integers: [Int64]
    }

    /// Encodes bit patterns, of which there must be at least one.
    static func encode(_ bits: ArraySlice<UInt64>) -> Encoded {
        guard let first = bits.first else { return Encoded(bytes: []) }
        let isConstant = !bits.contains { $0 != first }
        guard let exponent = DecimalScale.exponent(for: isConstant ? bits.prefix(1) : bits) else {
            return isConstant ? constant(first) : fallback(bits)
        }
        if isConstant {
            guard let integer = DecimalScale.integer(first, exponent: exponent) else { return constant(first) }
            var writer = ByteWriter(capacity: 12)
            writer.put(Codec.constantDecimal.rawValue)
            writer.put(UInt8(exponent))
            writer.putSigned(integer)
            let all = [Int64](repeating: integer, count: bits.count)
            let encoded = Encoded(bytes: writer.bytes, decimals: Decimals(exponent: exponent, integers: all))
            return writer.count < 9 ? encoded : Encoded(bytes: constant(first).bytes, decimals: encoded.decimals)
        }
        guard let decimal = decimals(bits, exponent: exponent) else { return fallback(bits) }
        // A column that hardly shrinks this way may shrink more as XOR.
        guard decimal.bytes.count * 10 > bits.count * 8 * 7 else { return decimal }
        let other = fallback(bits)
        return other.bytes.count < decimal.bytes.count
            ? Encoded(bytes: other.bytes, decimals: decimal.decimals) : decimal
    }

    /// Reads `count` bit patterns from all of `bytes`.
    static func decode(count: Int, from bytes: UnsafeRawBufferPointer) throws(ByteError) -> [UInt64] {
        var reader = ByteReader(bytes)
        guard let codec = Codec(rawValue: try reader.byte()) else {
            throw ByteError(offset: 0, reason: "value codec \(bytes[0]) is not known")
        }
        var values: [UInt64]
        switch codec {
        case .constant:
            values = [UInt64](repeating: try reader.fixed(), count: count)
        case .constantDecimal:
            let exponent = try exponentByte(&reader)
            let bits = DecimalScale.bits(try reader.signed(), exponent: exponent)
            values = [UInt64](repeating: bits, count: count)
        case .decimal:
            values = try decodeDecimals(count: count, from: &reader)
        case .xor:
            values = try XORColumn.decode(count: count, from: try reader.slice(reader.remaining))
        case .raw:
            values = []
            values.reserveCapacity(min(count, reader.remaining / 8))
            for _ in 0..<count { values.append(try reader.fixed()) }
        }
        guard reader.isAtEnd else {
            throw ByteError(offset: reader.offset, reason: "\(reader.remaining) bytes behind the column's end")
        }
        return values
    }

    private static func constant(_ bits: UInt64) -> Encoded {
        var writer = ByteWriter(capacity: 9)
        writer.put(Codec.constant.rawValue)
        writer.putFixed(bits)
        return Encoded(bytes: writer.bytes)
    }

    private static func fallback(_ bits: ArraySlice<UInt64>) -> Encoded {
        let packed = XORColumn.encode(bits)
        if packed.count < bits.count * 8 { return Encoded(bytes: [Codec.xor.rawValue] + packed) }
        var writer = ByteWriter(capacity: 1 + bits.count * 8)
        writer.put(Codec.raw.rawValue)
        for value in bits { writer.putFixed(value) }
        return Encoded(bytes: writer.bytes)
    }

    private static func decimals(_ bits: ArraySlice<UInt64>, exponent: Int) -> Encoded? {
        var integers: [Int64] = []
        integers.reserveCapacity(bits.count)
        var exceptions: [(index: Int, bits: UInt64)] = []
        for (index, value) in bits.enumerated() {
            if let integer = DecimalScale.integer(value, exponent: exponent) {
                integers.append(integer)
            } else {
                exceptions.append((index, value))
                // The neighbour's value costs no bits in its place.
                integers.append(integers.last ?? 0)
            }
        }
        guard exceptions.count * 6 <= bits.count else { return nil }
        var writer = ByteWriter(capacity: bits.count)
        writer.put(Codec.decimal.rawValue)
        writer.put(UInt8(exponent))
        writer.putVarint(UInt64(exceptions.count))
        var next = 0
        for exception in exceptions {
            writer.putVarint(UInt64(exception.index - next))
            writer.putFixed(exception.bits)
            next = exception.index + 1
        }
        IntegerColumn.encode(integers, into: &writer)
        let decimals = exceptions.isEmpty ? Decimals(exponent: exponent, integers: integers) : nil
        return Encoded(bytes: writer.bytes, decimals: decimals)
    }

    private static func decodeDecimals(count: Int, from reader: inout ByteReader) throws(ByteError) -> [UInt64] {
        let exponent = try exponentByte(&reader)
        var exceptions: [(index: Int, bits: UInt64)] = []
        var next = 0
        for _ in 0..<(try reader.count(upTo: count, "exceptions")) {
            next += try reader.count(upTo: count, "exception gap")
            guard next < count else { throw ByteError(offset: reader.offset, reason: "exception behind the column") }
            exceptions.append((next, try reader.fixed()))
            next += 1
        }
        let integers = try IntegerColumn.decode(count: count, from: &reader)
        let power = DecimalScale.powers[exponent]
        var values = integers.map { (Double($0) / power).bitPattern }
        for exception in exceptions { values[exception.index] = exception.bits }
        return values
    }

    private static func exponentByte(_ reader: inout ByteReader) throws(ByteError) -> Int {
        let exponent = Int(try reader.byte())
        guard exponent <= DecimalScale.exponentMaximum else {
            throw ByteError(offset: reader.offset, reason: "decimal exponent \(exponent) is over 15")
        }
        return exponent
    }
}
