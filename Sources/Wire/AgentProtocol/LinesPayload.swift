internal import Telemetry

/// The payload of a line frame: streams in columns, then losses (docs/formats/agent-protocol.md, "lines").
enum LinesPayload {
    static func write(_ batch: LogBatch, to writer: inout ByteWriter, id: (Labels) -> UInt64) {
        writer.putVarint(UInt64(batch.streams.count))
        for stream in batch.streams { write(stream, to: &writer, id: id) }
        writer.putVarint(UInt64(batch.losses.count))
        for loss in batch.losses {
            writer.putVarint(id(loss.labels))
            write(loss.origin, to: &writer)
            writer.putSigned(loss.range.startNanoseconds)
            writer.putSigned(loss.range.endNanoseconds)
            writer.putVarint(UInt64(max(0, loss.lines)))
            writer.putVarint(UInt64(max(0, loss.bytes)))
            writer.putText(loss.reason)
        }
    }

    static func read(_ reader: inout ByteReader, labels: (UInt64) -> Labels) throws(ByteError) -> LogBatch {
        var batch = LogBatch(streams: [])
        for _ in 0..<(try reader.itemCount("streams")) {
            batch.streams.append(try readStream(&reader, labels: labels))
        }
        for _ in 0..<(try reader.itemCount("losses")) {
            let labels = labels(try reader.varint())
            let origin = try readOrigin(&reader)
            let range = LogTimeRange(
                startNanoseconds: try reader.signed(), endNanoseconds: try reader.signed())
            batch.losses.append(
                LogLoss(
                    labels: labels, origin: origin, range: range, lines: try reader.quantity("lines"),
                    bytes: try reader.quantity("bytes"), reason: try reader.text()))
        }
        return batch
    }

    private static func write(_ stream: LogLines, to writer: inout ByteWriter, id: (Labels) -> UInt64) {
        writer.putVarint(id(stream.labels))
        write(stream.origin, to: &writer)
        writer.putVarint(UInt64(stream.count))
        var previousTime: Int64 = 0
        for time in stream.timesNanoseconds {
            writer.putSigned(time &- previousTime)
            previousTime = time
        }
        var previousEnd = 0
        for end in stream.lineEnds {
            writer.putVarint(UInt64(end - previousEnd))
            previousEnd = end
        }
        let hasOffsets = stream.offsetStarts.count == stream.count && stream.offsetEnds.count == stream.count
        writer.putFlag(hasOffsets)
        if hasOffsets {
            var previous: UInt64 = 0
            for (start, end) in zip(stream.offsetStarts, stream.offsetEnds) {
                // Lines that follow one another in their file are zeros here.
                writer.putSigned(Int64(bitPattern: start &- previous))
                writer.putVarint(end &- start)
                previous = end
            }
        }
        writer.putVarint(UInt64(stream.metadata.count))
        for metadata in stream.metadata {
            writer.putVarint(UInt64(metadata.lineIndex))
            writer.putPrefixed(metadata.labels.encoded)
        }
        writer.putPrefixed(stream.bytes)
    }

    private static func readStream(
        _ reader: inout ByteReader, labels: (UInt64) -> Labels
    ) throws(ByteError) -> LogLines {
        let labels = labels(try reader.varint())
        var stream = LogLines(labels: labels, origin: try readOrigin(&reader))
        let count = try reader.itemCount("lines")
        stream.timesNanoseconds.reserveCapacity(count)
        stream.lineEnds.reserveCapacity(count)
        var time: Int64 = 0
        for _ in 0..<count {
            time = time &+ (try reader.signed())
            stream.timesNanoseconds.append(time)
        }
        var end = 0
        for _ in 0..<count {
            end += try reader.count(upTo: AgentProtocol.payloadBytesMaximum, "line length")
            stream.lineEnds.append(end)
        }
        if try reader.flag() { try readOffsets(&reader, into: &stream, count: count) }
        for _ in 0..<(try reader.itemCount("metadata")) {
            let start = reader.offset
            let index = try reader.varint()
            let isRising = index < UInt64(count) && Int(index) > stream.metadata.last?.lineIndex ?? -1
            guard isRising else { throw ByteError(offset: start, reason: "metadata of line \(index) of \(count)") }
            stream.metadata.append(LogLineMetadata(lineIndex: Int(index), labels: try reader.boundedLabels()))
        }
        let bytesOffset = reader.offset
        let bytes = try reader.prefixed()
        guard bytes.count == end else {
            throw ByteError(offset: bytesOffset, reason: "\(bytes.count) bytes for lines of \(end) bytes")
        }
        stream.bytes = Array(bytes)
        return stream
    }

    private static func readOffsets(
        _ reader: inout ByteReader, into stream: inout LogLines, count: Int
    ) throws(ByteError) {
        var previous: UInt64 = 0
        for _ in 0..<count {
            let place = reader.offset
            let start = previous &+ UInt64(bitPattern: try reader.signed())
            let (end, overflows) = start.addingReportingOverflow(try reader.varint())
            if overflows { throw ByteError(offset: place, reason: "offsets beyond 64 bits") }
            stream.offsetStarts.append(start)
            stream.offsetEnds.append(end)
            previous = end
        }
    }

    private static func write(_ origin: LogOrigin?, to writer: inout ByteWriter) {
        writer.putFlag(origin != nil)
        guard let origin else { return }
        writer.putText(origin.source)
        writer.putVarint(origin.generation)
    }

    private static func readOrigin(_ reader: inout ByteReader) throws(ByteError) -> LogOrigin? {
        guard try reader.flag() else { return nil }
        return LogOrigin(source: try reader.text(), generation: try reader.varint())
    }
}
