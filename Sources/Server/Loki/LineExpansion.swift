internal import Query
internal import Telemetry

/// A hit with everything that is shown with it.
struct ShownEvent: Sendable {
    var lines: [ShownLine]
    /// Whether it touches what was shown for the hit before it, so that no gap stands between them.
    var touches: Bool
}

/// What is shown with a found line: the rest of its event (a stack trace), and lines around it.
struct LineExpansion {
    /// An event reaches at most this far from the line that was found.
    private static let eventLinesMaximum = 200

    private struct Key: Hashable {
        let nanoseconds: Int64
        let text: [UInt8]

        init(_ line: LogLine) {
            nanoseconds = line.nanoseconds
            text = line.text
        }
    }

    private let before: Int
    private let after: Int
    private let joinsEvents: Bool
    /// What the whole event must satisfy.
    private let eventFilters: [LineMatcher]
    private let source: any LogSource
    /// The hits that are read already, by stream: around another hit they are hits all the same.
    private var hits: [Labels: Set<Key>] = [:]
    /// What was shown last of each stream, so that nothing is shown twice.
    private var shown: [Labels: Set<Key>] = [:]

    init(before: Int, after: Int, joinsEvents: Bool, eventFilters: [LineMatcher], source: any LogSource) {
        self.before = before
        self.after = after
        self.joinsEvents = joinsEvents || !eventFilters.isEmpty
        self.eventFilters = eventFilters
        self.source = source
    }

    /// Whether nothing is shown but what was found.
    var isNothing: Bool { !showsContext && !joinsEvents }

    /// Whether lines around hits are shown, so that gaps between them mean something.
    var showsContext: Bool { before > 0 || after > 0 }

    /// The hits that are expanded next, one after the other.
    mutating func begin(_ lines: [LogLine]) {
        hits.removeAll(keepingCapacity: true)
        for line in lines { hits[line.stream, default: []].insert(Key(line)) }
    }

    /// What of a hit's event and surroundings was not shown yet; nil when there is nothing, or its event does not
    /// satisfy the filters.
    mutating func event(of hit: LogLine, in context: QueryContext) throws -> ShownEvent? {
        let known = shown[hit.stream] ?? []
        if !showsContext, known.contains(Key(hit)) { return nil }
        let reach = joinsEvents ? LineExpansion.eventLinesMaximum : 0
        let around = try LogContext(
            of: hit.text, at: hit.nanoseconds, stream: hit.stream, before: before + reach, after: after + reach,
            source: source, context: context)
        let lines = around.before + [hit] + around.after
        let place = around.before.count
        let event = joinsEvents ? LogEvents.range(around: place, of: lines) : place..<place + 1
        guard satisfies(lines[event]) else { return nil }
        var result = ShownEvent(lines: [], touches: false)
        var keys: Set<Key> = []
        for index in max(0, event.lowerBound - before)..<min(lines.count, event.upperBound + after) {
            let key = Key(lines[index])
            keys.insert(key)
            if known.contains(key) {
                result.touches = true
                continue
            }
            let isHit = index == place || hits[hit.stream]?.contains(key) == true
            let role: ShownLine.Role = isHit ? .match : event.contains(index) ? .event : .context
            result.lines.append(ShownLine(line: lines[index], role: role))
        }
        shown[hit.stream] = result.touches ? known.union(keys) : keys
        return result.lines.isEmpty ? nil : result
    }

    private func satisfies(_ event: ArraySlice<LogLine>) -> Bool {
        guard !eventFilters.isEmpty else { return true }
        let text = Array(event.map(\.text).joined(separator: [0x0a]))
        return text.withUnsafeBytes { bytes in eventFilters.allSatisfy { $0.matches(bytes) } }
    }
}
