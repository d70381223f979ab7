internal import Query
internal import Telemetry

/// The span, selector and limits that the requests of Loki's API have in common.
struct LokiSpan: Sendable {
    /// Loki looks an hour back where a query names no time.
    static let queryNanoseconds: Int64 = 3_600_000_000_000
    /// And six hours where labels are asked for.
    static let labelNanoseconds: Int64 = 6 * 3_600_000_000_000
    /// Times farther from 1970 (before 1843, after 2096) are taken as this far, so that every span fits 64 bits.
    static let nanosecondsMaximum: Int64 = 4_000_000_000_000_000_000

    /// The span of a request: `start` and `end`, or `since` before `end`.
    static func range(
        _ parameters: RequestParameters, nowNanoseconds: Int64, defaultSpanNanoseconds: Int64 = queryNanoseconds
    ) throws(APIFailure) -> LogTimeRange {
        let end = try parameters.lokiTime("end") ?? nowNanoseconds
        let span = try parameters.lokiDuration("since") ?? defaultSpanNanoseconds
        let start =
            try parameters.lokiTime("start") ?? min(end, nowNanoseconds).subtractingReportingOverflow(span).partialValue
        guard start <= end else { throw .invalid("end", "the end lies before the start") }
        return LogTimeRange(startNanoseconds: bounded(start), endNanoseconds: bounded(end))
    }

    private static func bounded(_ nanoseconds: Int64) -> Int64 {
        min(max(nanoseconds, -nanosecondsMaximum), nanosecondsMaximum)
    }

    /// The step of a request, or about 250 of them in `range`, at least a second each, as Loki chooses.
    static func step(_ parameters: RequestParameters, _ range: LogTimeRange) throws(APIFailure) -> Int64 {
        let span = range.endNanoseconds - range.startNanoseconds
        let second: Int64 = 1_000_000_000
        let step = try parameters.lokiDuration("step") ?? max(second, (span / 250 + second - 1) / second * second)
        guard step > 0 else {
            throw .invalid("step", "zero or negative steps are not accepted, use a positive duration")
        }
        return step
    }

    /// The matchers of the parameter `query`: those of a selector, or of any log query. Grafana asks with `{}` for
    /// everything.
    static func matchers(_ parameters: RequestParameters) throws(APIFailure) -> [LabelMatcher] {
        let text = parameters["query"] ?? ""
        if text.isEmpty || text.filter({ $0 != " " }) == "{}" { return [] }
        do {
            return try Engine.streamMatchers(text)
        } catch {
            throw .invalid("query", error.description)
        }
    }
}
