internal import CKernels
internal import Telemetry

/// A Huffman code over the classes of a column's residuals, or over those and runs of zeros.
///
/// The class of a value with n bits is n where n is 0 or 1, else 2(n - 1) and the bit behind the highest; its other
/// n - 2 bits stand behind the code as they are. With runs, symbols 0 ... 9 are runs of 2^s ... 2^(s+1) - 1 zeros, and
/// class c is symbol c + 9. Codes are canonical and at most nine bits long, so that one small table decodes them.
struct EntropyCode {
    /// 128 classes, and runs in front of them.
    static let symbolCount = 140
    static let lengthMaximum = Int(VEDETTE_CODE_BITS)
    static let tableCount = 1 << lengthMaximum
    /// Classes of values.
    static let runCount = 10
    /// Bits behind a code: more do not fit the window that is read at once.
    static let extraMaximum = 48

    /// By symbol; 0 for those without a code.
    private(set) var lengths: [UInt8]
    private(set) var codes: [UInt16]

    /// The best code for symbols that occur so often; nil when fewer than two do, or one is too wide.
    init?(counts: UnsafePointer<UInt32>, hasRuns: Bool) {
        var present: [(count: UInt32, symbol: Int)] = []
        for symbol in 0..<Self.symbolCount where counts[symbol] > 0 { present.append((counts[symbol], symbol)) }
        guard present.count > 1, let last = present.last,
            Self.meaning(of: last.symbol, hasRuns: hasRuns).extra <= Self.extraMaximum
        else { return nil }
        present.sort { ($0.count, $0.symbol) < ($1.count, $1.symbol) }
        var depths = present.map { Int($0.count) }
        Self.replaceByDepths(&depths)
        Self.limit(&depths)
        lengths = [UInt8](repeating: 0, count: Self.symbolCount)
        for (depth, one) in zip(depths, present) { lengths[one.symbol] = UInt8(depth) }
        codes = Self.canonicalCodes(lengths)
    }

    /// What a symbol stands for.
    static func meaning(of symbol: Int, hasRuns: Bool) -> (lead: Int, extra: Int, isRun: Bool) {
        if hasRuns && symbol < runCount { return (1, symbol, true) }
        let value = hasRuns ? symbol - runCount + 1 : symbol
        return value < 2 ? (value, 0, false) : (2 | value & 1, value / 2 - 1, false)
    }

    /// The bits of codes and what stands behind them.
    func bitCount(_ counts: UnsafePointer<UInt32>, hasRuns: Bool) -> Int {
        var bits = 0
        for symbol in 0..<Self.symbolCount where counts[symbol] > 0 {
            bits += Int(counts[symbol]) * (Int(lengths[symbol]) + Self.meaning(of: symbol, hasRuns: hasRuns).extra)
        }
        return bits
    }

    /// The first and the last symbol with a code.
    private var span: ClosedRange<Int> {
        (lengths.firstIndex { $0 > 0 } ?? 0)...(lengths.lastIndex { $0 > 0 } ?? 0)
    }

    /// The bytes that `encode` writes.
    var byteCount: Int { 2 + (span.count + 1) / 2 }

    /// Appends first symbol, number of symbols, and four bits of length for each, the first in the lower half.
    func encode(into writer: inout ByteWriter) {
        let span = span
        writer.put(UInt8(span.lowerBound))
        writer.put(UInt8(span.count))
        for symbol in stride(from: span.lowerBound, through: span.upperBound, by: 2) {
            let second = symbol < span.upperBound ? lengths[symbol + 1] : 0
            writer.put(lengths[symbol] | second << 4)
        }
    }

