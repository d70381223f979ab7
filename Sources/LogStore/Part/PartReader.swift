internal import Disk
internal import Telemetry

/// One open part: its footer in memory, its blocks read when they are asked for.
final class PartReader: Sendable {
    let object: any ObjectReader
    let footer: PartFooter
    let fileBytes: UInt64
    /// What is wrong with the file although it can be used; nil when nothing is.
    let blemish: String?
    /// Where the blocks of each of the footer's streams lie in its block index.
    let blockRanges: [Range<Int>]
    /// The first and last nanosecond of lines and losses.
    let span: ClosedRange<Int64>

    /// The name for messages.
    var path: String { object.path }

    /// About how much memory the footer holds.
    let memoryBytes: Int

    /// Opens a part. Throws `FormatError` when neither copy of the footer can be used, `StorageError` when the file
    /// cannot be read.
    init(_ object: any ObjectReader) throws {
        self.object = object
        fileBytes = try object.size()
        guard fileBytes >= UInt64(2 * PartAnchor.bytes) else { throw FormatError("the file is cut short") }
        var failures: [String] = []
        var found: PartFooter?
        for (place, offset) in PartReader.anchors(fileBytes) where found == nil {
            do {
                found = try PartReader.readFooter(object, anchorOffset: offset, fileBytes: fileBytes)
            } catch let error as FormatError where error.isNewer {
                throw error
            } catch {
                failures.append("the footer named at its \(place): \(error)")
            }
        }
        guard let found else { throw FormatError(failures.joined(separator: "; ")) }
        footer = found
        span = found.span
        blemish = failures.isEmpty ? nil : failures.joined(separator: "; ") + "; the other copy was used"
        var ranges = [Range<Int>](repeating: 0..<0, count: found.streams.count)
        var start = 0
        while start < found.blocks.count {
            let stream = found.blocks[start].stream
            var end = start + 1
            while end < found.blocks.count, found.blocks[end].stream == stream { end += 1 }
            ranges[stream] = start..<end
            start = end
        }
        blockRanges = ranges
        memoryBytes =
            found.blocks.count * 200 + found.streams.reduce(0) { $0 + 64 + $1.encoded.count }
            + found.origins.count * 160 + found.deliveries.count * 100
    }

    /// The number of lines.
    var lineCount: Int { footer.blocks.reduce(0) { $0 + $1.lines } }

    /// Where the anchors lie, the one that is asked first first.
    private static func anchors(_ fileBytes: UInt64) -> [(place: String, offset: UInt64)] {
        [("end", fileBytes - UInt64(PartAnchor.bytes)), ("start", 0)]
    }

    /// Which of the two copies of the footer cannot be used or differ from the one that is, and why.
    func copiesDamage() -> [(place: String, error: String)] {
        PartReader.anchors(fileBytes).compactMap { place, offset in
            do {
                let copy = try PartReader.readFooter(object, anchorOffset: offset, fileBytes: fileBytes)
                return copy == footer ? nil : (place, "it differs from the other copy")
            } catch {
                return (place, "\(error)")
            }
        }
    }

    private static func readFooter(
        _ object: any ObjectReader, anchorOffset: UInt64, fileBytes: UInt64
    ) throws -> PartFooter {
        let raw = try read(object, at: anchorOffset, bytes: PartAnchor.bytes)
        let anchor = try raw.withUnsafeBytes { bytes throws(FormatError) in
            try PartAnchor(decoding: bytes, fileBytes: fileBytes)
        }
        let bytes = try read(object, at: anchor.footerOffset, bytes: anchor.footerBytes)
        return try bytes.withUnsafeBytes { bytes throws(FormatError) in
            try PartFooter(decoding: bytes, fileBytes: fileBytes, version: anchor.version)
        }
    }

    /// Reads `bytes` bytes of the file.
    static func read(_ object: any ObjectReader, at offset: UInt64, bytes: Int) throws(StorageError) -> [UInt8] {
        var failure: StorageError?
        let result = [UInt8](unsafeUninitializedCapacity: bytes) { buffer, count in
            do throws(StorageError) {
                let target = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<bytes])
                try object.read(into: target, at: offset)
                count = bytes
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return result
    }
}
