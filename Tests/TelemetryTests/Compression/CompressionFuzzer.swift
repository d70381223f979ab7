internal import TestSupport
internal import Testing

@testable import Telemetry

/// Feeds damaged and random bytes to every format: it must refuse or restore, within its maximum, and never crash.
struct CompressionFuzzer: Fuzzer {
    static let name = "compression"

    static func run(seed: UInt64, events: Int) throws {
        var random = SeededGenerator(seed: seed)
        for event in 0..<events {
            let format = random.pick(Compression.allCases)
            let alphabet = random.int(in: 1..<256)
            let original = (0..<random.int(in: 0..<2000)).map { _ in UInt8(random.int(in: 0..<alphabet)) }
            var bytes = format.compress(original)
            guard (try? format.decompress(bytes, bytesMaximum: original.count)) == original else {
                throw FuzzFinding(seed: seed, event: event, "\(format) did not restore what it compressed")
            }
            for _ in 0..<random.int(in: 1..<5) where !bytes.isEmpty {
                let index = random.int(in: 0..<bytes.count)
                switch random.int(in: 0..<3) {
                case 0: bytes[index] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.removeSubrange(index...)
                default: bytes.insert(contentsOf: random.bytes(random.int(in: 1..<9)), at: index)
                }
            }
            let maximum = random.int(in: 0..<4000)
            if let restored = try? format.decompress(bytes, bytesMaximum: maximum), restored.count > maximum {
                throw FuzzFinding(seed: seed, event: event, "\(format) restored \(restored.count) of \(maximum) bytes")
            }
        }
    }
}

@Suite struct CompressionFuzzerTests {
    @Test func smoke() throws { try CompressionFuzzer.runFromTable() }
}
