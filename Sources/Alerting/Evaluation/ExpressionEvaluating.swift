internal import Query
internal import Telemetry

/// What rules and remedies ask of the query engine. Blocking: called on evaluation threads.
protocol ExpressionEvaluating: Sendable {
    /// The answer as a vector: a scalar is one element without labels, empty is empty.
    func vector(_ expression: String, atMilliseconds: Int64) throws -> [SeriesPoint]
    /// The matchers of every selector in the expression.
    func selectors(in expression: String) throws -> [[LabelMatcher]]
    /// The last samples of every series that satisfies the matchers, within the range.
    func liveness(_ matchers: [LabelMatcher], in range: TimeRange) throws -> [SeriesLiveness]
}

/// What is known of a series' end.
struct SeriesLiveness: Sendable, Equatable {
    var labels: Labels
    /// The last sample that is no stale marker.
    var lastSampleAt: Int64
    /// Whether a stale marker follows it: its source said that it ended.
    var isEnded: Bool
    /// The typical distance of its samples, nil when there are too few to tell.
    var intervalMilliseconds: Int64?

    /// How long it may be silent before its telemetry counts as stopped.
    var patienceMilliseconds: Int64 {
        intervalMilliseconds.map { max(3 * $0, 3000) + 1000 } ?? DataPresence.lookbackMilliseconds
    }

    /// Whether it is still being sent at `now`: not ended, and its last sample is younger than its patience.
    func isLive(at now: Int64) -> Bool { !isEnded && now - lastSampleAt <= patienceMilliseconds }
}

/// The query engine and the store behind `ExpressionEvaluating`.
struct EngineEvaluator: ExpressionEvaluating {
    let engine: Engine
    let series: any SeriesSource
    let clock: any MonotonicClock
    /// No rule may take longer.
    var timeoutMilliseconds: Int64 = 30_000
    /// No rule may hold more memory.
    var bytesMaximum = 256 << 20

    func vector(_ expression: String, atMilliseconds time: Int64) throws -> [SeriesPoint] {
        switch try engine.instant(expression, atMilliseconds: time, in: context()) {
        case .vector(let points): return points
        case .scalar(let sample):
            return [SeriesPoint(labels: .empty, milliseconds: time, value: sample.value)]
        case let other:
            throw QueryError(.execution, "rule result is a \(other.typeName), it should be a vector or scalar")
        }
    }

    func selectors(in expression: String) throws -> [[LabelMatcher]] { try Engine.selectors(in: expression) }

    func liveness(_ matchers: [LabelMatcher], in range: TimeRange) throws -> [SeriesLiveness] {
        let context = context()
        var result: [SeriesLiveness] = []
        var buffer = SampleBuffer()
        for cursor in try series.select(SeriesRequest(matchers: matchers, range: range), in: context) {
            var times: [Int64] = []
            var isEnded = false
            while try cursor.next(into: &buffer) {
                for (index, time) in buffer.timesMilliseconds.enumerated() {
                    let isStale = index < buffer.values.count && Sample.isStale(buffer.values[index])
                    isEnded = isStale
                    if !isStale { times.append(time) }
                }
                if times.count > 64 { times.removeFirst(times.count - 32) }
            }
            guard let last = times.last else { continue }
            let gaps = zip(times.dropFirst(), times).map { $0 - $1 }.sorted()
            result.append(
                SeriesLiveness(
                    labels: cursor.labels, lastSampleAt: last, isEnded: isEnded,
                    intervalMilliseconds: gaps.isEmpty ? nil : gaps[gaps.count / 2]))
        }
        return result
    }

    private func context() -> QueryContext {
        let deadline = clock.nowNanoseconds + timeoutMilliseconds * 1_000_000
        let limits = QueryContext.Limits(
            bytes: bytesMaximum, deadlineNanoseconds: deadline, timeoutMilliseconds: timeoutMilliseconds)
        return QueryContext(limits: limits, clock: clock)
    }
}
