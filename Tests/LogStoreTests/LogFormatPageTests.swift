internal import Telemetry
internal import TestSupport
internal import Testing

@testable internal import LogStore

/// The pages docs/formats/log-*.md and the code say the same: what a page names encodes to its golden bytes, and those
/// decode to it again.
struct LogFormatPageTests {
    let app = Labels(["app": "api"])

    private func lines() -> LogLines {
        var lines = LogLines(labels: app, origin: LogOrigin(source: "f", generation: 2))
        lines.append(nanoseconds: 1000, line: Array("a".utf8), offsets: 0..<2)
        lines.append(nanoseconds: 1005, line: [0xff, 0], offsets: 2..<5, metadata: Labels(["t": "1"]))
        return lines
    }

    @Test func partsAreAsTheirPageSays() throws {
        let page = try GoldenPage("log-part")
        var columns = LineColumns()
        columns.append(lines(), 0..<2)
        let block = LogBlock(encoding: columns, firstPosition: 3, lastPosition: 4, lastArrivalNanoseconds: 2000)
        #expect(block.body == (try page("the columns of a block of two lines")))
        var footer = PartFooter()
        (footer.firstPosition, footer.lastPosition, footer.createdNanoseconds) = (3, 4, 3000)
        footer.streams = [app]
        footer.origins = [
            PartFooter.StoredOrigin(
                origin: LogOrigin(source: "f", generation: 2), intervals: IntervalSet([0..<5]), newestNanoseconds: 1005)
        ]
        footer.deliveries = [DeliveryIdentity("ab", 9)]
        let range = LogTimeRange(startNanoseconds: 1, endNanoseconds: 2)
        footer.losses = [LogLoss(labels: app, origin: nil, range: range, lines: 3, bytes: 0, reason: "full")]
        let writer = PartWriter(footer, blocks: [(stream: 0, block: block)])
        let golden = try page("a part with that block, an origin, a delivery and a loss")
        #expect(writer.encoded() == golden)
        let reader = try PartReader(MemoryObject(bytes: golden))
        #expect(reader.footer == writer.footer && reader.blemish == nil)
        #expect(try StoredBlock(reader, reader.footer.blocks[0]).columns() == columns)
        // The version before did not know severities; what it wrote is read all the same.
        let former = try PartReader(MemoryObject(bytes: try page("the same part in version 2")))
        #expect(former.blemish == nil && former.footer.losses == reader.footer.losses)
        #expect(!former.footer.blocks[0].severities.isKnown && reader.footer.blocks[0].severities.only == 0)
        let stored = StoredBlock(former, former.footer.blocks[0])
        #expect(try stored.columns() == columns)
        #expect(try LineSeverities.numbers(of: try stored.open(), stored: stored, labels: app) == [0, 0])
        let anchor = try page("an anchor of a footer of 16 bytes at byte 32")
        #expect(PartAnchor(footerOffset: 32, footerBytes: 16).encoded() == anchor)
    }

    @Test func typedColumnsAreAsTheirPageSays() throws {
        let page = try GoldenPage("log-part")
        let texts = [
            #"{"level":"info","status":200,"id":"00112233445566778899aabbccddeeff"}"#,
            #"{"level":"warn","status":404,"id":"ffeeddccbbaa99887766554433221100"}"#,
            "2023-11-14T22:13:20.002Z GET /a/17 took 0.25 s from 10.0.0.1",
        ]
        var lines = LogLines(labels: app)
        for (index, text) in texts.enumerated() {
            lines.append(
                nanoseconds: 1_700_000_000_000_000_000 + Int64(index) * 1_000_000, line: Array(text.utf8))
        }
        var columns = LineColumns()
        columns.append(lines, 0..<3)
        let block = LogBlock(encoding: columns, firstPosition: 1, lastPosition: 1, lastArrivalNanoseconds: 0)
        #expect(block.body == (try page("the columns of three lines of two kinds")))
        #expect(block.filter == (try page("the filter of three lines of two kinds")))
        let table = try page("the templates of three lines of two kinds")
        var writer = ByteWriter()
        block.table.encode(to: &writer)
        #expect(writer.bytes == table)
        let decoded = try table.withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            return try TemplateTable(decoding: &reader)
        }
        #expect(decoded == block.table)
        #expect(try StoredBlock(block).columns() == columns)
        #expect(try StoredBlock(block).open().severities() == [Severity.info, .warn, .unknown].map(\.rawValue))
    }

    @Test func batchesAreAsTheirPageSays() throws {
        let page = try GoldenPage("log-batch")
        var record = BatchRecord(
            streams: [lines()], losses: [], delivery: DeliveryIdentity("ab", 9), arrivalNanoseconds: 2000)
        #expect(record.encoded() == (try page("two lines of a file in delivery 9 of agent ab")))
        var pushed = LogLines(labels: app)
        pushed.append(nanoseconds: 1, line: Array("x".utf8))
        record = BatchRecord(streams: [pushed], losses: [], delivery: nil, arrivalNanoseconds: 5)
        record.doubtful = [[0]]
        let golden = try page("a pushed line that may be stored already")
        #expect(record.encoded() == golden)
        let decoded = try golden.withUnsafeBytes { try BatchRecord(decoding: $0) }
        #expect(decoded.doubtful == [[0]] && decoded.streams.first?.bytes == Array("x".utf8))
    }

    @Test func deletionsAreAsTheirPageSays() throws {
        let page = try GoldenPage("log-deletions")
        let range = LogTimeRange(startNanoseconds: 0, endNanoseconds: 1_000_000)
        let list = [Deletion(matchers: [try LabelMatcher("app", .matchesRegex, "a.*")], range: range, position: 7)]
        let golden = try page("lines of app=~\"a.*\" in the first millisecond, up to position 7")
        #expect(Deletion.encode(list) == golden)
        let whole = try golden.withUnsafeBytes { try Deletion.decode($0) }
        #expect(whole.list == list && whole.blemish == nil)
        // One damaged byte anywhere loses nothing.
        for index in golden.indices {
            var damaged = golden
            damaged[index] ^= 0x10
            let read = try damaged.withUnsafeBytes { try Deletion.decode($0) }
            #expect(read.list == list && read.blemish != nil, "byte \(index)")
        }
    }

    @Test func aNewerFormatIsRefusedByName() throws {
        var anchor = PartAnchor(footerOffset: 0, footerBytes: 0).encoded()
        anchor[8] = 4
        let sum = anchor[..<24].withUnsafeBytes { Section.checksum(of: $0) }
        for index in 0..<4 { anchor[24 + index] = UInt8(truncatingIfNeeded: sum >> UInt32(8 * index)) }
        let newer = anchor
        #expect { try PartReader(MemoryObject(bytes: newer + newer)) } throws: { error in
            (error as? FormatError)?.isNewer == true && "\(error)".contains("version 4")
        }
        #expect { try [UInt8](arrayLiteral: 2, 0).withUnsafeBytes { try BatchRecord(decoding: $0) } } throws: { error in
            (error as? FormatError)?.isNewer == true
        }
    }
}
