internal import Query
internal import Telemetry

/// Writes lines as JSON objects, one a line (docs/formats/log-lines.md): labels once, then lines that refer to them.
struct LineEncoder {
    /// Label sets that are remembered; beyond, numbering begins anew.
    private static let labelsMaximum = 4_096

    /// What a reader must know to read the rest.
    static let version = 1

    private var output: [UInt8] = []
    private var numbers: [Labels: Int] = [:]
    private(set) var lines = 0

    /// Begins an answer.
    init() {
        record { $0.member("version", LineEncoder.version) }
    }

    /// What was written since the last piece.
    mutating func takePiece() -> [UInt8] {
        defer { output.removeAll(keepingCapacity: true) }
        return output
    }

    /// A line, declaring its labels before it where they are new.
    mutating func add(_ shown: ShownLine) {
        guard shown.role != .gap else {
            record { $0.member("gap", true) }
            return
        }
        let labels = shown.line.labels
        let number: Int
        if let known = numbers[labels] {
            number = known
        } else {
            if numbers.count >= LineEncoder.labelsMaximum { numbers.removeAll() }
            number = numbers.count
            numbers[labels] = number
            record { writer in
                writer.member("labels", number)
                writer.key("set")
                writer.labels(labels)
            }
        }
        lines += 1
        record { writer in
            writer.member("of", number)
            writer.member("time", String(shown.line.nanoseconds))
            if shown.role != .match { writer.member("role", shown.role.rawValue) }
            writer.key("line")
            writer.string(shown.line.text[...])
            // What is no UTF-8 is replaced in the text; who wants every byte finds them here.
            let isText = shown.line.text.withUnsafeBytes { UTF8Text.isValid($0) }
            if !isText { writer.member("bytes", Hexadecimal.text(shown.line.text)) }
        }
    }

    /// The end of a whole answer: what was looked at and what is missing.
    mutating func end(_ session: QuerySession) {
        let statistics = session.context.statistics
        let lines = lines
        record { writer in
            writer.key("summary")
            writer.beginObject()
            writer.member("lines", lines)
            writer.member("streamsSelected", statistics.streamsSelected)
            writer.member("linesScanned", statistics.linesScanned)
            writer.member("bytesRead", statistics.bytesRead)
            writer.member("blocksRead", statistics.blocksRead)
            writer.member("blocksSkipped", statistics.blocksSkipped)
            writer.members("skipped", statistics.skipped)
            writer.key("seconds")
            writer.number(Double(session.nanoseconds) / 1e9)
            writer.endObject()
            PrometheusAnswer.remarks(of: session.context, &writer)
        }
    }

    /// The end of an answer that broke off.
    mutating func fail(_ failure: APIFailure) {
        record { writer in
            writer.member("error", failure.message)
            writer.member("errorType", failure.kind.rawValue)
        }
    }

    private mutating func record(_ body: (inout JSONWriter) -> Void) {
        var writer = JSONWriter()
        writer.beginObject()
        body(&writer)
        writer.endObject()
        output += writer.bytes
        output.append(0x0a)
    }
}
