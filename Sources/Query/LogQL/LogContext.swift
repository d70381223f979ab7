package import Telemetry

/// The lines around one line of a stream, which filters may have left out.
package struct LogContext: Sendable {
    package var before: [LogLine]
    package var after: [LogLine]

    /// Lines of one time that are looked through for the line itself.
    private static let twinsMaximum = 1_000

    /// Reads up to `before` and `after` lines around the line `text` of `stream` at `nanoseconds`. A line that is not
    /// there has neighbours all the same. Blocks on disk.
    package init(
        of text: [UInt8], at nanoseconds: Int64, stream: Labels, before: Int, after: Int, source: any LogSource,
        context: QueryContext
    ) throws {
        let matchers = try stream.pairs.map { try LabelMatcher($0.name, .equal, $0.value) }
        func read(_ direction: LogDirection, _ wanted: Int) throws -> [LogLine] {
            guard wanted > 0 else { return [] }
            let isForward = direction == .forward
            let range = LogTimeRange(
                startNanoseconds: isForward ? nanoseconds : .min, endNanoseconds: isForward ? .max : nanoseconds + 1)
            let request = LogRequest(matchers: matchers, range: range, direction: direction, limit: wanted + 1)
            let cursor = try source.select(request, in: context).cursor
            var buffer = LogLineBuffer()
            var lines: [LogLine] = []
            var twins: [LogLine] = []
            var isBehind = false
            while lines.count < wanted, try cursor.next(into: &buffer) {
                try context.check()
                for index in 0..<buffer.count where lines.count < wanted {
                    let labels = buffer.streams[Int(buffer.streamIndexes[index])]
                    // A stream with more labels matches as well and is another one.
                    guard labels == stream else { continue }
                    let line = LogLine(
                        nanoseconds: buffer.timesNanoseconds[index], text: Array(buffer.line(index)), labels: labels,
                        stream: labels)
                    if isBehind || line.nanoseconds != nanoseconds {
                        // The line itself was not among those of its time: all of them are neighbours.
                        if !isBehind, !isForward { lines += twins.prefix(wanted) }
                        isBehind = true
                        if lines.count < wanted { lines.append(line) }
                    } else if line.text == text {
                        isBehind = true
                    } else if twins.count < LogContext.twinsMaximum {
                        twins.append(line)
                    }
                }
            }
            return lines
        }
        self.before = try read(.backward, before).reversed()
        self.after = try read(.forward, after)
    }
}
