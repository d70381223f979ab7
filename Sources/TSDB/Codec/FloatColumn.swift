internal import CKernels
internal import Telemetry

/// How one column of doubles was encoded: what its header says, and how its body is read back, bit for bit.
///
/// Values become integers by a scaling; the integers become small by a transform; what is left is written as residuals.
struct FloatColumn: Sendable, Equatable {
    /// What the residuals are differences to.
    enum Transform: UInt8, Sendable {
        /// To the first value.
        case offsets = 0
        /// To the value before.
        case differences = 1
        /// Differences to the difference before.
        case secondDifferences = 2
        /// Differences to the value before, less those of another column.
        case reference = 3
    }

    var scaling: ColumnScaling
    var transform = Transform.offsets
    var residuals = ResidualColumn.Kind.flat
    /// Whether values that do not fit the scaling stand in front of the body.
    var hasExceptions = false
    /// The integer of the first value; the others are `first + k * divisor`.
    var first: Int64 = 0
    var divisor: UInt64 = 1
    /// How many columns before it in the strip the one is that it is a difference to; 0 for none.
    var referenceDistance = 0

    private static let moreFlag: UInt8 = 0x80
    private static let divisorFlag: UInt8 = 0b1
    private static let exceptionsFlag: UInt8 = 0b10

    /// Appends the header: operation (bits 0-2), transform (3-4), residuals (5-6), more (7); more; exponent; first;
    /// divisor; reference.
    func encode(into writer: inout ByteWriter) {
        let hasMore = divisor != 1 || hasExceptions
        writer.put(
            scaling.operation.rawValue | transform.rawValue << 3 | residuals.rawValue << 5
                | (hasMore ? Self.moreFlag : 0))
        if hasMore {
            writer.put((divisor != 1 ? Self.divisorFlag : 0) | (hasExceptions ? Self.exceptionsFlag : 0))
        }
        if scaling.operation.hasExponent { writer.put(UInt8(scaling.exponent)) }
        guard scaling.operation.hasIntegers else { return }
        writer.putSigned(first)
        if divisor != 1 { writer.putVarint(divisor) }
        if transform == .reference { writer.putVarint(UInt64(referenceDistance)) }
    }

    /// Reads the header of column `index` of a strip.
    init(index: Int, from reader: inout ByteReader) throws(ByteError) {
        let place = reader.offset
        let head = try reader.byte()
        guard let operation = ColumnScaling.Operation(rawValue: head & 7),
            let transform = Transform(rawValue: head >> 3 & 3),
            let residuals = ResidualColumn.Kind(rawValue: head >> 5 & 3)
        else { throw ByteError(offset: place, reason: "value codec \(head) is not known") }
        self.transform = transform
        self.residuals = residuals
        let more = head & Self.moreFlag != 0 ? try reader.byte() : 0
        guard more & ~(Self.divisorFlag | Self.exceptionsFlag) == 0 else {
            throw ByteError(offset: place, reason: "value codec \(head) with unknown flags \(more)")
        }
        hasExceptions = more & Self.exceptionsFlag != 0
        scaling = ColumnScaling(operation: operation)
        if operation.hasExponent {
            scaling.exponent = Int(try reader.byte())
            guard scaling.exponent <= ColumnScaling.exponentMaximum else {
                throw ByteError(offset: place, reason: "decimal exponent \(scaling.exponent) is over 15")
            }
        }
        guard operation.hasIntegers else { return }
        first = try reader.signed()
        if more & Self.divisorFlag != 0 { divisor = try reader.varint() }
        if transform == .reference {
            referenceDistance = try reader.count(upTo: index, "distance of a reference")
            guard referenceDistance > 0 else { throw ByteError(offset: place, reason: "a column refers to itself") }
        }
    }

    /// A header to be filled in.
    init(scaling: ColumnScaling) {
        self.scaling = scaling
    }

