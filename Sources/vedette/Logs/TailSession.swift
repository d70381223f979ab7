internal import Telemetry

/// Follows a log query over restarts: every message tells the place behind it, and whoever comes back goes on from
/// there. What could not be delivered is asked for, once there is somebody to ask.
struct TailSession {
    /// What a followed query brings.
    enum Event {
        /// Lines in the order of their times.
        case lines([FoundLine])
        /// So many lines were not delivered and could not be read afterwards either, and why.
        case missed(lines: Int, LogTimeRange, String)
        /// The server went away, and why.
        case lost(String)
        /// It is there again.
        case back
    }

    private static let pauseMillisecondsMaximum: Int64 = 2_000
    /// Missed lines are handed on in groups of so many.
    private static let recoveredLinesGroup = 5_000
    private static let recentMaximum = 50_000

    private struct Key: Hashable {
        let nanoseconds: Int64
        let labels: Labels
        let text: [UInt8]
    }

    private let server: ServerClient
    private let query: String
    private let linesBefore: Int
    private let start: Int64?
    private var cursor: String?
    /// Lines that were shown last, so that those of a recovered span do not come twice.
    private var recent: [Key] = []
    /// Lines that were fetched last because they were missed: the span they were asked by may reach behind them.
    private var fetched: (older: Set<Key>, newer: Set<Key>) = ([], [])

    init(server: ServerClient, query: String, linesBefore: Int, start: Int64?) {
        self.server = server
        self.query = query
        self.linesBefore = linesBefore
        self.start = start
    }

    /// Follows until `body` returns false. Fails when the server refuses the query; waits when it is away.
    mutating func follow(_ body: (Event) async throws -> Bool) async throws {
        var pause: Int64 = 100
        var isAway = false
        var wasThere = false
        while !Task.isCancelled {
            do {
                var answer = try await server.open("/loki/api/v1/tail", parameters)
                if isAway, !(try await body(.back)) { return }
                (isAway, wasThere, pause) = (false, true, 100)
                while let json = try await answer.next() {
                    let message = try JSONValue(parsing: Array(json))
                    guard try await recover(message, body) else { return }
                    for event in events(message) where !(try await body(event)) { return }
                }
                throw TailEnded()
            } catch let failure as CommandFailure where !wasThere || failure.isFinal {
                throw failure
            } catch let error as CancellationError {
                throw error
            } catch {
                if !isAway, !(try await body(.lost("\(error)"))) { return }
                isAway = true
                try await Task.sleep(for: .milliseconds(pause))
                pause = min(pause * 2, TailSession.pauseMillisecondsMaximum)
            }
        }
    }

    private struct TailEnded: Error, CustomStringConvertible {
        let description = "the server ended the tail"
    }

    private var parameters: [(String, String)] {
        var parameters = [("query", query)]
        if let cursor {
            parameters.append(("cursor", cursor))
        } else {
            parameters.append(("limit", "\(linesBefore)"))
            if let start { parameters.append(("start", "\(start)")) }
        }
        return parameters
    }

    /// Asks for what a message says is missing; false when `body` wants no more.
    private mutating func recover(_ message: JSONValue, _ body: (Event) async throws -> Bool) async throws -> Bool {
        guard let missed = message["missed"], let start = missed["start"]?.text.flatMap({ Int64($0) }),
            let end = missed["end"]?.text.flatMap({ Int64($0) })
        else { return true }
        let range = LogTimeRange(startNanoseconds: start, endNanoseconds: end)
        do {
            return try await recover(range, body)
        } catch let failure as CommandFailure where failure.isFinal {
            let lines = Int(missed["lines"]?.wholeNumber ?? 0)
            return try await body(.missed(lines: lines, range, "\(failure)"))
        }
    }

    /// What a message brings.
    private mutating func events(_ message: JSONValue) -> [Event] {
        var events: [Event] = []
        var lines: [FoundLine] = []
        for stream in message["streams"]?.elements ?? [] {
            let labels = Labels((stream["stream"]?.members ?? []).map { (name: $0.key, value: $0.value.text ?? "") })
            for entry in stream["values"]?.elements ?? [] {
                guard let time = entry[0]?.text.flatMap({ Int64($0) }), let text = entry[1]?.text else { continue }
                lines.append(FoundLine(nanoseconds: time, labels: labels, text: Array(text.utf8), role: nil))
            }
        }
        lines = TailSession.sorted(notFetched(lines))
        for line in lines { note(line) }
        if !lines.isEmpty { events.append(.lines(lines)) }
        if let cursor = message["cursor"]?.text { self.cursor = cursor }
        return events
    }

    /// The lines that were not fetched already. A message that has none of those says that there are no more.
    private mutating func notFetched(_ lines: [FoundLine]) -> [FoundLine] {
        guard !lines.isEmpty, !fetched.older.isEmpty || !fetched.newer.isEmpty else { return lines }
        let rest = lines.filter { line in
            let key = Key(nanoseconds: line.nanoseconds, labels: line.labels, text: line.text)
            return !fetched.older.contains(key) && !fetched.newer.contains(key)
        }
        if rest.count == lines.count { fetched = ([], []) }
        return rest
    }

    /// Lines of one time keep their order.
    private static func sorted(_ lines: [FoundLine]) -> [FoundLine] {
        lines.enumerated().sorted {
            ($0.element.nanoseconds, $0.offset) < ($1.element.nanoseconds, $1.offset)
        }.map(\.element)
    }

    private mutating func note(_ line: FoundLine) {
        recent.append(Key(nanoseconds: line.nanoseconds, labels: line.labels, text: line.text))
        if recent.count > 2 * TailSession.recentMaximum { recent.removeFirst(TailSession.recentMaximum) }
    }

    /// Hands on the lines of a span that were not shown yet, group by group, however many there are.
    private mutating func recover(
        _ range: LogTimeRange, _ body: (Event) async throws -> Bool
    ) async throws -> Bool {
        var reader = LineReader(
            try await server.open("/api/v1/logs/lines", [("query", query)] + range.parameters, method: "POST"))
        var counts: [Key: Int] = [:]
        for key in recent where range.contains(key.nanoseconds) { counts[key, default: 0] += 1 }
        var group: [FoundLine] = []
        do {
            _ = try await reader.read(show: { line in
                let key = Key(nanoseconds: line.nanoseconds, labels: line.labels, text: line.text)
                if let count = counts[key], count > 0 {
                    counts[key] = count - 1
                    return
                }
                note(line)
                fetched.newer.insert(key)
                if fetched.newer.count >= TailSession.recentMaximum { fetched = (fetched.newer, []) }
                group.append(line)
                guard group.count >= TailSession.recoveredLinesGroup else { return }
                guard try await body(.lines(group)) else { throw NothingMore() }
                group.removeAll(keepingCapacity: true)
            })
        } catch is NothingMore {
            return false
        }
        return group.isEmpty ? true : try await body(.lines(group))
    }

    /// Who follows wants no more.
    private struct NothingMore: Error {}
}
