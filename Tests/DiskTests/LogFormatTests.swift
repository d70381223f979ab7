internal import Disk
internal import TestSupport
internal import Testing

/// docs/formats/segmented-log.md and the code say the same.
@Suite struct LogFormatTests {
    let header = SegmentHeader(salt: 0x1122_3344_5566_7788, first: LogPosition(7))
    let page: GoldenPage

    init() throws {
        page = try GoldenPage("segmented-log.md")
    }

    func encoded(_ header: SegmentHeader, version: UInt8 = SegmentHeader.version) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: SegmentHeader.byteCount)
        bytes.withUnsafeMutableBytes { header.encode(into: $0, version: version) }
        return bytes
    }

    func encoded(_ frame: FrameHeader, _ payload: String) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: frame.frameBytes)
        bytes.withUnsafeMutableBytes { raw in
            Array(payload.utf8).withUnsafeBytes { frame.encode($0, into: raw, seed: header.seed) }
        }
        return bytes
    }

    @Test func headerBytesAreThoseOfThePage() throws {
        let bytes = encoded(header)
        #expect(try page.bytes(of: "header salt=1122334455667788 first=7") == bytes)
        #expect(bytes.withUnsafeBytes { SegmentHeader.decode($0) } == .valid(header))
    }

    @Test func frameBytesAreThoseOfThePage() throws {
        let empty = FrameHeader(payloadBytes: 0, position: LogPosition(7), kind: 1, followsSync: true)
        #expect(try page.bytes(of: #"frame position=7 kind=1 flags=1 payload="""#) == encoded(empty, ""))
        let named = FrameHeader(payloadBytes: 7, position: LogPosition(8), kind: 2, followsSync: false)
        let bytes = encoded(named, "vedette")
        #expect(try page.bytes(of: #"frame position=8 kind=2 flags=0 payload="vedette""#) == bytes)
        #expect(bytes.withUnsafeBytes { FrameHeader.decode($0, seed: header.seed) } == named)
        #expect(bytes.withUnsafeBytes { FrameHeader.payloadHolds($0) })
    }

    @Test func aWrittenSegmentIsTheOneOfThePage() throws {
        let golden = try page.bytes(of: #"segment kind=2 "vedette" at 7"#)
        let storage = SimulatedStorage(seed: 1)
        let options = SegmentedLog.Options(growthBytes: 0, salt: { 0x1122_3344_5566_7788 })
        let log = try SegmentedLog(folder: "wal", in: storage, options: options, atLeast: LogPosition(7))
        _ = try log.append(kind: 2, Array("vedette".utf8))
        try log.sync()
        let path = "wal/00000000000000000007.segment"
        #expect(storage.bytes(of: path) == golden)

        let other = SimulatedStorage(seed: 2)
        try other.makeFolder("wal")
        other.replaceBytes(of: path, with: golden)
        #expect(try read(SegmentedLog(folder: "wal", in: other)) == [Array("vedette".utf8)])
    }

    @Test func aHeaderFoundAgainIsTheOneOfThePage() throws {
        let frame = try page.bytes(of: #"segment kind=2 "vedette" at 7"#).dropFirst(SegmentHeader.byteCount)
        let mended = try #require(frame.withUnsafeBytes { SegmentHeader(mendedFrom: $0, first: LogPosition(7)) })
        #expect(try page.bytes(of: "the header of that segment, found again from its frame") == encoded(mended))
        #expect(mended.seed == header.seed)
        // Another position, a byte of the payload, a frame that is cut short: then it tells nothing.
        #expect(frame.withUnsafeBytes { SegmentHeader(mendedFrom: $0, first: LogPosition(8)) } == nil)
        #expect(frame.dropLast().withUnsafeBytes { SegmentHeader(mendedFrom: $0, first: LogPosition(7)) } == nil)
        // Only its kind stands under no other checksum than the one that is run backwards.
        for byte in frame.indices where byte != frame.startIndex + 16 {
            var damaged = frame
            damaged[byte] ^= 4
            let found = damaged.withUnsafeBytes { SegmentHeader(mendedFrom: $0, first: LogPosition(7)) }
            #expect(found == nil, "byte \(byte)")
        }
    }

    @Test func noOtherByteOfAHeaderOrFrameIsTaken() throws {
        let whole = encoded(header)
        for bit in 0..<whole.count * 8 {
            var bytes = whole
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(bytes.withUnsafeBytes { SegmentHeader.decode($0) } == .damaged, "bit \(bit)")
        }
        let frame = encoded(FrameHeader(payloadBytes: 3, position: LogPosition(9), kind: 0, followsSync: false), "abc")
        for bit in 0..<frame.count * 8 {
            var bytes = frame
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            let isTaken = bytes.withUnsafeBytes { raw in
                guard let header = FrameHeader.decode(raw, seed: header.seed) else { return false }
                return header.frameBytes <= raw.count && FrameHeader.payloadHolds(raw)
            }
            #expect(!isTaken, "bit \(bit)")
        }
    }

    @Test func aNewerVersionIsRefusedByNameAndLeftAlone() throws {
        let storage = SimulatedStorage(seed: 1)
        try storage.makeFolder("wal")
        let path = "wal/00000000000000000007.segment"
        let newer = encoded(header, version: 2) + [1, 2, 3]
        storage.replaceBytes(of: path, with: newer)
        storage.replaceBytes(of: "wal/00000000000000000001.segment", with: [9, 9, 9] + newer)
        let error = #expect(throws: StorageError.self) { try SegmentedLog(folder: "wal", in: storage) }
        #expect(error?.description.contains("its format is version 2, this program reads version 1") == true)
        #expect(storage.bytes(of: path) == newer)
        #expect(storage.bytes(of: "wal/00000000000000000001.segment") != nil)
    }
}
