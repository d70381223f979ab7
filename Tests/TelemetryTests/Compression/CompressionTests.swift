internal import TestSupport
internal import Testing

@testable import Telemetry

/// Every format gives back what it was given, refuses what is damaged, and never restores more than it may.
@Suite struct CompressionTests {
    static let shapes: [[UInt8]] = [
        [], [7], Array("a line, a line, a line".utf8), [UInt8](repeating: 0x41, count: 300_000),
        (0..<70_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) },
    ]

    @Test(arguments: Compression.allCases)
    func restoresWhatItCompressed(format: Compression) throws {
        for shape in CompressionTests.shapes {
            let small = format.compress(shape)
            #expect(try format.decompress(small, bytesMaximum: shape.count) == shape)
        }
    }

    @Test(arguments: Compression.allCases)
    func restoresRandomBytesAtSomeLevel(format: Compression) throws {
        var random = SeededGenerator(seed: 11)
        for _ in 0..<60 {
            let alphabet = random.int(in: 1..<256)
            let bytes = (0..<random.int(in: 0..<5000)).map { _ in UInt8(random.int(in: 0..<alphabet)) }
            let small = format.compress(bytes, level: random.int(in: 1..<9))
            #expect(try format.decompress(small, bytesMaximum: 5000) == bytes)
        }
    }

    @Test(arguments: Compression.allCases)
    func refusesABomb(format: Compression) {
        let bomb = format.compress([UInt8](repeating: 0, count: 2 << 20))
        #expect(bomb.count < 100_000)
        #expect(throws: CompressionError.self) { try format.decompress(bomb, bytesMaximum: (2 << 20) - 1) }
    }

    @Test(arguments: [Compression.lz4Frame, .zstd, .gzip, .zlib])
    func saysThatABombIsTooLarge(format: Compression) {
        let bomb = format.compress([UInt8](repeating: 0, count: 2 << 20))
        #expect(throws: CompressionError(.tooLarge, format: format, reason: "restored size is over 1000 bytes")) {
            try format.decompress(bomb, bytesMaximum: 1000)
        }
    }

    @Test(arguments: [Compression.lz4Frame, .zstd, .gzip, .zlib])
    func refusesEveryCutAndEveryFlippedByte(format: Compression) {
        let text = Array("the quick brown fox jumps over the lazy dog; the quick brown fox sleeps".utf8)
        let whole = format.compress(text)
        for length in 0..<whole.count {
            #expect(throws: CompressionError.self, "cut at \(length)") {
                try format.decompress(Array(whole[..<length]), bytesMaximum: 1000)
            }
        }
        for index in whole.indices {
            var flipped = whole
            flipped[index] ^= 0x10
            // Some header bits mean nothing to the content (gzip's time); what is restored must then be the same.
            if let restored = try? format.decompress(flipped, bytesMaximum: 1000) { #expect(restored == text) }
        }
    }

    @Test func readsConcatenatedMembersAndFrames() throws {
        let first = Array("first ".utf8)
        let second = Array("second".utf8)
        for format in [Compression.gzip, .zstd] {
            let both = format.compress(first) + format.compress(second)
            #expect(try format.decompress(both, bytesMaximum: 100) == first + second)
        }
    }

    @Test func refusesBytesBehindTheEnd() {
        for format in [Compression.lz4Frame, .zlib, .deflate, .gzip] {
            let padded = format.compress(Array("text".utf8)) + [1, 2, 3]
            #expect(throws: CompressionError.self) { try format.decompress(padded, bytesMaximum: 100) }
        }
    }
}
