internal import Telemetry

/// Puts the lines of one log into columns, one `LogLines` per stream. Lines of one generation of one file.
struct LineCollector {
    private var lines: [LogLines]
    private var lastNanoseconds: Int64

    private static let unterminated = Labels(["unterminated": "true"])
    private static let split = Labels(["split": "true"])
    private static let unparsed = Labels(["unparsed": "true"])

    /// Nothing yet. Lines without a time of their own get `wallNanoseconds`, the time of reading.
    init(labels: [Labels], origin: LogOrigin, wallNanoseconds: Int64) {
        lines = labels.map { LogLines(labels: $0, origin: origin) }
        lastNanoseconds = wallNanoseconds
    }

    /// Bytes of lines so far.
    var byteCount: Int { lines.reduce(0) { $0 + $1.bytes.count } }

    /// The streams that have lines.
    var streams: [LogLines] { lines.filter { $0.count > 0 } }

    /// Adds a line.
    mutating func add(_ line: LineJoiner.Line, _ text: [UInt8]) {
        let index = line.stream.rawValue
        if let nanoseconds = line.nanoseconds { lastNanoseconds = nanoseconds }
        if line.ending != .complete {
            let words = line.ending == .split ? Self.split : Self.unterminated
            lines[index].metadata.append(LogLineMetadata(lineIndex: lines[index].count, labels: words))
        }
        lines[index].timesNanoseconds.append(lastNanoseconds)
        lines[index].bytes.append(contentsOf: text)
        lines[index].lineEnds.append(lines[index].bytes.count)
        lines[index].offsetStarts.append(line.offsets.lowerBound)
        lines[index].offsetEnds.append(line.offsets.upperBound)
    }

    /// Adds what is no record of the log's format, as it is; its time is that of the line before it.
    mutating func add(unparsed bytes: UnsafeRawBufferPointer, offsets: Range<UInt64>) {
        lines[0].append(nanoseconds: lastNanoseconds, line: bytes, offsets: offsets, metadata: Self.unparsed)
    }
}
