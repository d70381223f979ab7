internal import Telemetry

/// Which words a block has: a binary fuse filter of 8 bits per place (Graf, Lemire, "Binary Fuse Filters: Fast and
/// Smaller
/// Than Xor Filters", 2022), three places per word, about nine bits a word. It never misses one; of absent ones it
/// takes
/// one in 256 for present.
struct WordFilter: Sendable, Equatable {
    private var seed: UInt64
    private var segmentBytes: Int
    private var segments: Int
    private var prints: [UInt8]

    static let bytesMaximum = 16 << 20

    /// The memory it takes.
    var bytes: Int { prints.count + 64 }

    /// A filter of words by their hashes; nil when there are none.
    init?(_ hashes: [UInt64]) {
        var keys = hashes
        keys.sort()
        var count = 0
        for index in keys.indices where index == 0 || keys[index] != keys[index - 1] {
            keys[count] = keys[index]
            count += 1
        }
        keys.removeLast(keys.count - count)
        guard count > 0 else { return nil }
        segmentBytes = WordFilter.segmentBytes(count)
        let factor = count > 1 ? max(1.125, 0.875 + 0.25 * 13.8155 / WordFilter.logarithm(Double(count))) : 2
        let capacity = Int((Double(count) * factor).rounded())
        segments = max(1, (capacity + segmentBytes - 1) / segmentBytes - 2)
        prints = []
        seed = 0
        // Each try succeeds with a probability far above one half; the seeds are fixed, so bytes are reproducible.
        for attempt in 1...64 as ClosedRange<UInt64> {
            seed = WordHash.mix(attempt)
            if fill(keys) { return }
        }
        // Never met; a filter that says yes to everything is right too.
        segments = 0
        prints = []
    }

    /// Whether the word with this hash may be there.
    func contains(_ hash: UInt64) -> Bool {
        if segments == 0 { return true }
        let mixed = WordHash.mix(hash &+ seed)
        let (first, second, third) = places(mixed)
        return WordFilter.mark(mixed) ^ prints[first] ^ prints[second] ^ prints[third] == 0
    }

    private static func segmentBytes(_ count: Int) -> Int {
        if count < 4 { return 4 }
        let exponent = logarithm(Double(count)) / 1.2030 + 2.25
        return min(1 << Int(exponent), 1 << 18)
    }

    /// The natural logarithm, good to a thousandth.
    private static func logarithm(_ value: Double) -> Double {
        let mantissa = (value.significand - 1) / (value.significand + 1)
        let square = mantissa * mantissa
        return Double(value.exponent) * 0.693147 + 2 * mantissa * (1 + square / 3 + square * square / 5)
    }

    @inline(__always)
    private static func mark(_ mixed: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: mixed ^ mixed >> 32) }

    @inline(__always)
    private func places(_ mixed: UInt64) -> (Int, Int, Int) {
        let mask = segmentBytes - 1
        let first = Int((mixed.multipliedFullWidth(by: UInt64(segments * segmentBytes))).high)
        let second = (first + segmentBytes) ^ (Int(truncatingIfNeeded: mixed >> 18) & mask)
        let third = (first + 2 * segmentBytes) ^ (Int(truncatingIfNeeded: mixed) & mask)
        return (first, second, third)
    }

    /// Peels the places that one word alone has until none is left; false when that gets stuck.
    private mutating func fill(_ keys: [UInt64]) -> Bool {
        let size = (segments + 2) * segmentBytes
        var counts = [UInt8](repeating: 0, count: size)
        var sums = [UInt64](repeating: 0, count: size)
        for key in keys {
            let mixed = WordHash.mix(key &+ seed)
            let (a, b, c) = places(mixed)
            for place in [a, b, c] {
                if counts[place] < 255 { counts[place] += 1 }
                sums[place] ^= mixed
            }
        }
        var queue = (0..<size).filter { counts[$0] == 1 }
        var order: [(mixed: UInt64, place: Int)] = []
        order.reserveCapacity(keys.count)
        while let place = queue.popLast() {
            guard counts[place] == 1 else { continue }
            let mixed = sums[place]
            order.append((mixed, place))
            let (a, b, c) = places(mixed)
            for other in [a, b, c] {
                counts[other] -= 1
                sums[other] ^= mixed
                if counts[other] == 1 { queue.append(other) }
            }
        }
        guard order.count == keys.count else { return false }
        prints = [UInt8](repeating: 0, count: size)
        for (mixed, place) in order.reversed() {
            let (a, b, c) = places(mixed)
            prints[place] = WordFilter.mark(mixed) ^ prints[a] ^ prints[b] ^ prints[c]
        }
        return true
    }

    /// Appends the filter: seed, segments, the exponent of a segment's length, the places.
    func encode(to writer: inout ByteWriter) {
        writer.putFixed(seed)
        writer.putVarint(UInt64(segments))
        writer.put(UInt8(segmentBytes.trailingZeroBitCount))
        writer.put(prints)
    }

    /// Reads a filter.
    init(decoding bytes: UnsafeRawBufferPointer) throws {
        var reader = ByteReader(bytes)
        seed = try reader.fixed()
        segments = try reader.count(upTo: WordFilter.bytesMaximum, "number of segments")
        segmentBytes = 1 << (try reader.count(upTo: 24, "length of a segment"))
        prints = Array(try reader.slice(reader.remaining))
        guard segments == 0 || prints.count == (segments + 2) * segmentBytes else {
            throw FormatError("a filter has the wrong length")
        }
    }
}
