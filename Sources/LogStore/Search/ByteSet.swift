/// A set of bytes.
struct ByteSet: Hashable, Sendable {
    private var words: SIMD4<UInt64> = .zero

    /// No byte.
    init() {}

    /// These bytes.
    init(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { insert(byte) }
    }

    static let all = ByteSet(0...255 as ClosedRange<UInt8>)
    static let ascii = ByteSet(0...127 as ClosedRange<UInt8>)
    static let digits = ByteSet(UInt8(ascii: "0")...UInt8(ascii: "9"))
    static let lower = ByteSet(UInt8(ascii: "a")...UInt8(ascii: "z"))
    static let upper = ByteSet(UInt8(ascii: "A")...UInt8(ascii: "Z"))
    static let word = digits.union(lower).union(upper).union(ByteSet("_".utf8))
    static let dot = ByteSet(".".utf8)
    static let signedDigits = digits.union(ByteSet("-".utf8))
    static let space = ByteSet("\t\n\u{c}\r ".utf8)

    func contains(_ byte: UInt8) -> Bool { words[Int(byte >> 6)] >> UInt64(byte & 63) & 1 == 1 }

    mutating func insert(_ byte: UInt8) { words[Int(byte >> 6)] |= 1 << UInt64(byte & 63) }

    func union(_ other: ByteSet) -> ByteSet {
        var result = self
        result.words |= other.words
        return result
    }

    /// The ASCII bytes that are not in the set.
    var asciiComplement: ByteSet {
        var result = ByteSet()
        result.words = ~words & ByteSet.ascii.words
        return result
    }

    /// The bytes of the set, rising.
    var bytes: [UInt8] { (0...255 as ClosedRange<UInt8>).filter { contains($0) } }

    /// With the other case of each ASCII letter.
    var foldingCase: ByteSet {
        var result = self
        for byte in bytes where (byte | 0x20) &- UInt8(ascii: "a") < 26 { result.insert(byte ^ 0x20) }
        return result
    }
}
