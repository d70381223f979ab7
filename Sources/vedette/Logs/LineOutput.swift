internal import ArgumentParser
internal import Telemetry

/// `-o text|json|raw`: for people, one JSON object a line, or the lines as they were written.
enum LineFormat: String, ExpressibleByArgument, CaseIterable {
    case text
    case json
    case raw
}

/// Writes lines to standard output as they come, many at a time.
struct LineOutput {
    private static let bytesMaximum = 64 << 10

    private let format: LineFormat
    private var painter: LinePainter
    private var output: [UInt8] = []

    init(_ format: LineFormat, highlight: RegularExpression?) {
        self.format = format
        painter = LinePainter(highlight: highlight)
    }

    mutating func add(_ line: FoundLine) {
        switch format {
        case .text: painter.add(line, to: &output)
        case .raw:
            output += line.text
            output.append(0x0a)
        case .json:
            var writer = JSONWriter()
            writer.beginObject()
            writer.member("time", Timestamps.rfc3339(nanoseconds: line.nanoseconds))
            writer.member("nanoseconds", String(line.nanoseconds))
            if let role = line.role { writer.member("role", role) }
            writer.key("labels")
            writer.labels(line.labels)
            writer.key("line")
            writer.string(line.text[...])
            writer.endObject()
            output += writer.bytes
            output.append(0x0a)
        }
        if output.count >= LineOutput.bytesMaximum { flush() }
    }

    mutating func addGap() {
        if format == .text { painter.addGap(to: &output) }
    }

    /// Writes what was added.
    mutating func flush() {
        guard !output.isEmpty else { return }
        Terminal.write(output)
        output.removeAll(keepingCapacity: true)
    }
}
