internal import Telemetry

/// The payload of an event frame (docs/formats/agent-protocol.md, "events").
enum EventsPayload {
    static func write(_ events: [HostEvent], to writer: inout ByteWriter) {
        writer.putVarint(UInt64(events.count))
        for event in events {
            writer.putString(event.kind.rawValue)
            writer.putSigned(event.nanoseconds)
            writer.putText(event.source)
            writer.putPrefixed(event.subject.encoded)
            writer.putPrefixed(event.details.encoded)
            writer.putText(event.text)
        }
    }

    static func read(_ reader: inout ByteReader) throws(ByteError) -> [HostEvent] {
        var events: [HostEvent] = []
        for _ in 0..<(try reader.itemCount("events")) {
            let start = reader.offset
            let name = try reader.text()
            guard let kind = HostEvent.Kind(rawValue: name) else {
                let quoted = QuotedText.quoted(name)
                throw ByteError(
                    offset: start, reason: "unknown event \(quoted); the agent may be newer than the server")
            }
            let time = try reader.signed()
            let source = try reader.text()
            let subject = try reader.boundedLabels()
            let details = try reader.boundedLabels()
            events.append(
                HostEvent(
                    kind, nanoseconds: time, source: source, subject: subject, details: details,
                    text: try reader.text()))
        }
        return events
    }
}
