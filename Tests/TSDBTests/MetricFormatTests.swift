import Disk
import Telemetry
import TestSupport
import Testing

@testable import TSDB

/// The pages about the metric formats say what the code writes and reads.
struct MetricFormatTests {
    private let start: Int64 = 1_700_000_000_000
    private let salt: UInt64 = 0x1122_3344_5566_7788

    /// What the page's golden records hold.
    private func scrape(load: Double, at milliseconds: Int64, sequence: UInt64) -> SampleBatch {
        var group = SampleGroup(target: Labels(["job": "node"]))
        group.append(.init(["__name__": "up", "job": "node"]), milliseconds: milliseconds, value: 1)
        group.append(.init(["__name__": "load", "job": "node"]), milliseconds: milliseconds, value: load)
        return SampleBatch(
            groups: [group], delivery: DeliveryIdentity(sender: RecordExamples.sender, sequence: sequence))
    }

    private func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    private func expect(_ bytes: [UInt8], _ page: GoldenPage, _ name: String) throws {
        let golden = try page(name)
        #expect(bytes == golden, "golden: \(name) -> \(hexadecimal(bytes))")
    }

    @Test func recordsOfTheLogAreAsThePageSays() throws {
        let page = try GoldenPage("metric-log")
        var examples = RecordExamples.Writer()
        let first = "batch up=1 load=0.25 of job=node at 1700000000000, delivery 00ff/2/backlog/3"
        let bytes = examples.encode(scrape(load: 0.25, at: start, sequence: 3))
        try expect(bytes, page, first)
        let second = "the same of up=1 load=0.5 at 1700000015000, behind it"
        let behind = examples.encode(scrape(load: 0.5, at: start + 15_000, sequence: 4))
        try expect(behind, page, second)
        let ones = [Double(1).bitPattern, Double(0.25).bitPattern]
        let record = try bytes.withUnsafeBytes { try HeadRecordReader.batch($0) }
        #expect(record.groups.first?.values == ones && record.delivery?.sequence == 3)
        let next = try #require(try behind.withUnsafeBytes { try HeadRecordReader.batch($0) }.groups.first)
        #expect(next.times == [15_000] && next.series == nil && !next.isFull)
        #expect(next.values == [0, Double(0.25).bitPattern ^ Double(0.5).bitPattern])
        let old = try page("version 1 of the first").withUnsafeBytes { try HeadRecordReader.batch($0) }
        #expect(old.groups.first?.values == ones && old.groups.first?.series == record.groups.first?.series)
        #expect(old.delivery == record.delivery && old.groups.first?.target == record.groups.first?.target)
        let marks = HeadRecordWriter.marks([RecordExamples.sender: 7])
        try expect(marks, page, "marks 00ff/2/backlog at 7")
        #expect(try marks.withUnsafeBytes { try HeadRecordReader.marks($0) } == [RecordExamples.sender: 7])
        let metadata = [MetricMetadata(metricName: "up", kind: .gauge, unit: "", help: "Is it up?")]
        let payload = HeadRecordWriter.metadata(metadata)
        try expect(payload, page, "metadata up, gauge, no unit, \"Is it up?\"")
        #expect(try payload.withUnsafeBytes { try HeadRecordReader.metadata($0) } == metadata)
    }

    @Test func columnsAreAsThePageSays() throws {
        let page = try GoldenPage("metric-block")
        let columns: [(String, [Double])] = [
            ("floats 1 1 1", [1, 1, 1]), ("floats 0.1 0.2 0.4", [0.1, 0.2, 0.4]),
            ("floats 4096 8192 12288 16384", [4096, 8192, 12288, 16384]), ("floats pi pi/7", [.pi, .pi / 7]),
            ("floats -0 -0", [-0.0, -0.0]), ("floats 4096 1 -0 4096", [4096, 1, -0.0, 4096]),
            ("floats 0 to 479 squared, modulo 31", (0..<480).map { Double($0 * $0 % 31) }),
        ]
        for (name, values) in columns {
            let bits = values.map(\.bitPattern)
            let bytes = ColumnBytes.encode(bits)
            try expect(bytes, page, name)
            #expect(try ColumnBytes.decode(try page(name), count: bits.count) == bits)
        }
        var writer = ByteWriter()
        IntegerColumn.encode((0..<4).map { start + $0 * 15_000 }, into: &writer)
        try expect(writer.bytes, page, "integers 1700000000000 and three more, 15000 apart")
        let tombstones = TombstoneFile.encode([
            Tombstone(
                throughSequence: 5, matchers: [.equal("job", "node")],
                range: TimeRange(startMilliseconds: 1, endMilliseconds: 2))
        ])
        try expect(tombstones, page, "tombstone job=\"node\" from 1 to 2 through block 5")
        #expect(try TombstoneFile.decode(tombstones).first?.throughSequence == 5)
        let entry = BlockManifest.Entry(
            sequence: BlockSequence(first: 4, last: 4), times: TimeRange(startMilliseconds: 1, endMilliseconds: 2),
            sampleCount: 3)
        let content = BlockManifest.Content(blocks: [entry], deletionCount: 1, deletedThrough: 5)
        let bytes = BlockManifest.encode(content)
        try expect(bytes, page, "list of block 4 with 3 samples from 1 to 2, one deletion through block 5")
        #expect(try BlockManifest.decode(bytes) == content)
        let old = try page("version 1 of a list of block 4 with 3 samples from 1 to 2")
        #expect(try BlockManifest.decode(old) == BlockManifest.Content(blocks: [entry]))
    }

