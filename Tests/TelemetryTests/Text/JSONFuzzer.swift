internal import TestSupport
internal import Testing

@testable import Telemetry

/// Random trees survive writing and reading; mangled text is refused or reads the same through every door.
struct JSONFuzzer: Fuzzer {
    static let name = "json"

    static func run(seed: UInt64, events: Int) throws {
        var random = SeededGenerator(seed: seed)
        for event in 0..<events {
            let value = tree(&random, depth: 0)
            var bytes = value.encoded
            guard (try? JSONValue(parsing: bytes)) == value else {
                let text = String(decoding: bytes, as: UTF8.self)
                throw FuzzFinding(seed: seed, event: event, "does not read back: \(text)")
            }
            for _ in 0..<random.int(in: 1..<4) {
                let index = random.int(in: 0..<bytes.count + 1)
                let junk = Array(
                    random.pick(["{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "0", "-", "e", "\u{0}", " "]).utf8)
                bytes.insert(contentsOf: random.oneIn(3) ? random.bytes(1) : junk, at: index)
                if random.oneIn(2) { bytes.removeSubrange(random.int(in: 0..<bytes.count)...) }
            }
            let parsed = try? JSONValue(parsing: bytes)
            let isSkipped = bytes.withUnsafeBytes { raw in
                var scanner = JSONScanner(raw)
                do {
                    try scanner.skipValue()
                    try scanner.finish()
                    return true
                } catch {
                    return false
                }
            }
            // Skipping does not look at a number's range, so it may accept more, never less.
            if parsed != nil && !isSkipped {
                throw FuzzFinding(seed: seed, event: event, "read but not skipped: \(bytes)")
            }
            // A whole number written with an exponent reads back as an integer: the text is compared, not the case.
            if let parsed, (try? JSONValue(parsing: parsed.encoded))?.encoded != parsed.encoded {
                throw FuzzFinding(seed: seed, event: event, "changed by writing: \(bytes)")
            }
        }
    }

    private static func tree(_ random: inout SeededGenerator, depth: Int) -> JSONValue {
        switch random.int(in: 0..<(depth > 4 ? 5 : 7)) {
        case 0: return .null
        case 1: return .boolean(random.oneIn(2))
        case 2: return .integer(Int64(bitPattern: random.next()) >> Int64(random.int(in: 0..<64)))
        case 3:
            let value = Double(bitPattern: random.next())
            // A whole double reads back as an integer, so only others are made.
            return value.isFinite && value != value.rounded() ? .number(value) : .number(0.5)
        case 4: return .string(text(&random))
        case 5: return .array((0..<random.int(in: 0..<5)).map { _ in tree(&random, depth: depth + 1) })
        default:
            return .object(
                (0..<random.int(in: 0..<5)).map { _ in
                    JSONValue.Member(text(&random), tree(&random, depth: depth + 1))
                })
        }
    }

    private static func text(_ random: inout SeededGenerator) -> String {
        let pieces = ["a", "\"", "\\", "\n", "é", "😀", "\u{0}", "\u{7f}", "longer plain text", "/", "\u{2028}"]
        return (0..<random.int(in: 0..<6)).map { _ in random.pick(pieces) }.joined()
    }
}

@Suite struct JSONFuzzerTests {
    @Test func smoke() throws { try JSONFuzzer.runFromTable() }
}
