internal import Disk
internal import Telemetry

/// The file that says which blocks and deletions there should be, so that one that is gone is missed. It decides
/// nothing: blocks it does not list are read all the same. docs/formats/metric-block.md has the layout.
struct BlockManifest {
    /// A block, and what is lost without it.
    struct Entry: Sendable, Equatable {
        var sequence: BlockSequence
        var times: TimeRange
        var sampleCount: Int
    }

    /// What the file says.
    struct Content: Sendable, Equatable {
        var blocks: [Entry] = []
        /// How many deletions the file of them has.
        var deletionCount = 0
        /// So many are gone with an earlier one, and were not repeated since.
        var lostDeletionCount = 0
        /// The last block that any of them concerns.
        var deletedThrough: UInt64 = 0
    }

    private static let magic: UInt32 = 0xB14C_4D56
    private static let version: UInt8 = 2
    private static let byteCountMaximum = 64 << 20

    let path: String
    let storage: any FileStorage

    /// What is listed; nil when there is no file. A damaged file throws `BlockDamage`.
    func read() throws -> Content? {
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
    func write(_ content: Content) throws(StorageError) {
        do throws(StorageError) {
            try AtomicFile.write(Self.encode(content), to: path, in: storage)
        } catch {
            do throws(StorageError) {
                try storage.remove(path)
            } catch  where error.kind == .notFound {
                return
            }
            try storage.syncFolder(StoragePath.parent(of: path))
        }
    }

    /// Magic, version, count, entries, deletions, checksum.
    static func encode(_ content: Content) -> [UInt8] {
        var writer = ByteWriter()
        writer.putFixed(magic)
        writer.put(version)
        writer.putVarint(UInt64(content.blocks.count))
        for entry in content.blocks {
            entry.sequence.encode(into: &writer)
            writer.putSigned(entry.times.startMilliseconds)
            writer.putSigned(entry.times.endMilliseconds)
            writer.putVarint(UInt64(entry.sampleCount))
        }
        writer.putVarint(UInt64(content.deletionCount))
        writer.putVarint(UInt64(content.lostDeletionCount))
        writer.putVarint(content.deletedThrough)
        writer.putFixed(writer.bytes.withUnsafeBytes { crc32c($0) })
        return writer.bytes
    }

    /// Reads this version and the one before, which knows nothing of deletions.
    static func decode(_ bytes: [UInt8]) throws -> Content {
        try bytes.withUnsafeBytes { raw in
            guard raw.count > 9 else { throw ByteError(offset: 0, reason: "too short for a list of blocks") }
            var tail = ByteReader(raw, at: raw.count - 4)
            let front = UnsafeRawBufferPointer(rebasing: raw[..<(raw.count - 4)])
            guard try tail.fixed(UInt32.self) == crc32c(front) else {
                throw ByteError(offset: raw.count - 4, reason: "the checksum is wrong")
            }
            var reader = ByteReader(front)
            guard try reader.fixed(UInt32.self) == magic else {
                throw ByteError(offset: 0, reason: "not a list of blocks")
            }
            let version = try reader.byte()
            guard version == 1 || version == Self.version else {
                throw ByteError(offset: 4, reason: "a list of blocks of version \(version), this program reads 1 and 2")
            }
            var content = Content()
            for _ in 0..<(try reader.count(upTo: reader.remaining, "blocks")) {
                let sequence = try BlockSequence(from: &reader)
                let start = try reader.signed()
                let times = TimeRange(startMilliseconds: start, endMilliseconds: try reader.signed())
                let samples = try reader.count(upTo: Int.max, "samples")
                content.blocks.append(Entry(sequence: sequence, times: times, sampleCount: samples))
            }
            guard version > 1 else { return content }
            content.deletionCount = try reader.count(upTo: Int.max, "deletions")
            content.lostDeletionCount = try reader.count(upTo: Int.max, "lost deletions")
            content.deletedThrough = try reader.varint()
            return content
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

/// Deletions that are gone: what they hid shows again in blocks up to a number.
struct LostDeletions: Sendable, Equatable {
    var count: Int
    var throughSequence: UInt64

    /// In words, where the file at `path` had them.
    func quarantined(at path: String) -> Quarantined {
        Quarantined(
            path: path,
            reason:
                "the file is gone; what \(count) \(count == 1 ? "deletion" : "deletions") had taken out shows again "
                + "in answers, delete it once more or restore the file from a copy")
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
