internal import Query
internal import Synchronization
internal import Telemetry

/// Where the lines of a streamed answer come from. One piece is read at a time, on whatever thread.
final class LineSource: @unchecked Sendable {
    private let produce: (QueryContext) throws -> [ShownLine]?

    /// `produce` gives the next piece, nil at the end. Not called by two threads at once: the answer's writer asks
    /// for one piece after the other.
    private init(_ produce: @escaping (QueryContext) throws -> [ShownLine]?) {
        self.produce = produce
    }

    /// The next lines; nil at the end.
    func next(in context: QueryContext) throws -> [ShownLine]? { try produce(context) }

    /// No line.
    static var none: LineSource { whole([]) }

    /// Lines that are there already.
    static func whole(_ lines: [ShownLine]) -> LineSource {
        var left: [ShownLine]? = lines.isEmpty ? nil : lines
        return LineSource { _ in
            defer { left = nil }
            return left
        }
    }

    /// All lines as they are read, each hit with what belongs to it.
    static func following(_ reader: LogLineReader, _ expansion: LineExpansion) -> LineSource {
        var expansion = expansion
        var isFirst = true
        return LineSource { context in
            while let lines = try reader.next() {
                if expansion.isNothing { return lines.map { ShownLine(line: $0, role: .match) } }
                expansion.begin(lines)
                var shown: [ShownLine] = []
                for line in lines {
                    guard let event = try expansion.event(of: line, in: context) else { continue }
                    if expansion.showsContext, !isFirst, !event.touches { shown.append(gap(before: line)) }
                    shown += event.lines
                    isFirst = false
                }
                if !shown.isEmpty { return shown }
            }
            return nil
        }
    }

    /// The newest `count` hits of a reader that walks back in time, each with what belongs to it, oldest first.
    static func newest(_ count: Int, of reader: LogLineReader, _ expansion: LineExpansion) -> LineSource {
        var expansion = expansion
        var hasEnded = false
        return LineSource { context in
            guard !hasEnded else { return nil }
            hasEnded = true
            var events: [ShownEvent] = []
            var hits = 0
            reading: while let lines = try reader.next() {
                expansion.begin(lines)
                for line in lines {
                    guard hits < count else { break reading }
                    try context.reserve(line.text.count + 128)
                    if expansion.isNothing {
                        events.append(ShownEvent(lines: [ShownLine(line: line, role: .match)], touches: false))
                        hits += 1
                    } else if let event = try expansion.event(of: line, in: context) {
                        events.append(event)
                        hits += 1
                    }
                }
            }
            var shown: [ShownLine] = []
            for (index, event) in events.enumerated().reversed() {
                // Read backwards, it is the older one of two that touches the other.
                let touches = index + 1 < events.count && events[index + 1].touches
                if expansion.showsContext, !shown.isEmpty, !touches { shown.append(gap(before: event.lines[0].line)) }
                shown += event.lines
            }
            return shown.isEmpty ? nil : shown
        }
    }

    private static func gap(before line: LogLine) -> ShownLine { ShownLine(line: line, role: .gap) }
}
