internal import Telemetry

/// Encodes a column of integers as its values, its differences, or the differences of those, whichever is smallest,
/// divided by their common divisor and bit-packed in blocks of 128 with exceptions patched (PFOR, Zukowski et al.
/// 2006).
///
/// Timestamps, start times and decimally scaled values all pass through here. The count is kept by the caller.
/// Arithmetic wraps, so every column of 64-bit integers comes back as it was. docs/formats/metric-block.md has the
/// layout.
enum IntegerColumn {
    /// Values per bit-packed block.
    static let blockCount = 128
    private static let orderMask: UInt8 = 0b11
    private static let divisorFlag: UInt8 = 0b100
    private static let flatFlag: UInt8 = 0b1000
    private static let patchFlag: UInt8 = 0x80

    /// What is left of a column after taking differences `order` times, the smallest taken off, and the divisor out.
    private struct Reduced {
        var order: Int
        var first: Int64 = 0
        var firstDelta: Int64 = 0
        var base: Int64 = 0
        var divisor: UInt64 = 1
        var residuals: [UInt64] = []
        var byteCount = 0
    }

    /// Appends `values`, of which there must be at least one.
    static func encode(_ values: [Int64], into writer: inout ByteWriter) {
        var best = reduce(values, order: 0)
        for order in 1...2 where values.count > order {
            let candidate = reduce(values, order: order)
            if candidate.byteCount < best.byteCount { best = candidate }
        }
        write(best, into: &writer)
    }

    /// Reads `count` values that `encode` wrote.
    static func decode(count: Int, from reader: inout ByteReader) throws(ByteError) -> [Int64] {
        guard count > 0 else { return [] }
        let start = reader.offset
        let head = try reader.byte()
        let order = Int(head & orderMask)
        guard order <= 2, order < count || (order == 0 && count == 1), head & 0xf0 == 0 else {
            throw ByteError(offset: start, reason: "integer column of an unknown kind \(head)")
        }
        let first = order > 0 ? try reader.signed() : 0
        let firstDelta = order > 1 ? try reader.signed() : 0
        let base = try reader.signed()
        let divisor = head & divisorFlag != 0 ? try reader.varint() : 1
        var values = [Int64](repeating: base, count: count)
        if head & flatFlag == 0 {
            try decodeBlocks(into: &values, from: order, base: base, divisor: divisor, reader: &reader)
        }
        restore(&values, order: order, first: first, firstDelta: firstDelta)
        return values
    }

    private static func reduce(_ values: [Int64], order: Int) -> Reduced {
        var reduced = Reduced(order: order)
        var differences = values
        if order >= 1 {
            reduced.first = values[0]
            differences = zip(values.dropFirst(), values).map { $0 &- $1 }
        }
        if order == 2 {
            reduced.firstDelta = differences[0]
            differences = zip(differences.dropFirst(), differences).map { $0 &- $1 }
        }
        reduced.base = differences.min() ?? 0
        let base = reduced.base
        var divisor: UInt64 = 0
        reduced.residuals = differences.map { UInt64(bitPattern: $0 &- base) }
        for residual in reduced.residuals where residual != 0 {
            divisor = greatestCommonDivisor(residual, divisor)
            if divisor == 1 { break }
        }
        reduced.divisor = max(divisor, 1)
        if divisor > 1 {
            for index in reduced.residuals.indices { reduced.residuals[index] /= divisor }
        }
        reduced.byteCount = byteCount(of: reduced)
        return reduced
    }

    private static func byteCount(of reduced: Reduced) -> Int {
        var total = 1 + signedByteCount(reduced.base)
        if reduced.order >= 1 { total += signedByteCount(reduced.first) }
        if reduced.order == 2 { total += signedByteCount(reduced.firstDelta) }
        if reduced.divisor > 1 { total += varintByteCount(reduced.divisor) }
        if isFlat(reduced) { return total }
        forEachBlock(reduced.residuals) { block in
            let plan = BlockPlan(block)
            total += 1 + varintByteCount(plan.reference) + plan.byteCount
        }
        return total
    }

    private static func isFlat(_ reduced: Reduced) -> Bool { !reduced.residuals.contains { $0 != 0 } }

