internal import Telemetry
internal import Wire

/// One batch as the spool keeps it: frames of the agent protocol, and what is needed to send or to give them up.
/// The layout is in docs/formats/spool.md.
struct SpoolRecord: Equatable {
    static let version: UInt8 = 1
    /// The kind of the record in the segmented log.
    static let kind: UInt8 = 1

    var lane: DeliveryIdentity.Lane
    var epoch: UInt64
    var sequence: UInt64
    /// The position of the first record of its segment, where the declarations it builds on begin.
    var segmentStart: UInt64
    /// When it was made, for the age of what waits.
    var nanoseconds: Int64
    /// What is lost if it is given up; empty for anything but lines.
    var summary: [LogLoss]
    var frames: AgentFrames

    /// What is read first and is all that most readers need.
    struct Header: Equatable {
        var lane: DeliveryIdentity.Lane
        var epoch: UInt64
        var sequence: UInt64
        var segmentStart: UInt64
        var nanoseconds: Int64
    }

    /// The record as bytes.
    var encoded: [UInt8] {
        var writer = ByteWriter(capacity: frames.data.count + frames.declarations.count + 64)
        writer.put(Self.version)
        writer.put(lane.rawValue)
        writer.putVarint(epoch)
        writer.putVarint(sequence)
        writer.putVarint(segmentStart)
        writer.putSigned(nanoseconds)
        writer.putPrefixed(frames.declarations)
        writer.putPrefixed(frames.data)
        writer.putVarint(UInt64(summary.count))
        for loss in summary {
            writer.putPrefixed(loss.labels.encoded)
            writer.putString(loss.origin?.source ?? "")
            writer.putVarint(loss.origin?.generation ?? 0)
            writer.putSigned(loss.range.startNanoseconds)
            writer.putSigned(loss.range.endNanoseconds)
            writer.putVarint(UInt64(max(0, loss.lines)))
            writer.putVarint(UInt64(max(0, loss.bytes)))
            writer.putString(loss.reason)
        }
        return writer.bytes
    }

    /// Reads the head of a record.
    static func header(_ reader: inout ByteReader) throws(ByteError) -> Header {
        guard try reader.byte() == version else {
            throw ByteError(offset: 0, reason: "unknown version of spool record")
        }
        guard let lane = DeliveryIdentity.Lane(rawValue: try reader.byte()) else {
            throw ByteError(offset: 1, reason: "unknown lane")
        }
        return Header(
            lane: lane, epoch: try reader.varint(), sequence: try reader.varint(), segmentStart: try reader.varint(),
            nanoseconds: try reader.signed())
    }

    /// Reads a whole record.
    init(decoding bytes: UnsafeRawBufferPointer) throws(ByteError) {
        var reader = ByteReader(bytes)
        let header = try Self.header(&reader)
        let declarations = Array(try reader.prefixed())
        let data = Array(try reader.prefixed())
        var summary: [LogLoss] = []
        for _ in 0..<(try reader.count(upTo: min(reader.remaining, 1 << 16), "summaries")) {
            let labels = try reader.labels()
            let source = try reader.string()
            let generation = try reader.varint()
            let range = LogTimeRange(startNanoseconds: try reader.signed(), endNanoseconds: try reader.signed())
            summary.append(
                LogLoss(
                    labels: labels, origin: source.isEmpty ? nil : LogOrigin(source: source, generation: generation),
                    range: range, lines: try reader.count(upTo: .max), bytes: try reader.count(upTo: .max),
                    reason: try reader.string()))
        }
        self.init(
            header, summary: summary, frames: AgentFrames(declarations: declarations, data: data))
    }

    /// A record.
    init(_ header: Header, summary: [LogLoss] = [], frames: AgentFrames) {
        lane = header.lane
        epoch = header.epoch
        sequence = header.sequence
        segmentStart = header.segmentStart
        nanoseconds = header.nanoseconds
        self.summary = summary
        self.frames = frames
    }

    /// What would be lost with `batch`, by stream; tombstones that are themselves given up are carried on.
    static func summary(of batch: LogBatch) -> [LogLoss] {
        let streams = batch.streams.compactMap { stream -> LogLoss? in
            guard let first = stream.timesNanoseconds.min(), let last = stream.timesNanoseconds.max() else {
                return nil
            }
            return LogLoss(
                labels: stream.labels, origin: stream.origin,
                range: LogTimeRange(startNanoseconds: first, endNanoseconds: last), lines: stream.count,
                bytes: stream.bytes.count, reason: "")
        }
        return streams + batch.losses
    }
}
