internal import Telemetry

/// `AgentReply` as bytes: the body of the answer to every batch.
package enum AgentReplyCodec {
    /// The bytes of `reply`.
    package static func encode(_ reply: AgentReply) -> [UInt8] {
        var writer = ByteWriter(capacity: 32)
        writer.put(AgentProtocol.version)
        writer.put(reply.verdict.rawValue)
        writer.putVarint(reply.marks.synced)
        writer.putVarint(reply.marks.archived)
        writer.putVarint(UInt64(max(0, reply.accepted)))
        writer.putVarint(UInt64(max(0, reply.rejected)))
        writer.putVarint(UInt64(max(0, reply.retryAfterSeconds)))
        writer.putText(reply.reason)
        writer.putFlag(reply.hasCommands)
        return writer.bytes
    }

    /// The reply of `bytes`. What a newer server put behind the known fields is passed over.
    package static func decode(_ bytes: UnsafeRawBufferPointer) throws(AgentProtocolError) -> AgentReply {
        var reader = ByteReader(bytes)
        do throws(ByteError) {
            try reader.version()
            guard let verdict = AgentReply.Verdict(rawValue: try reader.byte()) else {
                throw ByteError(offset: 1, reason: "unknown verdict")
            }
            let marks = DeliveryMarks(synced: try reader.varint(), archived: try reader.varint())
            return AgentReply(
                verdict: verdict, marks: marks, accepted: try reader.quantity("accepted"),
                rejected: try reader.quantity("rejected"), retryAfterSeconds: try reader.quantity("seconds"),
                reason: try reader.text(), hasCommands: try reader.flag())
        } catch {
            throw AgentProtocolError(error, in: bytes)
        }
    }

    /// The reply of `bytes`.
    package static func decode(_ bytes: [UInt8]) throws(AgentProtocolError) -> AgentReply {
        let result = bytes.withUnsafeBytes { raw in
            Result { () throws(AgentProtocolError) in try decode(raw) }
        }
        return try result.get()
    }
}