    /// What is read of a body: integers as multiples of the divisor from the first value on, and what else is needed.
    struct Integers {
        var values: [Int64]
        /// Units in the last place to be added, or empty.
        var corrections: [Int64] = []
        var exceptions: [ValueException] = []
    }

    /// Reads a body of `count` values with integers; `reference` gives those of the column it refers to.
    func integers(
        count: Int, from body: UnsafeRawBufferPointer, reference: () throws -> [Int64]
    ) throws -> Integers {
        if isPlainlyPacked {
            return Integers(values: try packedIntegers(count: count, from: body, reference: reference))
        }
        var reader = ByteReader(body)
        var result = Integers(values: [])
        if hasExceptions { result.exceptions = try ValueException.list(count: count, from: &reader) }
        if scaling.operation == .corrected {
            var main = ByteReader(try reader.prefixed())
            result.values = try values(count: count, from: &main, reference: reference)
            guard let kind = ResidualColumn.Kind(rawValue: try reader.byte()) else {
                throw ByteError(offset: reader.offset, reason: "corrections of an unknown kind")
            }
            result.corrections = try Self.read(kind, count: count, skipping: 0, from: &reader)
        } else {
            result.values = try values(count: count, from: &reader, reference: reference)
        }
        return result
    }

    private func values(
        count: Int, from reader: inout ByteReader, reference: () throws -> [Int64]
    ) throws -> [Int64] {
        let known = transform == .secondDifferences ? min(count, 2) : min(count, 1)
        let slope = transform == .secondDifferences ? try reader.signed() : 0
        var values = try Self.read(residuals, count: count - known, skipping: known, from: &reader)
        let other = transform == .reference ? try reference() : []
        guard transform != .reference || other.count == count else {
            throw ByteError(offset: reader.offset, reason: "a reference of \(other.count) values for \(count)")
        }
        values.withUnsafeMutableBufferPointer { values in
            IntegerTransform.restore(values, transform, slope: slope, reference: other)
        }
        return values
    }

