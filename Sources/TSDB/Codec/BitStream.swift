internal import Telemetry

/// Writes single bits, highest first, as the XOR codec needs them.
struct BitWriter {
    private(set) var bytes: [UInt8] = []
    private var pending: UInt64 = 0
    private var pendingCount = 0

    /// Appends the lowest `count` bits of `value`, 0 to 64 of them, the highest first.
    mutating func put(_ value: UInt64, count: Int) {
        var left = count
        while left > 0 {
            let room = 8 - pendingCount
            let taken = min(room, left)
            let piece = (value >> UInt64(left - taken)) & ((1 << UInt64(taken)) - 1)
            pending = (pending << UInt64(taken)) | piece
            pendingCount += taken
            left -= taken
            if pendingCount == 8 {
                bytes.append(UInt8(truncatingIfNeeded: pending))
                pending = 0
                pendingCount = 0
            }
        }
    }

    /// All bytes, the last one filled up with zeros.
    mutating func finish() -> [UInt8] {
        if pendingCount > 0 { put(0, count: 8 - pendingCount) }
        return bytes
    }
}

/// Reads what `BitWriter` wrote; an end too early throws.
struct BitReader {
    private let bytes: UnsafeRawBufferPointer
    private var bit = 0

    /// Reads from the first bit of `bytes`.
    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// The next `count` bits, 0 to 64 of them.
    mutating func take(_ count: Int) throws(ByteError) -> UInt64 {
        guard bit + count <= bytes.count * 8 else {
            throw ByteError(offset: bit / 8, reason: "\(count) bits wanted, \(bytes.count * 8 - bit) are left")
        }
        var value: UInt64 = 0
        var left = count
        while left > 0 {
            let available = 8 - bit & 7
            let taken = min(available, left)
            let piece = (UInt64(bytes[bit >> 3]) >> UInt64(available - taken)) & ((1 << UInt64(taken)) - 1)
            value = (value << UInt64(taken)) | piece
            bit += taken
            left -= taken
        }
        return value
    }
}
