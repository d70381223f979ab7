internal import Query
internal import Telemetry

/// The lines of a log query, read page by page. One page is read at a time, on whatever thread.
final class LogLinePages: @unchecked Sendable {
    /// Lines in the order of the query, all there are up to about so many bytes.
    struct Page: Sendable {
        var lines: [LogLine] = []
        /// What is reserved for them.
        var bytes = 0
        /// Whether there are no more behind it.
        var isLast = false
    }

    /// What a line takes beside its text, which is there once more as JSON when it is written.
    private static let lineBytes = 256

    private let reader: LogLineReader
    /// Lines of one set of labels are at least so far apart.
    private let intervalNanoseconds: Int64
    private var taken: [Labels: Int64] = [:]

    init(_ reader: LogLineReader, intervalNanoseconds: Int64) {
        self.reader = reader
        self.intervalNanoseconds = intervalNanoseconds
    }

    /// The next lines, `bytes` of them or somewhat more, reserved in `context`. Blocks on disk.
    func next(bytes: Int, in context: QueryContext) throws -> Page {
        var page = Page()
        while page.bytes < bytes {
            guard let lines = try reader.next() else {
                page.isLast = true
                return page
            }
            for line in lines where isWanted(line) {
                let held = 2 * line.text.count + LogLinePages.lineBytes
                try context.reserve(held)
                page.bytes += held
                page.lines.append(line)
            }
        }
        return page
    }

    private func isWanted(_ line: LogLine) -> Bool {
        guard intervalNanoseconds > 0 else { return true }
        if let last = taken[line.labels], abs(line.nanoseconds - last) < intervalNanoseconds { return false }
        taken[line.labels] = line.nanoseconds
        return true
    }
}

extension [LogLine] {
    /// The lines by their labels, those in order; the lines of each keep theirs.
    var byLabels: [StreamLines] {
        var streams: [StreamLines] = []
        var places: [Labels: Int] = [:]
        for line in self {
            let place = places[line.labels] ?? streams.count
            if place == streams.count {
                places[line.labels] = place
                streams.append(StreamLines(labels: line.labels, lines: []))
            }
            streams[place].lines.append(
                StreamLines.Line(
                    nanoseconds: line.nanoseconds, text: line.text, metadata: line.metadata, parsed: line.parsed,
                    own: line.own))
        }
        return streams.sorted { $0.labels < $1.labels }
    }
}
