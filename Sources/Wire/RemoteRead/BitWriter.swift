/// Writes bits, the highest of a number first, as chunks of Prometheus have them.
struct BitWriter {
    private(set) var bytes: [UInt8] = []
    /// Bits that are not a byte yet, in the low bits.
    private var pending: UInt64 = 0
    private var pendingCount = 0

    /// Starts behind bytes that are whole.
    init(_ bytes: [UInt8] = []) {
        self.bytes = bytes
    }

    /// Appends the `count` low bits of a number, 64 at most.
    mutating func put(_ bits: UInt64, count: Int) {
        guard count > 32 else { return putShort(bits, count) }
        putShort(bits >> 32, count - 32)
        putShort(bits, 32)
    }

    private mutating func putShort(_ bits: UInt64, _ count: Int) {
        pending = pending << UInt64(count) | bits & (1 << UInt64(count) - 1)
        pendingCount += count
        while pendingCount >= 8 {
            pendingCount -= 8
            bytes.append(UInt8(truncatingIfNeeded: pending >> UInt64(pendingCount)))
        }
    }

    /// Appends an unsigned LEB128 number, byte by byte.
    mutating func putVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            put(rest & 0x7f | 0x80, count: 8)
            rest >>= 7
        }
        put(rest, count: 8)
    }

    /// Appends a signed number, zigzag-coded.
    mutating func putSigned(_ value: Int64) { putVarint(UInt64(bitPattern: value << 1 ^ value >> 63)) }

    /// What was written, filled up with zeros to whole bytes.
    var finished: [UInt8] {
        var whole = bytes
        if pendingCount > 0 { whole.append(UInt8(truncatingIfNeeded: pending << UInt64(8 - pendingCount))) }
        return whole
    }
}

extension BitWriter {
    /// The sizes of numbers that stand in few bits (tsdb/chunkenc/varbit.go of Prometheus); more than 56 bits are 64.
    private static let sizes = [3, 6, 9, 12, 18, 25, 56]

    /// Appends a signed number in the fewest bits.
    mutating func putVariable(_ value: Int64) {
        if value == 0 { return put(0, count: 1) }
        putVariable(UInt64(bitPattern: value), BitWriter.sizes.firstIndex { BitWriter.fits(value, in: $0) })
    }

    /// Whether a signed number stands in so many bits, as Prometheus counts: one more above zero than below.
    static func fits(_ value: Int64, in size: Int) -> Bool {
        let half = Int64(1) << Int64(size - 1)
        return value > -half && value <= half
    }

    /// Appends an unsigned number in the fewest bits.
    mutating func putVariable(unsigned value: UInt64) {
        if value == 0 { return put(0, count: 1) }
        putVariable(value, BitWriter.sizes.firstIndex { value < 1 << UInt64($0) })
    }

    /// As many ones as its place says and a zero, then the number; eight ones for the longest.
    private mutating func putVariable(_ bits: UInt64, _ place: Int?) {
        guard let place else {
            put(0xff, count: 8)
            return put(bits, count: 64)
        }
        let ones = place + 1
        put((1 << UInt64(ones) - 1) << 1, count: ones + 1)
        put(bits, count: BitWriter.sizes[place])
    }
}
