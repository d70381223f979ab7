internal import Telemetry

/// One admitted batch as the write-ahead log keeps it (docs/formats/log-batch.md).
///
/// Applying the records in log order yields the same state whenever it is done, so a restart is a replay.
struct BatchRecord: Sendable {
    /// Lines, each of which satisfied the limits when it came.
    var streams: [LogLines]
    /// For each stream, the lines without an origin that are to be stored only if they are not stored yet: another
    /// batch on its way to the log had the same ones. Nearly always empty; rising.
    var doubtful: [[Int]]
    var losses: [LogLoss]
    var delivery: DeliveryIdentity?
    /// The time of day when the batch came.
    var arrivalNanoseconds: Int64

    /// The format's version, the first byte of a payload.
    static let version: UInt8 = 1
    /// What the lines of one batch may take in memory.
    static let memoryBytesMaximum = 64 << 20
    /// What one record may restore to; no batch within its limit comes near.
    static let bytesMaximum = 256 << 20

    /// What the lines take in memory.
    var memoryBytes: Int {
        streams.reduce(0) { sum, lines in
            sum + lines.bytes.count + lines.count * LineColumns.lineOverheadBytes
                + lines.metadata.reduce(0) { $0 + $1.labels.encoded.count }
        }
    }

    /// The payload of the log record.
    func encoded() -> [UInt8] {
        var body = ByteWriter(capacity: streams.reduce(1024) { $0 + $1.bytes.count + $1.count * 16 })
        body.putSigned(arrivalNanoseconds)
        body.put(delivery == nil ? 0 : 1)
        if let delivery { BatchCoding.encode(delivery, to: &body) }
        body.putVarint(UInt64(losses.count))
        for loss in losses { BatchCoding.encode(loss, to: &body) }
        body.putVarint(UInt64(streams.count))
        for (lines, doubtful) in zip(streams, doubtful) {
            BatchRecord.encode(lines, to: &body)
            BatchRecord.encode(doubtful, to: &body)
        }
        var writer = ByteWriter(capacity: body.count + 32)
        writer.put(BatchRecord.version)
        Section.append(body.bytes, codec: .lz4, to: &writer)
        return writer.bytes
    }

    private static func encode(_ lines: LogLines, to writer: inout ByteWriter) {
        writer.putPrefixed(lines.labels.encoded)
        writer.put(lines.origin == nil ? 0 : 1)
        if let origin = lines.origin { BatchCoding.encode(origin, to: &writer) }
        writer.putVarint(UInt64(lines.count))
        var previousTime: Int64 = 0
        for time in lines.timesNanoseconds {
            writer.putSigned(time &- previousTime)
            previousTime = time
        }
        var previousEnd = 0
        for end in lines.lineEnds {
            writer.putVarint(UInt64(end - previousEnd))
            previousEnd = end
        }
        writer.put(lines.bytes)
        var offset: UInt64 = 0
        for index in lines.offsetStarts.indices {
            writer.putSigned(Int64(bitPattern: lines.offsetStarts[index] &- offset))
            writer.putVarint(lines.offsetEnds[index] &- lines.offsetStarts[index])
            offset = lines.offsetEnds[index]
        }
        writer.putVarint(UInt64(lines.metadata.count))
        var previousLine = -1
        for entry in lines.metadata {
            writer.putVarint(UInt64(entry.lineIndex - previousLine))
            writer.putPrefixed(entry.labels.encoded)
            previousLine = entry.lineIndex
        }
    }

    private static func encode(_ doubtful: [Int], to writer: inout ByteWriter) {
        writer.putVarint(UInt64(doubtful.count))
        var previous = -1
        for index in doubtful {
            writer.putVarint(UInt64(index - previous))
            previous = index
        }
    }

    /// Reads a payload.
    init(decoding payload: UnsafeRawBufferPointer) throws(FormatError) {
        var reader = ByteReader(payload, at: min(1, payload.count))
        guard let version = payload.first, version == BatchRecord.version else {
            let found = payload.first ?? 0
            throw FormatError(
                "batch record of version \(found), this release reads \(BatchRecord.version)",
                isNewer: found > BatchRecord.version)
        }
        let raw = try Section.read(from: &reader, bytesMaximum: BatchRecord.bytesMaximum, "batch record")
        do {
            self = try raw.withUnsafeBytes { bytes in
                var body = ByteReader(bytes)
                return try BatchRecord(body: &body)
            }
        } catch let error as FormatError {
            throw error
        } catch {
            throw FormatError("batch record: \(error)")
        }
    }

    /// A record of lines that were admitted.
    init(streams: [LogLines], losses: [LogLoss], delivery: DeliveryIdentity?, arrivalNanoseconds: Int64) {
        self.streams = streams
        doubtful = streams.map { _ in [] }
        self.losses = losses
        self.delivery = delivery
        self.arrivalNanoseconds = arrivalNanoseconds
    }

    private init(body reader: inout ByteReader) throws {
        arrivalNanoseconds = try reader.signed()
        delivery = try reader.byte() == 0 ? nil : try BatchCoding.decodeDelivery(&reader)
        losses = []
        for _ in 0..<(try reader.count(upTo: reader.remaining, "number of losses")) {
            losses.append(try BatchCoding.decodeLoss(&reader))
        }
        streams = []
        doubtful = []
        for _ in 0..<(try reader.count(upTo: reader.remaining, "number of streams")) {
            let lines = try BatchRecord.decodeLines(&reader)
            streams.append(lines)
            doubtful.append(try BatchRecord.decodeRising(&reader, below: lines.count))
        }
        guard reader.isAtEnd else { throw FormatError("bytes follow the batch record") }
    }

    private static func decodeRising(_ reader: inout ByteReader, below count: Int) throws -> [Int] {
        var list: [Int] = []
        var index = -1
        for _ in 0..<(try reader.count(upTo: count, "number of doubtful lines")) {
            let step = try reader.count(upTo: count - 1 - index, "step to the next doubtful line")
            guard step > 0 else { throw FormatError("doubtful lines are not in order") }
            index += step
            list.append(index)
        }
        return list
    }

    private static func decodeLines(_ reader: inout ByteReader) throws -> LogLines {
        let labels = try reader.labels()
        let origin = try reader.byte() == 0 ? nil : try BatchCoding.decodeOrigin(&reader)
        var lines = LogLines(labels: labels, origin: origin)
        let count = try reader.count(upTo: reader.remaining, "number of lines")
        var time: Int64 = 0
        for _ in 0..<count {
            time &+= try reader.signed()
            lines.timesNanoseconds.append(time)
        }
        var end = 0
        for _ in 0..<count {
            end += try reader.count(upTo: reader.remaining - end, "line length")
            lines.lineEnds.append(end)
        }
        lines.bytes = Array(try reader.slice(end))
        var offset: UInt64 = 0
        for _ in 0..<(origin == nil ? 0 : count) {
            let start = offset &+ UInt64(bitPattern: try reader.signed())
            offset = start &+ (try reader.varint())
            guard start <= offset else { throw FormatError("an interval ends before it starts") }
            lines.offsetStarts.append(start)
            lines.offsetEnds.append(offset)
        }
        let entries = try reader.count(upTo: count, "number of lines with metadata")
        var line = -1
        for _ in 0..<entries {
            let step = try reader.count(upTo: count - 1 - line, "step to the next line with metadata")
            guard step > 0 else { throw FormatError("metadata is not in order") }
            line += step
            lines.metadata.append(LogLineMetadata(lineIndex: line, labels: try reader.structuredMetadata()))
        }
        return lines
    }
}
