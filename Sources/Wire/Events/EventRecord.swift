package import Telemetry

/// A `HostEvent` as an entry of the log stream `{source="vedette"}`, and back (docs/formats/event-record.md).
///
/// The line is one JSON object that says everything; the structured metadata repeats the kind and the subject, so that
/// `{source="vedette"} | event="oom_kill" | container="web"` needs no parser.
package enum EventRecord {
    /// The labels of the one stream that holds what happened.
    package static let stream = Labels(["source": "vedette"])
    /// The version of the line's shape, its first member.
    package static let version: Int64 = 1
    /// The metadata key of the kind.
    package static let kindKey = "event"

    /// The line of `event`.
    package static func line(_ event: HostEvent) -> [UInt8] {
        var writer = JSONWriter(ByteWriter(capacity: 256))
        writer.beginObject()
        writer.member("version", version)
        writer.member("event", event.kind.rawValue)
        writer.member("time", Timestamps.rfc3339(nanoseconds: event.nanoseconds))
        writer.member("source", event.source)
        writer.member("text", event.text)
        writer.key("subject")
        writer.labels(event.subject)
        writer.key("details")
        writer.labels(event.details)
        writer.endObject()
        return writer.bytes
    }

    /// The structured metadata of `event`'s line: its subject, and its kind under `event`.
    package static func metadata(_ event: HostEvent) -> Labels {
        event.subject.setting(kindKey, to: event.kind.rawValue)
    }

    /// The lines of `events` as one append, in their order.
    package static func batch(_ events: [HostEvent], delivery: DeliveryIdentity? = nil) -> LogBatch {
        var lines = LogLines(labels: stream)
        for event in events {
            lines.append(nanoseconds: event.nanoseconds, line: line(event), metadata: metadata(event))
        }
        return LogBatch(streams: events.isEmpty ? [] : [lines], delivery: delivery)
    }

    /// The event of a line that `line(_:)` wrote. Members that a later version added are passed over.
    package static func event(parsing line: UnsafeRawBufferPointer) throws(ByteError) -> HostEvent {
        var scanner = JSONScanner(line)
        var kind: HostEvent.Kind?
        var nanoseconds: Int64?
        var event = HostEvent(.dropped, nanoseconds: 0, source: "", subject: .empty, text: "")
        try scanner.enterObject()
        while let key = try scanner.nextKey() {
            let place = scanner.offset
            switch key.string {
            case "event":
                let name = try scanner.string().string
                kind = HostEvent.Kind(rawValue: name)
                if kind == nil { throw ByteError(offset: place, reason: "unknown event \(QuotedText.quoted(name))") }
            case "time":
                nanoseconds = Timestamps.nanoseconds(rfc3339: try scanner.string().string)
                if nanoseconds == nil { throw ByteError(offset: place, reason: "time is not RFC 3339") }
            case "version":
                let found = try scanner.integer()
                guard found >= 1 else { throw ByteError(offset: place, reason: "unknown version \(found)") }
            case "source": event.source = try scanner.string().string
            case "text": event.text = try scanner.string().string
            case "subject": event.subject = try labels(&scanner)
            case "details": event.details = try labels(&scanner)
            default: try scanner.skipValue()
            }
        }
        try scanner.finish()
        guard let kind, let nanoseconds else {
            throw ByteError(offset: scanner.offset, reason: "record without event or time")
        }
        event.kind = kind
        event.nanoseconds = nanoseconds
        return event
    }

    /// The event of a line that `line(_:)` wrote.
    package static func event(parsing line: [UInt8]) throws(ByteError) -> HostEvent {
        let result = line.withUnsafeBytes { raw in Result { () throws(ByteError) in try event(parsing: raw) } }
        return try result.get()
    }

    private static func labels(_ scanner: inout JSONScanner) throws(ByteError) -> Labels {
        var pairs: [(name: String, value: String)] = []
        try scanner.enterObject()
        while let key = try scanner.nextKey() { pairs.append((key.string, try scanner.string().string)) }
        return Labels(pairs)
    }
}