    private static func write(_ reduced: Reduced, into writer: inout ByteWriter) {
        let flat = isFlat(reduced)
        var head = UInt8(reduced.order)
        if reduced.divisor > 1 { head |= divisorFlag }
        if flat { head |= flatFlag }
        writer.put(head)
        if reduced.order >= 1 { writer.putSigned(reduced.first) }
        if reduced.order == 2 { writer.putSigned(reduced.firstDelta) }
        writer.putSigned(reduced.base)
        if reduced.divisor > 1 { writer.putVarint(reduced.divisor) }
        if flat { return }
        var packed: [UInt8] = []
        forEachBlock(reduced.residuals) { block in
            let plan = BlockPlan(block)
            writer.put(UInt8(plan.width) | (plan.patchCount > 0 ? patchFlag : 0))
            writer.putVarint(plan.reference)
            let shifted = block.map { $0 - plan.reference }
            if plan.patchCount > 0 {
                writer.put(UInt8(plan.patchCount))
                for (index, value) in shifted.enumerated() where BitPacking.width(of: value) > plan.width {
                    writer.put(UInt8(index))
                    writer.putVarint(value >> UInt64(plan.width))
                }
            }
            packed.removeAll(keepingCapacity: true)
            shifted.withUnsafeBufferPointer { BitPacking.pack($0, width: plan.width, into: &packed) }
            writer.put(packed)
        }
    }

    private static func forEachBlock(_ residuals: [UInt64], _ body: (ArraySlice<UInt64>) -> Void) {
        var start = 0
        while start < residuals.count {
            let end = min(start + blockCount, residuals.count)
            body(residuals[start..<end])
            start = end
        }
    }

    private static func decodeBlocks(
        into values: inout [Int64], from order: Int, base: Int64, divisor: UInt64, reader: inout ByteReader
    ) throws(ByteError) {
        var residuals = [UInt64](repeating: 0, count: blockCount)
        var position = order
        while position < values.count {
            let count = min(blockCount, values.count - position)
            let start = reader.offset
            let head = try reader.byte()
            let width = Int(head & ~patchFlag)
            guard width <= 64 else { throw ByteError(offset: start, reason: "bit width \(width) is over 64") }
            let reference = try reader.varint()
            var patches: [(index: Int, high: UInt64)] = []
            if head & patchFlag != 0 {
                for _ in 0..<(try reader.byte()) {
                    let index = Int(try reader.byte())
                    guard index < count, width < 64 else {
                        throw ByteError(offset: start, reason: "patch \(index) lies outside its block of \(count)")
                    }
                    patches.append((index, try reader.varint() << UInt64(width)))
                }
            }
            let packed = try reader.slice(BitPacking.byteCount(count: count, width: width))
            residuals.withUnsafeMutableBufferPointer { buffer in
                BitPacking.unpack(packed, width: width, into: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
            }
            for patch in patches { residuals[patch.index] |= patch.high }
            for index in 0..<count {
                values[position + index] = base &+ Int64(bitPattern: (residuals[index] &+ reference) &* divisor)
            }
            position += count
        }
    }

    /// Sums differences up again. The first `order` elements are overwritten by what was kept apart.
    private static func restore(_ values: inout [Int64], order: Int, first: Int64, firstDelta: Int64) {
        guard order > 0 else { return }
        var value = first
        values[0] = first
        if order == 1 {
            for index in 1..<values.count {
                value &+= values[index]
                values[index] = value
            }
            return
        }
        var delta = firstDelta
        value &+= delta
        values[1] = value
        guard values.count > 2 else { return }
        for index in 2..<values.count {
            delta &+= values[index]
            value &+= delta
            values[index] = value
        }
    }

    private static func greatestCommonDivisor(_ first: UInt64, _ second: UInt64) -> UInt64 {
        var (a, b) = (first, second)
        while b != 0 { (a, b) = (b, a % b) }
        return a
    }

    /// The bytes `putVarint` writes for `value`.
    static func varintByteCount(_ value: UInt64) -> Int { max(1, (BitPacking.width(of: value) + 6) / 7) }

    /// The bytes `putSigned` writes for `value`.
    static func signedByteCount(_ value: Int64) -> Int {
        varintByteCount(UInt64(bitPattern: (value << 1) ^ (value >> 63)))
    }
}

extension IntegerColumn {
    /// The bit width that makes one block smallest, exceptions included.
    private struct BlockPlan {
        let reference: UInt64
        private(set) var width = 0
        private(set) var patchCount = 0
        /// Exceptions and packed values, without the head and the reference.
        private(set) var byteCount: Int

        init(_ block: ArraySlice<UInt64>) {
            let reference = block.min() ?? 0
            self.reference = reference
            var lengths = [Int](repeating: 0, count: 65)
            for value in block { lengths[BitPacking.width(of: value - reference)] += 1 }
            let widest = lengths.lastIndex { $0 > 0 } ?? 0
            width = widest
            byteCount = BitPacking.byteCount(count: block.count, width: widest)
            var candidate = widest - 1
            while candidate >= 0 {
                var patches = 0
                var bytes = BitPacking.byteCount(count: block.count, width: candidate) + 1
                for length in (candidate + 1)...widest {
                    patches += lengths[length]
                    bytes += lengths[length] * (1 + (length - candidate + 6) / 7)
                }
                if bytes < byteCount { (width, patchCount, byteCount) = (candidate, patches, bytes) }
                candidate -= 1
            }
        }
    }
}
