internal import Telemetry
internal import TestSupport
internal import Testing

@testable internal import LogStore

/// Digits are found within numbers and identifiers exactly where they stand when these are written out.
struct LiteralMovesTests {
    private static func number(_ random: inout SeededGenerator) -> UInt64 {
        var bound: UInt64 = 1
        for _ in 0..<random.int(in: 1..<18) { bound *= 10 }
        return random.next() % bound
    }

    /// Pieces of `text` and neighbours of them, which are there or not.
    private static func pieces(of text: String, _ random: inout SeededGenerator) -> [UInt8] {
        let bytes = Array(text.utf8)
        let start = random.int(in: 0..<bytes.count)
        var piece = Array(bytes[start..<min(bytes.count, start + random.int(in: 1..<9))])
        if random.int(in: 0..<3) == 0 { piece[piece.count - 1] ^= 1 }
        return piece
    }

    @Test(arguments: 0..<4) func digitsOfNumbers(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<4000 {
            let number = LiteralMovesTests.number(&random)
            let text = String(number)
            let search = try #require(DigitSearch(LiteralMovesTests.pieces(of: text, &random)) ?? DigitSearch([48]))
            let digits = String(search.value)
            let searched = String(repeating: "0", count: search.count - digits.count) + digits
            #expect(search.isIn(number) == text.contains(searched), "\(searched) in \(text)")
            let width = min(18, text.count + random.int(in: 0..<4))
            let padded = String(repeating: "0", count: width - text.count) + text
            #expect(search.isIn(number, width: width) == padded.contains(searched), "\(searched) in \(padded)")
        }
    }

    @Test func zerosAndEnds() throws {
        for (searched, number, isThere) in [
            ("0", 0, true), ("00", 0, false), ("00", 100, true), ("05", 5, false), ("05", 105, true), ("5", 5, true),
            ("10", 10, true), ("0000", 100_001, true), ("9999", 99_999, true), ("00001", 100_001, true),
            ("00001", 1, false),
        ] as [(String, UInt64, Bool)] {
            let search = try #require(DigitSearch(Array(searched.utf8)))
            #expect(search.isIn(number) == isThere, "\(searched) in \(number)")
        }
        #expect(DigitSearch(Array("0.3".utf8)) == nil)
        #expect(DigitSearch(Array(repeating: 49, count: 19)) == nil)
    }

    @Test func digitsAroundAPoint() throws {
        var random = SeededGenerator(seed: 9)
        for _ in 0..<4000 {
            let number = LiteralMovesTests.number(&random) % 100_000
            let (width, other) = (random.int(in: 1..<7), LiteralMovesTests.number(&random))
            let fraction = other % UInt64(TimestampForm.powers[width])
            let digits = String(fraction)
            let text = "\(number).\(String(repeating: "0", count: width - digits.count))\(digits)"
            let pieces = LiteralMovesTests.pieces(of: text, &random)
            guard let search = PointSearch(pieces) else { continue }
            let found = search.ends(number) && search.begins(fraction, width: width)
            let searched = String(decoding: pieces, as: UTF8.self)
            #expect(found == text.contains(searched), "\(searched) in \(text)")
        }
        #expect(PointSearch(Array(".".utf8)) == nil && PointSearch(Array("1.2.3".utf8)) == nil)
        #expect(try #require(PointSearch(Array("0.3".utf8))).ends(10))
        #expect(try !#require(PointSearch(Array("00.3".utf8))).ends(0))
        #expect(try #require(PointSearch(Array("05.3".utf8))).endsPadded(5))
    }

    @Test(arguments: 0..<4) func digitsOfPackedIdentifiers(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let hasHyphens = random.int(in: 0..<3) == 0
            let width = hasHyphens ? 32 : random.pick([17, 18, 20, 31, 32, 40, 64])
            let stride = (width + 1) / 2
            let count = random.int(in: 1..<20)
            var bytes = (0..<count * stride).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            if width % 2 == 1 { for value in 0..<count { bytes[value * stride + stride - 1] &= 0xf0 } }
            let column = ColumnValues.packed(width: width, isUpper: false, hasHyphens: hasHyphens, bytes)
            let texts = (0..<count).map { index -> String in
                var text: [UInt8] = []
                column.append(index, to: &text)
                return String(decoding: text, as: UTF8.self)
            }
            let piece = LiteralMovesTests.pieces(of: random.pick(texts), &random).map { byte in
                byte == UInt8(ascii: "`") || byte == UInt8(ascii: "g") || byte == UInt8(ascii: ",") ? 48 : byte
            }
            let nibbles = piece.compactMap { Character(UnicodeScalar($0)).hexDigitValue.map { UInt8($0) } }
            guard nibbles.count == piece.count, let search = NibbleSearch(nibbles, width: width, hasHyphens: hasHyphens)
            else { continue }
            let first = random.int(in: 0..<count)
            var found = Set<Int>()
            bytes.withUnsafeBytes { search.forEach($0, first..<count) { found.insert($0) } }
            let searched = String(decoding: piece, as: UTF8.self)
            #expect(found == Set((first..<count).filter { texts[$0].contains(searched) }), "\(searched) in \(texts)")
        }
    }
}
