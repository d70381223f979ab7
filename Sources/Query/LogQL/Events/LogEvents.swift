internal import Telemetry

/// Groups the lines of several streams into events, each of one stream.
package struct LogEvents {
    private var assemblers: [Labels: EventAssembler] = [:]

    /// Before the first line.
    package init() {}

    /// Whether a line, the next one of its stream, continues the event before it.
    package mutating func continues(_ line: LogLine) -> Bool {
        assemblers[line.stream, default: EventAssembler()].continues(line.text, at: line.nanoseconds)
    }

    /// The event that the line at `place` of one stream's neighbouring lines belongs to.
    package static func range(around place: Int, of lines: [LogLine]) -> Range<Int> {
        var assembler = EventAssembler()
        var start = 0
        for (index, line) in lines.enumerated() {
            if assembler.continues(line.text, at: line.nanoseconds) { continue }
            if index > place { return start..<index }
            start = index
        }
        return start..<lines.count
    }
}
