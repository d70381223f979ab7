/// Values of one series in the head, in the order of arrival, compressed as they come: each is XORed with the one
/// before and only the bytes between the zero bytes are kept; repeats are counted. A tenth of plain doubles where
/// little changes, a third where much does.
///
/// Shape: a byte of 0x80 or more stands for (byte & 0x7f) + 1 repeats of the value before (0 before the first); any
/// other for trailing zero bytes * 16 + other bytes, which follow, lowest first.
struct ValueStream {
    private static let runFlag: UInt8 = 0x80

    private var bytes: [UInt8] = []
    private var last: UInt64 = 0
    private var endsInRun = false

    /// Adds a value; returns how many bytes more are held.
    mutating func append(_ value: UInt64) -> Int {
        var difference = value ^ last
        if difference == 0 {
            if endsInRun, let run = bytes.last, run < .max {
                bytes[bytes.count - 1] = run + 1
                return 0
            }
            bytes.append(Self.runFlag)
            endsInRun = true
            return 1
        }
        last = value
        endsInRun = false
        let trailing = difference.trailingZeroBitCount >> 3
        let count = 8 - trailing - difference.leadingZeroBitCount >> 3
        difference >>= UInt64(trailing * 8)
        let head = UInt64(trailing << 4 | count)
        // Head and up to seven bytes go in one piece.
        var word = (difference << 8 | head).littleEndian
        withUnsafeBytes(of: &word) {
            bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: $0[..<min(8, count + 1)]))
        }
        if count == 8 { bytes.append(UInt8(truncatingIfNeeded: difference >> 56)) }
        return count + 1
    }

    /// The first `count` values, of which there must be as many.
    func values(first count: Int) -> [UInt64] {
        [UInt64](unsafeUninitializedCapacity: count) { values, initialized in
            initialized = bytes.withUnsafeBytes { Self.decode($0, into: values, count: count) }
        }
    }

    private static func decode(
        _ bytes: UnsafeRawBufferPointer, into values: UnsafeMutableBufferPointer<UInt64>, count: Int
    ) -> Int {
        var (place, filled, last) = (0, 0, UInt64(0))
        while filled < count, place < bytes.count {
            let head = bytes[place]
            place += 1
            if head >= runFlag {
                let end = min(count, filled + Int(head & ~runFlag) + 1)
                for index in filled..<end { values.initializeElement(at: index, to: last) }
                filled = end
                continue
            }
            var difference: UInt64 = 0
            let length = Int(head & 15)
            for index in 0..<length { difference |= UInt64(bytes[place + index]) << UInt64(index * 8) }
            place += length
            last ^= difference << UInt64((head >> 4) * 8)
            values.initializeElement(at: filled, to: last)
            filled += 1
        }
        return filled
    }
}
