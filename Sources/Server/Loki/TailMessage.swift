internal import Query
internal import Telemetry

/// One message of a tail: Loki's `streams` and `dropped_entries`, and beside them the cursor and what was missed.
struct TailMessage {
    var lines: [LogLine]
    let isCategorized: Bool
    /// The position behind the lines.
    var cursor: TailPosition?
    /// Lines that were stored and not delivered, and their time.
    var missed: (lines: Int, range: LogTimeRange)?

    init(lines: [LogLine], isCategorized: Bool) {
        self.lines = lines
        self.isCategorized = isCategorized
    }

    /// The message as JSON.
    var json: [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        if isCategorized {
            writer.key("encodingFlags")
            writer.beginArray()
            writer.string("categorize-labels")
            writer.endArray()
        }
        writer.key("streams")
        writer.beginArray()
        for (labels, members) in grouped {
            LokiLineWriter.stream(labels, members, isCategorized: isCategorized, &writer)
        }
        writer.endArray()
        if let missed {
            writer.key("dropped_entries")
            writer.beginArray()
            writer.beginObject()
            writer.member("timestamp", String(missed.range.startNanoseconds))
            writer.endObject()
            writer.endArray()
            writer.key("missed")
            writer.beginObject()
            writer.member("lines", missed.lines)
            writer.member("start", String(missed.range.startNanoseconds))
            writer.member("end", String(missed.range.endNanoseconds))
            writer.endObject()
        }
        if let cursor { writer.member("cursor", String(cursor.rawValue)) }
        writer.endObject()
        return writer.bytes
    }

    /// The lines by their labels, both in the order in which they came.
    private var grouped: [(labels: Labels, lines: [LogLine])] {
        var groups: [(labels: Labels, lines: [LogLine])] = []
        var places: [Labels: Int] = [:]
        for line in lines {
            let labels = isCategorized ? line.own : line.labels
            let place = places[labels] ?? groups.count
            if place == groups.count {
                places[labels] = place
                groups.append((labels, []))
            }
            groups[place].lines.append(line)
        }
        return groups
    }
}

/// How lines stand in the answers of Loki's API.
enum LokiLineWriter {
    /// `{"stream":{…},"values":[[…],…]}`.
    static func stream(_ labels: Labels, _ lines: [LogLine], isCategorized: Bool, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("stream")
        writer.labels(labels)
        writer.key("values")
        writer.beginArray()
        for line in lines {
            value(
                line.nanoseconds, line.text, categories: isCategorized ? (line.metadata, line.parsed, labels) : nil,
                &writer)
        }
        writer.endArray()
        writer.endObject()
    }

    /// `["nanoseconds","line"]`, and with `categories` what is known of the line beside its stream: structured
    /// metadata, with its level as Loki adds it, and what stages took from it.
    static func value(
        _ nanoseconds: Int64, _ text: [UInt8], categories: (metadata: Labels, parsed: Labels, stream: Labels)?,
        _ writer: inout JSONWriter
    ) {
        writer.beginArray()
        writer.string(String(nanoseconds))
        writer.string(text[...])
        if let (metadata, parsed, stream) = categories {
            writer.beginObject()
            var known = metadata
            if known[LineLevel.label] == nil, stream[LineLevel.label] == nil {
                known = known.setting(
                    LineLevel.label, to: LineLevel.name(of: text[...], stream: stream, metadata: metadata))
            }
            writer.key("structuredMetadata")
            writer.labels(known)
            if !parsed.isEmpty {
                writer.key("parsed")
                writer.labels(parsed)
            }
            writer.endObject()
        }
        writer.endArray()
    }
}
