internal import TestSupport
internal import Testing

@testable import Telemetry

@Suite struct ByteReaderTests {
    func read(_ bytes: [UInt8], _ body: (inout ByteReader) throws -> Void) throws {
        try bytes.withUnsafeBytes { raw in
            var reader = ByteReader(raw)
            try body(&reader)
        }
    }

    @Test func readsWhatWasWritten() throws {
        var writer = ByteWriter(capacity: 64)
        writer.put(7)
        writer.putFixed(UInt16(0x0102))
        writer.putFixed(Int64(-2))
        writer.putDouble(-0.0)
        writer.putVarint(.max)
        writer.putSigned(.min)
        writer.putString("é")
        writer.putPrefixed([1, 2, 3] as [UInt8])
        writer.putPrefixed(Labels(["a": "b"]).encoded)
        try read(writer.bytes) { reader in
            let first = try reader.byte()
            #expect(first == 7)
            let short: UInt16 = try reader.fixed()
            #expect(short == 0x0102)
            let long = try reader.fixed(Int64.self)
            #expect(long == -2)
            let double = try reader.double()
            #expect(double.bitPattern == (-0.0).bitPattern)
            let wide = try reader.varint()
            #expect(wide == .max)
            let low = try reader.signed()
            #expect(low == .min)
            let text = try reader.string()
            #expect(text == "é")
            let run = try reader.prefixed()
            #expect(Array(run) == [1, 2, 3])
            let labels = try reader.labels()
            #expect(labels == Labels(["a": "b"]))
            #expect(reader.isAtEnd)
            #expect(reader.remaining == 0)
        }
    }

    @Test func saysWhatIsMissingAndWhere() throws {
        try read([1, 2]) { reader in
            _ = try reader.byte()
            var copy = reader
            #expect(throws: ByteError(offset: 1, reason: "8 more bytes wanted for an integer, 1 are left")) {
                try copy.fixed(UInt64.self)
            }
            #expect(throws: ByteError(offset: 1, reason: "-1 more bytes wanted for a run of bytes, 1 are left")) {
                try copy.slice(-1)
            }
        }
        try read([]) { reader in
            var copy = reader
            #expect(throws: ByteError(offset: 0, reason: "one more byte wanted for a byte, 0 are left")) {
                try copy.byte()
            }
        }
    }

    @Test(
        arguments: [
            ([0x80], "varint is cut short"), ([UInt8](repeating: 0x80, count: 10) + [0], "varint longer than 64 bits"),
            ([UInt8](repeating: 0xff, count: 9) + [2], "varint longer than 64 bits"),
        ] as [([UInt8], String)])
    func refusesBrokenVarints(bytes: [UInt8], reason: String) throws {
        try read(bytes) { reader in
            var copy = reader
            #expect(throws: ByteError(offset: 0, reason: reason)) { try copy.varint() }
        }
    }

    @Test func boundsCountsBeforeAnybodyAllocates() throws {
        var writer = ByteWriter()
        writer.putVarint(1 << 40)
        try read(writer.bytes) { reader in
            var copy = reader
            #expect(throws: ByteError(offset: 0, reason: "series 1099511627776 is over 1000")) {
                try copy.count(upTo: 1000, "series")
            }
            var other = reader
            #expect(throws: ByteError.self) { try other.prefixed() }
        }
    }

    @Test func refusesTextThatIsNotUTF8() throws {
        try read([1, 0xff]) { reader in
            var copy = reader
            #expect(throws: ByteError(offset: 0, reason: "text is not UTF-8")) { try copy.string() }
            var other = reader
            #expect(throws: ByteError(offset: 0, reason: "labels are not canonical")) { try other.labels() }
        }
    }

    @Test func patchesALengthKnownLater() {
        var writer = ByteWriter(adopting: [9])
        writer.putFixed(UInt32(0))
        writer.put([1, 2])
        writer.patchFixed(0x0403_0201, at: 1)
        #expect(writer.bytes == [9, 1, 2, 3, 4, 1, 2])
        writer.removeAll()
        #expect(writer.count == 0)
    }
}

/// Any integer survives as a varint, and any bytes are refused or read as a number that is written again.
struct VarintFuzzer: Fuzzer {
    static let name = "varint"

    static func run(seed: UInt64, events: Int) throws {
        var random = SeededGenerator(seed: seed)
        for event in 0..<events {
            let value = random.next() >> UInt64(random.int(in: 0..<64))
            var writer = ByteWriter()
            writer.putVarint(value)
            writer.putSigned(Int64(bitPattern: value))
            let isSame = writer.bytes.withUnsafeBytes { raw in
                var reader = ByteReader(raw)
                return (try? reader.varint()) == value && (try? reader.signed()) == Int64(bitPattern: value)
                    && reader.isAtEnd
            }
            if !isSame { throw FuzzFinding(seed: seed, event: event, "\(value) does not come back") }
            let junk = random.bytes(random.int(in: 0..<12)).map { random.oneIn(3) ? $0 : $0 | 0x80 }
            let found = junk.withUnsafeBytes { raw in
                var reader = ByteReader(raw)
                return try? reader.varint()
            }
            guard let found else { continue }
            var again = ByteWriter()
            again.putVarint(found)
            if again.count > 10 { throw FuzzFinding(seed: seed, event: event, "\(found) takes \(again.count) bytes") }
        }
    }
}

@Suite struct VarintFuzzerTests {
    @Test func smoke() throws { try VarintFuzzer.runFromTable() }
}