    /// Reads what `encode` wrote into a table of `tableCount` entries: what each first nine bits mean. A code that is
    /// not complete is damage.
    static func readTable(
        hasRuns: Bool, from reader: inout ByteReader, into table: UnsafeMutablePointer<vedette_code>
    ) throws(ByteError) {
        let place = reader.offset
        let first = Int(try reader.byte())
        let count = Int(try reader.byte())
        guard count > 1, first + count <= symbolCount else {
            throw ByteError(offset: place, reason: "\(count) codes from \(first) on")
        }
        let packed = try reader.slice((count + 1) / 2)
        func length(_ index: Int) -> Int { Int(packed[index >> 1] >> UInt8(4 * (index & 1)) & 15) }
        // Canonical codes of one length fill the table behind those of the lengths before.
        let isComplete = withUnsafeTemporaryAllocation(of: Int.self, capacity: 16) { starts in
            starts.initialize(repeating: 0)
            for index in 0..<count {
                let length = length(index)
                if length > 0, length < 15 { starts[length + 1] += tableCount >> length }
                if length > lengthMaximum { return false }
            }
            for length in 1..<16 { starts[length] += starts[length - 1] }
            guard starts[lengthMaximum + 1] == tableCount else { return false }
            for index in 0..<count {
                let length = length(index)
                guard length > 0 else { continue }
                let meaning = meaning(of: first + index, hasRuns: hasRuns)
                guard meaning.extra <= extraMaximum else { return false }
                let entry = vedette_code(
                    length: UInt8(length), extra: UInt8(meaning.extra), lead: UInt8(meaning.lead),
                    is_run: meaning.isRun ? 1 : 0)
                let entries = tableCount >> length
                vedette_fill_codes(table + starts[length], entries, entry)
                starts[length] += entries
            }
            return true
        }
        guard isComplete else { throw ByteError(offset: place, reason: "codes are not complete, or too long") }
    }

    /// Codes in the order of length, then symbol.
    private static func canonicalCodes(_ lengths: [UInt8]) -> [UInt16] {
        var codes = [UInt16](repeating: 0, count: symbolCount)
        var code: UInt16 = 0
        for length in 1...UInt8(lengthMaximum) {
            code <<= 1
            for symbol in 0..<symbolCount where lengths[symbol] == length {
                codes[symbol] = code
                code += 1
            }
        }
        return codes
    }

    /// Replaces rising weights by the depths of a Huffman tree, in place (Moffat and Katajainen, WADS 1995).
    private static func replaceByDepths(_ weights: inout [Int]) {
        let count = weights.count
        guard count > 2 else {
            for index in weights.indices { weights[index] = 1 }
            return
        }
        weights[0] += weights[1]
        var root = 0
        var leaf = 2
        for next in 1..<count - 1 {
            for isSecond in [false, true] {
                let hasTree = !isSecond || root < next
                let takesTree = leaf >= count || (hasTree && weights[root] < weights[leaf])
                let weight = takesTree ? weights[root] : weights[leaf]
                if takesTree {
                    weights[root] = next
                    root += 1
                } else {
                    leaf += 1
                }
                weights[next] = isSecond ? weights[next] + weight : weight
            }
        }
        weights[count - 2] = 0
        for next in stride(from: count - 3, through: 0, by: -1) { weights[next] = weights[weights[next]] + 1 }
        var (available, used, depth) = (1, 0, 0)
        root = count - 2
        var next = count - 1
        while available > 0 {
            while root >= 0, weights[root] == depth {
                used += 1
                root -= 1
            }
            while available > used {
                weights[next] = depth
                next -= 1
                available -= 1
            }
            (available, used) = (2 * used, 0)
            depth += 1
        }
    }

    /// Shortens codes that are too long at the cost of the rarest others. `depths` belong to rising weights.
    private static func limit(_ depths: inout [Int]) {
        guard depths.contains(where: { $0 > lengthMaximum }) else { return }
        var room = tableCount
        for index in depths.indices {
            depths[index] = min(depths[index], lengthMaximum)
            room -= tableCount >> depths[index]
        }
        while room < 0 {
            // The rarest of the longest that can still grow.
            var chosen = -1
            for (index, depth) in depths.enumerated()
            where depth < lengthMaximum && (chosen < 0 || depth > depths[chosen]) { chosen = index }
            room += tableCount >> (depths[chosen] + 1)
            depths[chosen] += 1
        }
        for index in depths.indices.reversed() {
            while room > 0, depths[index] > 1, tableCount >> depths[index] <= room {
                room -= tableCount >> depths[index]
                depths[index] -= 1
            }
        }
    }
}

/// Collects bits, the highest of each value first.
struct CodeWriter {
    private(set) var bytes: [UInt8] = []
    private var pending: UInt64 = 0
    private var pendingCount = 0

    /// Appends the lowest `count` bits of `value`, at most 56.
    mutating func put(_ value: UInt64, _ count: Int) {
        pending = pending << UInt64(count) | value
        pendingCount += count
        while pendingCount >= 8 {
            pendingCount -= 8
            bytes.append(UInt8(truncatingIfNeeded: pending >> UInt64(pendingCount)))
        }
    }

    /// Fills the last byte up with zeros.
    mutating func finish() {
        if pendingCount > 0 { put(0, 8 - pendingCount) }
    }
}
