/// How XORed values are written, in the log and in the head: a byte of 0x80 or more stands for (byte & 0x7f) + 1 values
/// that do not differ; any other for trailing zero bytes * 16 + other bytes, which follow, lowest first.
enum DifferenceCode {
    static let runFlag: UInt8 = 0x80
    /// The most values that one run stands for.
    static let runMaximum = 128
    /// The most bytes of one value.
    static let valueBytesMaximum = 9
}

/// Writes XORed values into space that is large enough for all of them.
struct DifferenceWriter {
    private let space: UnsafeMutableRawBufferPointer
    private(set) var count: Int
    /// Where the run stands that the last value belongs to; -1 when it differed.
    private var run = -1

    /// The bytes that so many values take at most. A value is stored as eight bytes at once.
    static func bytesMaximum(count: Int) -> Int { count * DifferenceCode.valueBytesMaximum + 8 }

    /// A writer that goes on behind `count` bytes, the last of which is a run when `endsInRun`.
    init(_ space: UnsafeMutableRawBufferPointer, behind count: Int = 0, endsInRun: Bool = false) {
        self.space = space
        self.count = count
        run = endsInRun ? count - 1 : -1
    }

    /// Whether the last value was no difference.
    var endsInRun: Bool { run >= 0 }

    /// Adds what a value differs in.
    @inline(__always)
    mutating func put(_ difference: UInt64) {
        if difference == 0 { return putSame() }
        run = -1
        let trailing = difference.trailingZeroBitCount >> 3
        let length = 8 - trailing - difference.leadingZeroBitCount >> 3
        space[count] = UInt8(truncatingIfNeeded: trailing << 4 | length)
        space.storeBytes(
            of: (difference >> UInt64(trailing * 8)).littleEndian, toByteOffset: count + 1, as: UInt64.self)
        count += 1 + length
    }

    @inline(__always)
    private mutating func putSame() {
        if run >= 0, space[run] < .max {
            space[run] += 1
        } else {
            run = count
            space[count] = DifferenceCode.runFlag
            count += 1
        }
    }
}

/// Reads XORed values.
struct DifferenceReader {
    private let bytes: UnsafeRawBufferPointer
    /// Where the next byte is.
    private(set) var place = 0
    /// How many values of the last run are still to come.
    private var same = 0

    /// Reads from the first byte on.
    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// The next differences; false when the bytes end too early or cannot be right.
    mutating func read(into values: UnsafeMutableBufferPointer<UInt64>) -> Bool {
        var filled = 0
        while filled < values.count {
            if same > 0 {
                let end = min(values.count, filled + same)
                same -= end - filled
                values[filled..<end].update(repeating: 0)
                filled = end
                continue
            }
            guard place < bytes.count else { return false }
            let head = bytes[place]
            place += 1
            if head >= DifferenceCode.runFlag {
                same = Int(head & ~DifferenceCode.runFlag) + 1
                continue
            }
            let (trailing, length) = (Int(head >> 4), Int(head & 15))
            guard trailing + length <= 8, length <= bytes.count - place else { return false }
            values[filled] = difference(length) << UInt64(trailing * 8 & 63)
            place += length
            filled += 1
        }
        return true
    }

    /// Whether a run goes on behind what was read.
    var endsWithinRun: Bool { same > 0 }

    @inline(__always)
    private func difference(_ length: Int) -> UInt64 {
        if bytes.count - place >= 8 {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self))
            return length == 8 ? word : word & (1 &<< UInt64(length * 8) &- 1)
        }
        var value: UInt64 = 0
        for index in 0..<length { value |= UInt64(bytes[place + index]) << UInt64(index * 8) }
        return value
    }
}
