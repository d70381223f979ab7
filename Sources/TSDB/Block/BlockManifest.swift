internal import Disk
internal import Telemetry

/// The file that says which blocks there should be, so that one that is gone is missed. It decides nothing: blocks it
/// does not list are read all the same. docs/formats/metric-block.md has the layout.
struct BlockManifest {
    /// A block, and what is lost without it.
    struct Entry: Sendable, Equatable {
        var sequence: BlockSequence
        var times: TimeRange
        var sampleCount: Int
    }

    private static let magic: UInt32 = 0xB14C_4D56
    private static let version: UInt8 = 1
    private static let byteCountMaximum = 64 << 20

    let path: String
    let storage: any FileStorage

    /// What is listed; nil when there is no file. A damaged file throws `BlockDamage`.
    func read() throws -> [Entry]? {
        guard let bytes = try AtomicFile.read(path, in: storage, maximumBytes: Self.byteCountMaximum) else {
            return nil
        }
        do {
            return try Self.decode(bytes)
        } catch {
            throw BlockDamage(path: path, offset: 0, reason: "\(error)")
        }
    }

    /// Replaces the list. Where that fails, as on a full disk, there is none: an old one would miss blocks that were
    /// dropped with good reason.
    func write(_ entries: [Entry]) throws(StorageError) {
        do throws(StorageError) {
            try AtomicFile.write(Self.encode(entries), to: path, in: storage)
        } catch {
            do throws(StorageError) {
                try storage.remove(path)
            } catch  where error.kind == .notFound {
                return
            }
            try storage.syncFolder(StoragePath.parent(of: path))
        }
    }

    /// Magic, version, count, entries, checksum.
    static func encode(_ entries: [Entry]) -> [UInt8] {
        var writer = ByteWriter()
        writer.putFixed(magic)
        writer.put(version)
        writer.putVarint(UInt64(entries.count))
        for entry in entries {
            entry.sequence.encode(into: &writer)
            writer.putSigned(entry.times.startMilliseconds)
            writer.putSigned(entry.times.endMilliseconds)
            writer.putVarint(UInt64(entry.sampleCount))
        }
        writer.putFixed(writer.bytes.withUnsafeBytes { crc32c($0) })
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws -> [Entry] {
        try bytes.withUnsafeBytes { raw in
            guard raw.count > 9 else { throw ByteError(offset: 0, reason: "too short for a list of blocks") }
            var tail = ByteReader(raw, at: raw.count - 4)
            let front = UnsafeRawBufferPointer(rebasing: raw[..<(raw.count - 4)])
            guard try tail.fixed(UInt32.self) == crc32c(front) else {
                throw ByteError(offset: raw.count - 4, reason: "the checksum is wrong")
            }
            var reader = ByteReader(front)
            guard try reader.fixed(UInt32.self) == magic, try reader.byte() == version else {
                throw ByteError(offset: 0, reason: "not a list of blocks of version 1")
            }
            var entries: [Entry] = []
            for _ in 0..<(try reader.count(upTo: reader.remaining, "blocks")) {
                let sequence = try BlockSequence(from: &reader)
                let start = try reader.signed()
                let times = TimeRange(startMilliseconds: start, endMilliseconds: try reader.signed())
                let samples = try reader.count(upTo: Int.max, "samples")
                entries.append(Entry(sequence: sequence, times: times, sampleCount: samples))
            }
            return entries
        }
    }
}

extension BlockManifest.Entry {
    /// What a block is listed as.
    init(_ block: Block) {
        self.init(
            sequence: block.sequence, times: block.times, sampleCount: block.reader.footer.sampleCount)
    }

    /// In words, where its file is gone from `path`.
    func quarantined(at path: String) -> Quarantined {
        let span =
            "\(Timestamps.rfc3339(milliseconds: times.startMilliseconds)) to "
            + Timestamps.rfc3339(milliseconds: times.endMilliseconds)
        return Quarantined(
            path: path,
            reason: "the file is gone; its \(sampleCount) samples from \(span) are missing from answers, restore it "
                + "from a copy")
    }
}

/// An answer in which something of the store is missing.
extension Quarantined {
    /// Says it in an answer over `times`.
    func tell(over times: TimeRange, in context: QueryContext) {
        context.warn("\(path): \(reason)")
        // A span of the answer is in nanoseconds; times a damaged file gives may not fit.
        let start = times.startMilliseconds.multipliedReportingOverflow(by: 1_000_000)
        let end = times.endMilliseconds.multipliedReportingOverflow(by: 1_000_000)
        guard !start.overflow, !end.overflow else { return }
        let range = LogTimeRange(startNanoseconds: start.partialValue, endNanoseconds: end.partialValue &+ 1)
        context.report(AnswerGap(range: range, labels: .empty, reason: reason))
    }
}
