internal import Telemetry

/// Everything a part says about itself besides lines: the index of its blocks, its dictionaries, and what must be known
/// after a restart so that nothing is stored twice. Identifiers are local to the part.
struct PartFooter: Sendable, Equatable {
    /// What was stored of one origin, in this part only.
    struct StoredOrigin: Sendable, Equatable {
        var origin: LogOrigin
        var intervals: IntervalSet
        /// The newest line of the origin, after which its intervals may be forgotten.
        var newestNanoseconds: Int64
    }

    /// The first and last log position whose batches lie in the part, all of them.
    var firstPosition: UInt64 = 0
    var lastPosition: UInt64 = 0
    /// The time of day when the part was written.
    var createdNanoseconds: Int64 = 0
    /// Ordered, no two equal.
    var streams: [Labels] = []
    /// Ordered by stream, then by arrival.
    var blocks: [BlockSummary] = []
    var origins: [StoredOrigin] = []
    /// The last sequence of every sender as of `lastPosition`.
    var deliveries: [DeliveryIdentity] = []
    var losses: [LogLoss] = []
    /// The templates of all blocks.
    var templates = TemplateTable()

    /// The first and last nanosecond of lines and losses; the time of writing when there are none.
    var span: ClosedRange<Int64> {
        var first = Int64.max
        var last = Int64.min
        for block in blocks {
            first = min(first, block.firstNanoseconds)
            last = max(last, block.lastNanoseconds)
        }
        for loss in losses {
            first = min(first, loss.range.startNanoseconds)
            last = max(last, loss.range.endNanoseconds)
        }
        return first <= last ? first...last : createdNanoseconds...createdNanoseconds
    }
}

extension PartFooter {
    /// No footer is longer; bounds what a damaged anchor can ask for.
    static let bytesMaximum = 256 << 20

    /// The footer as seven sections: properties, streams, blocks, origins, deliveries, losses,
    /// templates.
    func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: blocks.count * 32 + 1024)
        var properties = ByteWriter()
        properties.putVarint(firstPosition)
        properties.putVarint(lastPosition)
        properties.putSigned(createdNanoseconds)
        Section.append(properties.bytes, codec: .zstd, to: &writer)
        PartFooter.append(streams, to: &writer) { $1.putPrefixed($0.encoded) }
        PartFooter.append(blocks, to: &writer) { $0.encode(to: &$1) }
        PartFooter.append(origins, to: &writer) { PartFooter.encode($0, to: &$1) }
        PartFooter.append(deliveries, to: &writer) { BatchCoding.encode($0, to: &$1) }
        PartFooter.append(losses, to: &writer) { BatchCoding.encode($0, to: &$1) }
        var raw = ByteWriter()
        templates.encode(to: &raw)
        Section.append(raw.bytes, codec: .zstd, to: &writer)
        return writer.bytes
    }

    /// Reads a footer of a file of `fileBytes` bytes in this version of the format.
    init(
        decoding bytes: UnsafeRawBufferPointer, fileBytes: UInt64, version: UInt8 = PartAnchor.newest
    ) throws(FormatError) {
        var reader = ByteReader(bytes)
        self.init()
        (firstPosition, lastPosition, createdNanoseconds) = try PartFooter.section(&reader, "part properties") {
            (try $0.varint(), try $0.varint(), try $0.signed())
        }
        streams = try PartFooter.list(&reader, "streams") { try $0.labels() }
        let streamCount = streams.count
        blocks = try PartFooter.list(&reader, "block index") {
            guard streamCount > 0 else { throw FormatError("a block has no stream") }
            return try BlockSummary.decode(
                from: &$0, streams: streamCount, fileBytes: fileBytes, version: version)
        }
        origins = try PartFooter.list(&reader, "origins") { try PartFooter.decodeOrigin(&$0) }
        deliveries = try PartFooter.list(&reader, "deliveries") { try BatchCoding.decodeDelivery(&$0) }
        losses = try PartFooter.list(&reader, "losses") { try BatchCoding.decodeLoss(&$0) }
        templates = try PartFooter.section(&reader, "templates") { try TemplateTable(decoding: &$0) }
        guard reader.isAtEnd, firstPosition <= lastPosition else { throw FormatError("the footer is not in order") }
        for (left, right) in zip(blocks, blocks.dropFirst()) where left.stream > right.stream {
            throw FormatError("the block index is not in order")
        }
    }

    private static func encode(_ stored: StoredOrigin, to writer: inout ByteWriter) {
        BatchCoding.encode(stored.origin, to: &writer)
        writer.putSigned(stored.newestNanoseconds)
        writer.putVarint(UInt64(stored.intervals.ranges.count))
        var previous: UInt64 = 0
        for range in stored.intervals.ranges {
            writer.putVarint(range.lowerBound - previous)
            writer.putVarint(range.upperBound - range.lowerBound)
            previous = range.upperBound
        }
    }

    private static func decodeOrigin(_ reader: inout ByteReader) throws -> StoredOrigin {
        let origin = try BatchCoding.decodeOrigin(&reader)
        let newest = try reader.signed()
        let count = try reader.count(upTo: reader.remaining, "number of intervals")
        var intervals = IntervalSet()
        var previous: UInt64 = 0
        for _ in 0..<count {
            let (start, startOverflows) = previous.addingReportingOverflow(try reader.varint())
            let (end, endOverflows) = start.addingReportingOverflow(try reader.varint())
            guard !startOverflows, !endOverflows else { throw FormatError("an interval ends behind 2^64") }
            intervals.insert(start..<end)
            previous = end
        }
        return StoredOrigin(origin: origin, intervals: intervals, newestNanoseconds: newest)
    }

    private static func append<Element>(
        _ list: [Element], to writer: inout ByteWriter, _ body: (Element, inout ByteWriter) -> Void
    ) {
        var raw = ByteWriter()
        raw.putVarint(UInt64(list.count))
        for element in list { body(element, &raw) }
        Section.append(raw.bytes, codec: .zstd, to: &writer)
    }

    private static func list<Element>(
        _ reader: inout ByteReader, _ what: String, _ body: (inout ByteReader) throws -> Element
    ) throws(FormatError) -> [Element] {
        try section(&reader, what) { inner in
            let count = try inner.count(upTo: inner.remaining, "number of entries")
            var list: [Element] = []
            list.reserveCapacity(min(count, 4096))
            for _ in 0..<count { list.append(try body(&inner)) }
            return list
        }
    }

    private static func section<Value>(
        _ reader: inout ByteReader, _ what: String, _ body: (inout ByteReader) throws -> Value
    ) throws(FormatError) -> Value {
        let raw = try Section.read(from: &reader, bytesMaximum: bytesMaximum, what)
        do {
            return try raw.withUnsafeBytes { bytes in
                var inner = ByteReader(bytes)
                let value = try body(&inner)
                guard inner.isAtEnd else { throw FormatError("bytes follow the \(what)") }
                return value
            }
        } catch let error as FormatError {
            throw error
        } catch {
            throw FormatError("\(what): \(error)")
        }
    }
}