    private static func read(
        _ kind: ResidualColumn.Kind, count: Int, skipping: Int, from reader: inout ByteReader
    ) throws(ByteError) -> [Int64] {
        var failure: ByteError?
        var inner = reader
        let values = [Int64](unsafeUninitializedCapacity: count + skipping) { buffer, initialized in
            guard let start = buffer.baseAddress else { return }
            (0..<skipping).forEach { start[$0] = 0 }
            do throws(ByteError) {
                try ResidualColumn.read(kind, count: count, from: &inner, into: start + skipping)
                guard inner.isAtEnd || kind == .entropy else {
                    throw ByteError(offset: inner.offset, reason: "\(inner.remaining) bytes behind the column's end")
                }
                initialized = count + skipping
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        reader = inner
        return values
    }

    /// Reads a whole body of `count` values as bit patterns. `reference` are the integers of the column it refers to,
    /// if it does; its own go to `integers`, where somebody will refer to it.
    func read(
        count: Int, from body: UnsafeRawBufferPointer, reference: [Int64],
        integers: UnsafeMutablePointer<Int64>? = nil, into bits: UnsafeMutablePointer<UInt64>
    ) throws {
        switch scaling.operation {
        case .xor: bits.update(from: try XORColumn.decode(count: count, from: body), count: count)
        case .raw:
            var reader = ByteReader(body)
            for index in 0..<count { bits[index] = try reader.fixed() }
            guard reader.isAtEnd else { throw ByteError(offset: reader.offset, reason: "bytes behind raw values") }
        default:
            guard isPacked else {
                let found = try self.integers(count: count, from: body) { reference }
                integers?.update(from: found.values, count: count)
                return put(found, into: bits)
            }
            var reader = ByteReader(body)
            let exceptions = hasExceptions ? try ValueException.list(count: count, from: &reader) : []
            let other = try checked({ reference }, count: count)
            let isRight = scaling.decodePacked(
                UnsafeRawBufferPointer(rebasing: body[reader.offset...]), count: count,
                isSummed: transform != .offsets, reference: other, first: first, divisor: divisor, into: bits,
                integers: integers)
            guard isRight else { throw ByteError(offset: 0, reason: "packed column does not end where it should") }
            Self.put(exceptions, into: bits)
        }
    }

    /// As `read`, into an array.
    func bits(count: Int, from body: UnsafeRawBufferPointer, reference: [Int64]) throws -> [UInt64] {
        try [UInt64](unsafeUninitializedCapacity: count) { bits, initialized in
            guard let start = bits.baseAddress else { return }
            try read(count: count, from: body, reference: reference, into: start)
            initialized = count
        }
    }

    /// Whether nothing but packed residuals is in the body, behind exceptions.
    private var isPacked: Bool {
        residuals == .packed && scaling.operation != .corrected && transform != .secondDifferences
    }

    private var isPlainlyPacked: Bool { isPacked && !hasExceptions }

    private func checked(_ reference: () throws -> [Int64], count: Int) throws -> [Int64] {
        let other = transform == .reference ? try reference() : []
        guard transform != .reference || other.count == count else {
            throw ByteError(offset: 0, reason: "a reference of \(other.count) values for \(count)")
        }
        return other
    }

    private func packedIntegers(
        count: Int, from body: UnsafeRawBufferPointer, reference: () throws -> [Int64]
    ) throws -> [Int64] {
        let other = try checked(reference, count: count)
        var isRight = false
        let integers = [Int64](unsafeUninitializedCapacity: count) { integers, initialized in
            guard let start = integers.baseAddress else { return }
            isRight = other.withUnsafeBufferPointer { other in
                vedette_integers_packed(
                    body.baseAddress, body.count, count, transform == .offsets ? 0 : 1,
                    other.isEmpty ? nil : other.baseAddress, start) == 0
            }
            initialized = isRight ? count : 0
        }
        guard isRight else { throw ByteError(offset: 0, reason: "packed column does not end where it should") }
        return integers
    }

    private func put(_ integers: Integers, into bits: UnsafeMutablePointer<UInt64>) {
        let count = integers.values.count
        integers.values.withUnsafeBufferPointer { scaling.scale($0, first: first, divisor: divisor, into: bits) }
        if !integers.corrections.isEmpty {
            IntegerTransform.add(integers.corrections, to: UnsafeMutableBufferPointer(start: bits, count: count))
        }
        Self.put(integers.exceptions, into: bits)
    }

    private static func put(_ exceptions: [ValueException], into bits: UnsafeMutablePointer<UInt64>) {
        for exception in exceptions {
            (bits + exception.range.lowerBound).update(repeating: exception.bits, count: exception.range.count)
        }
    }
}

/// Neighbouring values of a column that do not fit its scaling, all of one bit pattern.
struct ValueException: Equatable {
    var range: Range<Int>
    var bits: UInt64

    /// Appends the number of runs; gap, length less one and bits of each.
    static func encode(_ exceptions: [ValueException], into writer: inout ByteWriter) {
        writer.putVarint(UInt64(exceptions.count))
        var next = 0
        for exception in exceptions {
            writer.putVarint(UInt64(exception.range.lowerBound - next))
            writer.putVarint(UInt64(exception.range.count - 1))
            writer.putFixed(exception.bits)
            next = exception.range.upperBound
        }
    }

    /// Reads what `encode` wrote for a column of `count` values.
    static func list(count: Int, from reader: inout ByteReader) throws(ByteError) -> [ValueException] {
        var exceptions: [ValueException] = []
        var next = 0
        for _ in 0..<(try reader.count(upTo: count, "exceptions")) {
            let start = next + (try reader.count(upTo: count, "exception gap"))
            let end = start + (try reader.count(upTo: count, "exception run")) + 1
            guard end <= count else { throw ByteError(offset: reader.offset, reason: "exception behind the column") }
            exceptions.append(ValueException(range: start..<end, bits: try reader.fixed()))
            next = end
        }
        return exceptions
    }
}
