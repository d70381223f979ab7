internal import Telemetry

/// Looks for hexadecimal digits within identifiers that are packed two digits to a byte.
///
/// A few digits are looked for sixteen at a time: for each digit of the text the places that have it are one word of
/// flags, and shifted to the place of the first digit they are combined (Lamport 1975). More digits have whole bytes in
/// them, which the C library finds.
struct NibbleSearch {
    private let nibbles: [UInt8]
    private let width: Int
    private let stride: Int
    private let hasHyphens: Bool
    /// For each word of a value the digits where the text may begin.
    private let starts: [UInt64]

    /// So many digits are looked for in words.
    private static let wordDigits = 4

    /// A search for `nibbles` in values of `width` digits; nil where neither way is one.
    init?(_ nibbles: [UInt8], width: Int, hasHyphens: Bool) {
        guard nibbles.count <= NibbleSearch.wordDigits || width % 2 == 0 else { return nil }
        self.nibbles = nibbles
        self.width = width
        self.hasHyphens = hasHyphens
        stride = (width + 1) / 2
        var starts = [UInt64](repeating: 0, count: (stride + 7) / 8)
        for start in 0..<max(0, width - nibbles.count + 1)
        where !NibbleSearch.isBroken(start, nibbles.count, hasHyphens) {
            starts[start / 16] |= 1 << UInt64(63 - start % 16 * 4)
        }
        self.starts = starts
    }

    /// Whether a hyphen lies within digits.
    private static func isBroken(_ start: Int, _ count: Int, _ hasHyphens: Bool) -> Bool {
        hasHyphens && [8, 12, 16, 20].contains { start < $0 && $0 < start + count }
    }

    /// Calls `body` with each of the values at `places` that has the text, perhaps more than once.
    func forEach(_ bytes: UnsafeRawBufferPointer, _ places: Range<Int>, _ body: (Int) -> Void) {
        guard width >= nibbles.count, bytes.count >= places.upperBound * stride else { return }
        if nibbles.count > NibbleSearch.wordDigits { return forEachFound(bytes, places, body) }
        starts.withUnsafeBufferPointer { starts in
            nibbles.withUnsafeBufferPointer { nibbles in
                for place in places where isIn(bytes, place * stride, starts, nibbles) { body(place) }
            }
        }
    }

    // MARK: Words

    @inline(__always)
    private func isIn(
        _ bytes: UnsafeRawBufferPointer, _ first: Int, _ starts: UnsafeBufferPointer<UInt64>,
        _ nibbles: UnsafeBufferPointer<UInt8>
    ) -> Bool {
        var word = load(bytes, first, 0)
        for index in starts.indices {
            let next = index + 1 < starts.count ? load(bytes, first, index + 1) : 0
            var candidates = starts[index]
            for digit in nibbles.indices {
                let shift = UInt64(digit * 4)
                var flags = NibbleSearch.flags(word, nibbles[digit]) << shift
                if shift > 0 { flags |= NibbleSearch.flags(next, nibbles[digit]) >> (64 - shift) }
                candidates &= flags
                if candidates == 0 { break }
            }
            if candidates != 0 { return true }
            word = next
        }
        return false
    }

    /// Sixteen digits of a value, the first one on top; zeros where it is shorter.
    @inline(__always)
    private func load(_ bytes: UnsafeRawBufferPointer, _ first: Int, _ index: Int) -> UInt64 {
        let start = first + index * 8
        if index * 8 + 8 <= stride {
            return UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: start, as: UInt64.self))
        }
        var word: UInt64 = 0
        for byte in 0..<stride - index * 8 { word |= UInt64(bytes[start + byte]) << UInt64(56 - byte * 8) }
        return word
    }

    /// The top bit of each digit of a word that is `nibble`.
    @inline(__always)
    private static func flags(_ word: UInt64, _ nibble: UInt8) -> UInt64 {
        let low: UInt64 = 0x7777_7777_7777_7777
        let differences = word ^ (UInt64(nibble) &* 0x1111_1111_1111_1111)
        return ~((differences & low) &+ low | differences | low)
    }

    // MARK: Bytes

    private func forEachFound(_ bytes: UnsafeRawBufferPointer, _ places: Range<Int>, _ body: (Int) -> Void) {
        let searched = UnsafeRawBufferPointer(rebasing: bytes[places.lowerBound * stride..<places.upperBound * stride])
        for shift in 0...1 {
            // The whole bytes of the text when its first digit is the upper (0) or the lower (1) half of one.
            let pairs = (nibbles.count - shift) / 2
            let pattern = (0..<pairs).map { nibbles[shift + 2 * $0] << 4 | nibbles[shift + 2 * $0 + 1] }
            var from = 0
            while let hit = searched.offset(of: pattern, from: from) {
                from = hit + 1
                let first = hit * 2 - shift
                guard first >= 0, isThere(at: first, searched) else { continue }
                // Within one value, and not over a hyphen.
                let start = first % width
                if start + nibbles.count <= width, !NibbleSearch.isBroken(start, nibbles.count, hasHyphens) {
                    body(places.lowerBound + first / width)
                }
            }
        }
    }

    /// Whether the digits that are no whole byte are there too.
    private func isThere(at first: Int, _ bytes: UnsafeRawBufferPointer) -> Bool {
        guard first + nibbles.count <= bytes.count * 2 else { return false }
        func nibble(_ place: Int) -> UInt8 { place & 1 == 0 ? bytes[place / 2] >> 4 : bytes[place / 2] & 15 }
        return nibble(first) == nibbles[0] && nibble(first + nibbles.count - 1) == nibbles[nibbles.count - 1]
    }
}
