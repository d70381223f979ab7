internal import Telemetry

/// The bytes of the values that batches and parts share.
enum BatchCoding {
    /// Names of sources longer than this are refused; a path with an agent's identity is far below.
    static let sourceBytesMaximum = 4096

    static func encode(_ origin: LogOrigin, to writer: inout ByteWriter) {
        writer.putString(origin.source)
        writer.putVarint(origin.generation)
    }

    static func decodeOrigin(_ reader: inout ByteReader) throws(ByteError) -> LogOrigin {
        let source = try reader.string()
        return LogOrigin(source: source, generation: try reader.varint())
    }

    static func encode(_ delivery: DeliveryIdentity, to writer: inout ByteWriter) {
        writer.putString(delivery.sender.agent)
        writer.putVarint(delivery.sender.epoch)
        writer.put(delivery.sender.lane.rawValue)
        writer.putVarint(delivery.sequence)
    }

    static func decodeDelivery(_ reader: inout ByteReader) throws(ByteError) -> DeliveryIdentity {
        let agent = try reader.string()
        let epoch = try reader.varint()
        let offset = reader.offset
        guard let lane = DeliveryIdentity.Lane(rawValue: try reader.byte()) else {
            throw ByteError(offset: offset, reason: "unknown lane")
        }
        let sender = DeliveryIdentity.Sender(agent: agent, epoch: epoch, lane: lane)
        return DeliveryIdentity(sender: sender, sequence: try reader.varint())
    }

    static func encode(_ loss: LogLoss, to writer: inout ByteWriter) {
        writer.putPrefixed(loss.labels.encoded)
        writer.put(loss.origin == nil ? 0 : 1)
        if let origin = loss.origin { encode(origin, to: &writer) }
        writer.putSigned(loss.range.startNanoseconds)
        writer.putSigned(loss.range.endNanoseconds)
        writer.putVarint(UInt64(max(0, loss.lines)))
        writer.putVarint(UInt64(max(0, loss.bytes)))
        writer.putString(loss.reason)
    }

    static func decodeLoss(_ reader: inout ByteReader) throws(ByteError) -> LogLoss {
        let labels = try reader.labels()
        let hasOrigin = try reader.byte() != 0
        let origin = hasOrigin ? try decodeOrigin(&reader) : nil
        let start = try reader.signed()
        let range = LogTimeRange(startNanoseconds: start, endNanoseconds: try reader.signed())
        let lines = try reader.count(upTo: Int.max, "lost lines")
        let bytes = try reader.count(upTo: Int.max, "lost bytes")
        return LogLoss(
            labels: labels, origin: origin, range: range, lines: lines, bytes: bytes, reason: try reader.string())
    }
}
