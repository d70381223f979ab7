internal import Telemetry

/// Tells "the condition has ended" from "the telemetry has stopped" for an alert that its expression no longer matches.
///
/// The rule, for an alert that became active at a, last matched at m and is looked at at t. Every selector of the
/// expression is narrowed to the alert's series: to the labels of the answer that still name a series there. The series
/// it had between a and m and that were live at a or later are the ones that fed the alert.
///  * Where one of them is silent at t (no sample for three of its own intervals, and no stale marker): **no data**.
///  * Where none of the series that the narrowed selector has at t is live (all have ended): **no data**.
///  * Otherwise the expression is believed: **no match**.
/// A selector that had no such series (`absent(…)`, the right side of `unless`) says nothing. So telemetry that stops
/// never reads as recovery, whether the agent died (silence) or its container ended (stale markers).
struct DataPresence {
    /// How far back a series is looked for: PromQL's lookback.
    static let lookbackMilliseconds: Int64 = 300_000

    let evaluator: any ExpressionEvaluating
    let selectors: [[LabelMatcher]]

    /// How far back the series that fed a long-lived alert are looked for.
    private static let historyMilliseconds: Int64 = 3_600_000

    /// Whether the telemetry behind an alert is there at `now`.
    func hasData(activeAt: Int64, lastMatchAt: Int64, seriesLabels: Labels, now: Int64) throws -> Bool {
        let start = max(activeAt - DataPresence.lookbackMilliseconds, lastMatchAt - DataPresence.historyMilliseconds)
        let before = TimeRange(startMilliseconds: start, endMilliseconds: lastMatchAt)
        let recently = TimeRange(
            startMilliseconds: now - DataPresence.lookbackMilliseconds, endMilliseconds: now)
        for selector in selectors {
            var matchers = selector + narrowing(selector, to: seriesLabels)
            var found = try evaluator.liveness(matchers, in: before)
            if found.isEmpty, matchers.count > selector.count {
                // The answer's labels name nothing here: they were made by the expression.
                matchers = selector
                found = try evaluator.liveness(matchers, in: before)
            }
            let feeding = found.filter { $0.lastSampleAt + $0.patienceMilliseconds >= activeAt }
            guard !feeding.isEmpty else { continue }
            let intervals = Dictionary(found.map { ($0.labels, $0.intervalMilliseconds) }) { first, _ in first }
            let current = try evaluator.liveness(matchers, in: recently).map { series in
                // What is left of a series that stopped may be too little to tell how often it was sent.
                var series = series
                series.intervalMilliseconds = series.intervalMilliseconds ?? intervals[series.labels] ?? nil
                return series
            }
            let byLabels = Dictionary(current.map { ($0.labels, $0) }) { first, _ in first }
            for series in feeding {
                let latest = byLabels[series.labels] ?? series
                if !latest.isEnded, !latest.isLive(at: now) { return false }
            }
            if !current.contains(where: { $0.isLive(at: now) }) { return false }
        }
        return true
    }

    /// Matchers that narrow a selector to the series behind one element of the answer. A container's cgroup path is
    /// left out where its name is there: the path may change with a restart, what is looked for is the container's
    /// successor.
    private func narrowing(_ selector: [LabelMatcher], to labels: Labels) -> [LabelMatcher] {
        let isNamed = labels["node"] != nil && (labels["name"] != nil || labels["container"] != nil)
        return labels.pairs.compactMap { pair in
            let isFixed = selector.contains { $0.name == pair.name && $0.operation == .equal }
            if isFixed || pair.name == Labels.metricNameLabel || (isNamed && pair.name == "id") { return nil }
            return .equal(pair.name, pair.value)
        }
    }
}