    @Test func aWholeBlockIsAsThePageSays() throws {
        let page = try GoldenPage("metric-block")
        let storage = SimulatedStorage(seed: 1)
        let file = try storage.open("block", .create)
        var writer = BlockWriter(file, salt: salt)
        let labels = ["load", "up"].map { Labels(["__name__": $0, "job": "node"]) }
        let first = writer.beginGroup(
            Labels(["job": "node"]), sealedThrough: LogPosition(9),
            layout: SeriesLayout(labels, target: Labels(["job": "node"])))
        var load = StripColumn(ordinal: first)
        (load.rows, load.bits) = ([0, 2], [Double(0.25).bitPattern, Sample.staleBits])
        var up = StripColumn(ordinal: first + 1)
        (up.rows, up.bits) = ([0, 1, 2], [UInt64](repeating: Double(1).bitPattern, count: 3))
        try writer.append(rowTimes: (0..<3).map { start + $0 * 15_000 }, columns: [load, up])
        _ = try writer.finish(
            sequence: BlockSequence(first: 4, last: 4), history: BlockHistory(flush: BlockSequence(first: 4, last: 4)))
        let bytes = try #require(storage.bytes(of: "block"))
        try expect(bytes, page, "block 4 of job=node: load 0.25 _ stale, up 1 1 1, from 1700000000000 every 15000")

        storage.replaceBytes(
            of: "golden",
            with: try page(
                "block 4 of job=node: load 0.25 _ stale, up 1 1 1, from 1700000000000 every 15000"))
        let reader = try BlockReader(try storage.open("golden", .read), cache: PageCache(maximumBytes: 1 << 20))
        #expect(reader.footer.sequence == BlockSequence(first: 4, last: 4) && reader.footer.sampleCount == 5)
        let index = try reader.index()
        #expect(try (0..<2).map { try index.labels(of: $0) } == labels)
        let location = try #require(index.groups.first?.strips.first)
        var columns = try reader.columns(of: location)
        let run = try reader.samples(of: 0, in: &columns, at: location, range: .all)
        #expect(run.timesMilliseconds == [start, start + 30_000] && run.bits == load.bits)
    }

    @Test func blocksOfTheVersionBeforeAreRead() throws {
        let page = try GoldenPage("metric-block")
        let storage = SimulatedStorage(seed: 1)
        storage.replaceBytes(of: "old", with: try page("the same of version 2"))
        let reader = try BlockReader(try storage.open("old", .read), cache: PageCache(maximumBytes: 1 << 20))
        #expect(reader.footer.history.rank == 4 && reader.footer.history.replaced == nil)
        #expect(try reader.index().seriesCount == 2 && reader.footer.sampleCount == 5)
        let merged = BlockSequence(first: 1, last: 64)
        #expect(BlockHistory(silent: merged).level == 2 && merged.covers(BlockSequence(first: 9, last: 16)))
    }

    @Test func exemplarsComeBackAsTheyWent() throws {
        let page = try GoldenPage("metric-log")
        let exemplar = Exemplar(labels: Labels(["trace_id": "4bf9"]), milliseconds: start, value: 0.25)
        let all = [SeriesExemplars(labels: Labels(["__name__": "up", "job": "node"]), exemplars: [exemplar])]
        let payload = ExemplarRecord.encode(all)
        try expect(payload, page, "exemplars trace_id=4bf9 of up{job=node}, 0.25 at 1700000000000")
        #expect(try payload.withUnsafeBytes { try ExemplarRecord.decode($0) } == all)
        let (decoded, through) = try ExemplarStore.decode(ExemplarStore.encode(all, through: LogPosition(7)))
        #expect(decoded == all && through == LogPosition(7))
    }

    @Test func aColumnBeyondAPageIsReadFromSeveral() throws {
        let storage = SimulatedStorage(seed: 1)
        let file = try storage.open("block", .create)
        var generator = SeededGenerator(seed: 9)
        var writer = BlockWriter(file, salt: salt)
        let labels = (0..<40).map { Labels(["__name__": "m\(100 + $0)"]) }
        _ = writer.beginGroup(.empty, sealedThrough: LogPosition(1), layout: SeriesLayout(labels, target: .empty))
        let columns = (0..<40).map { number in
            var column = StripColumn(ordinal: UInt32(number))
            column.rows = Array(0..<480)
            column.bits = (0..<480).map { _ in generator.next() }
            return column
        }
        try writer.append(rowTimes: (0..<480).map { start + $0 }, columns: columns)
        _ = try writer.finish(
            sequence: BlockSequence(first: 1, last: 1), history: BlockHistory(flush: BlockSequence(first: 1, last: 1)))
        let reader = try BlockReader(try storage.open("block", .read), cache: PageCache(maximumBytes: 1 << 20))
        let location = try #require(try reader.groups().first?.strips.first)
        var strip = try reader.columns(of: location)
        for (index, column) in columns.enumerated() {
            let run = try reader.samples(of: index, in: &strip, at: location, range: .all)
            #expect(run.bits == column.bits)
        }
        #expect(location.streamByteCount > 2 * BlockFormat.pageByteCount)
    }
}
