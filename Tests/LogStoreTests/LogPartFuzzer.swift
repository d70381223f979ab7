internal import Disk
internal import Telemetry
internal import TestSupport

@testable internal import LogStore

/// Damages parts and log records in every way and reads them: they give back exactly what was written or an error,
/// never something else, and never crash.
struct LogPartFuzzer: Fuzzer {
    static let name = "log-part"

    static func run(seed: UInt64, events: Int) throws {
        var generator = SeededGenerator(seed: seed)
        var part = Sample(&generator)
        for event in 0..<events {
            if event % 64 == 63 { part = Sample(&generator) }
            var bytes = part.bytes
            for _ in 0..<generator.int(in: 1..<4) { mutate(&bytes, &generator) }
            if let what = part.check(bytes) { throw FuzzFinding(seed: seed, event: event, what) }
            var record = part.record
            for _ in 0..<generator.int(in: 1..<4) { mutate(&record, &generator) }
            if let decoded = try? record.withUnsafeBytes({ try BatchRecord(decoding: $0) }), record != part.record {
                // Only a change in what no checksum covers, of which there is nothing but the version, may pass.
                guard decoded.encoded() == part.record else {
                    throw FuzzFinding(seed: seed, event: event, "a damaged batch record was read as another")
                }
            }
        }
    }

    private static func mutate(_ bytes: inout [UInt8], _ generator: inout SeededGenerator) {
        guard !bytes.isEmpty else { return }
        let index = generator.int(in: 0..<bytes.count)
        switch generator.int(in: 0..<6) {
        case 0: bytes.removeLast(generator.int(in: 1..<bytes.count + 1))
        case 1: bytes.insert(UInt8(generator.int(in: 0..<256)), at: index)
        case 2: bytes.remove(at: index)
        case 3: bytes[index] = generator.pick([0, 1, 0x7f, 0x80, 0xff])
        default: bytes[index] ^= 1 << UInt8(generator.int(in: 0..<8))
        }
    }

    /// A part and what it holds.
    private struct Sample {
        let bytes: [UInt8]
        let footer: PartFooter
        let blocks: [LineColumns]
        let record: [UInt8]

        init(_ generator: inout SeededGenerator) {
            var footer = PartFooter()
            footer.lastPosition = 9
            var encoded: [(stream: Int, block: LogBlock)] = []
            var blocks: [LineColumns] = []
            for number in 0..<generator.int(in: 1..<4) {
                footer.streams.append(Labels(["n": "\(number)"]))
                var columns = LineColumns()
                for _ in 0..<generator.int(in: 1..<6) {
                    let lines = Sample.lines(&generator)
                    columns.append(lines, 0..<lines.count)
                }
                let block = LogBlock(encoding: columns, firstPosition: 0, lastPosition: 9, lastArrivalNanoseconds: 0)
                encoded.append((number, block))
                blocks.append((try? StoredBlock(block).columns()) ?? LineColumns())
            }
            let writer = PartWriter(footer, blocks: encoded)
            bytes = writer.encoded()
            self.footer = writer.footer
            self.blocks = blocks
            let lines = Sample.lines(&generator)
            record = BatchRecord(streams: [lines], losses: [], delivery: nil, arrivalNanoseconds: 1).encoded()
        }

        private static func lines(_ generator: inout SeededGenerator) -> LogLines {
            let origin = generator.oneIn(3) ? nil : LogOrigin(source: "s\(generator.int(in: 0..<3))", generation: 1)
            var lines = LogLines(labels: Labels(["a": "b"]), origin: origin)
            for _ in 0..<generator.int(in: 1..<20) {
                let line = generator.bytes(generator.int(in: 0..<30))
                let time = Int64(generator.int(in: -100..<100))
                let metadata = generator.oneIn(4) ? Labels(["m": "\(generator.int(in: 0..<3))"]) : .empty
                if origin == nil {
                    lines.append(nanoseconds: time, line: line, metadata: metadata)
                } else {
                    let start = lines.offsetEnds.last ?? 0
                    let end = start + UInt64(line.count) + 1
                    lines.append(nanoseconds: time, line: line, offsets: start..<end, metadata: metadata)
                }
            }
            return lines
        }

        /// What is wrong with reading these bytes; nil when nothing is.
        func check(_ damaged: [UInt8]) -> String? {
            guard let reader = try? PartReader(MemoryObject(bytes: damaged)) else { return nil }
            guard reader.footer == footer else { return "a damaged footer was read as another" }
            for (summary, columns) in zip(reader.footer.blocks, blocks) {
                guard let restored = try? StoredBlock(reader, summary).columns() else { continue }
                if restored != columns { return "a damaged block was read as another" }
            }
            return nil
        }
    }
}
