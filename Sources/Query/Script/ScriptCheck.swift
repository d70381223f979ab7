internal import Telemetry

/// Runs one `eval` in all the ways it must hold.
struct ScriptCheck {
    let evaluation: ScriptEvaluation
    let store: ScriptRunner.Store
    let clock: any MonotonicClock

    /// Upstream's runner asks for a relative difference below one in a million.
    static let tolerance = 1e-6

    /// Nil when everything held, else what did not.
    func run() -> String? {
        if evaluation.isRange { return range() }
        let time = evaluation.isRangeVector ? evaluation.endMilliseconds : evaluation.startMilliseconds
        if let reason = instant(evaluation.query, at: time) { return reason }
        let variant: String?
        do {
            variant = try PinnedQuery.text(evaluation.query, at: time)
        } catch {
            return nil
        }
        guard let variant else { return nil }
        let others: [Int64] = time == 0 ? [-1000, 0, 1000] : [-10 * time, 0, time / 5, time, 10 * time]
        for other in others {
            if let reason = instant(variant, at: other) { return "with @, \(variant) at \(other) ms: \(reason)" }
        }
        return nil
    }

    private var engine: Engine { Engine(series: store) }

    // MARK: Ways

    private func range() -> String? {
        let context = QueryContext(clock: clock)
        do {
            let value = try engine.range(
                evaluation.query, startMilliseconds: evaluation.startMilliseconds,
                endMilliseconds: evaluation.endMilliseconds, stepMilliseconds: evaluation.stepMilliseconds, in: context)
            return unexpectedSuccess ?? remarks(context) ?? ScriptComparison(evaluation).difference(value)
        } catch {
            return failure("\(error)")
        }
    }

    private func instant(_ query: String, at time: Int64) -> String? {
        let context = QueryContext(clock: clock)
        let value: QueryValue
        do {
            value = try engine.instant(query, atMilliseconds: time, in: context)
        } catch {
            return failure("\(error)")
        }
        let comparison = ScriptComparison(evaluation)
        if let reason = unexpectedSuccess ?? remarks(context) ?? comparison.difference(value) { return reason }
        let isComparable = !evaluation.isRangeVector && evaluation.string == nil && !evaluation.isOrdered
        guard isComparable, !PinnedQuery.dependsOnBounds(query) else { return nil }
        return middleOfRange(query, time, value).map { "as a range query: \($0)" }
    }

    /// The same at the middle step of a range query.
    private func middleOfRange(_ query: String, _ time: Int64, _ value: QueryValue) -> String? {
        do {
            let matrix = try engine.range(
                query, startMilliseconds: time - 60_000, endMilliseconds: time + 60_000, stepMilliseconds: 60_000,
                in: QueryContext(clock: clock))
            guard case .matrix(let series) = matrix else { return "expected a matrix, got \(matrix.typeName)" }
            let points = series.compactMap { $0.point(at: time) }
            if case .scalar = value {
                let sample = Sample(milliseconds: time, value: points.first?.value ?? .nan)
                return ScriptComparison(evaluation).difference(.scalar(sample))
            }
            return ScriptComparison(evaluation).difference(.vector(points))
        } catch {
            return "\(error)"
        }
    }

    // MARK: Failures and remarks

    private var unexpectedSuccess: String? { evaluation.failure == nil ? nil : "expected an error, got an answer" }

    private func failure(_ message: String) -> String? {
        guard let expected = evaluation.failure else { return "unexpected error: \(message)" }
        return expected.matches(message) ? nil : "expected an error with \(expected.described), got: \(message)"
    }

    private func remarks(_ context: QueryContext) -> String? {
        remarks(context.warnings, evaluation.warnings, "warning", isForbidden: evaluation.forbidsWarnings)
            ?? remarks(context.infos, evaluation.infos, "info", isForbidden: evaluation.forbidsInfos)
    }

    private func remarks(
        _ found: [String], _ expected: [ScriptEvaluation.Expectation], _ kind: String, isForbidden: Bool
    ) -> String? {
        if isForbidden, !found.isEmpty { return "expected no \(kind), got: \(found)" }
        guard !expected.isEmpty else { return nil }
        if let missing = expected.first(where: { one in !found.contains { one.matches($0) } }) {
            return "expected \(kind) with \(missing.described), got: \(found)"
        }
        if let surplus = found.first(where: { text in !expected.contains { $0.matches(text) } }) {
            return "unexpected \(kind): \(surplus)"
        }
        return nil
    }
}

extension SeriesPoints {
    /// The point at a time.
    fileprivate func point(at time: Int64) -> SeriesPoint? {
        if let index = timesMilliseconds.firstIndex(of: time) {
            return SeriesPoint(labels: labels, milliseconds: time, value: values[index])
        }
        return histogramTimesMilliseconds.firstIndex(of: time).map {
            SeriesPoint(labels: labels, milliseconds: time, value: 0, histogram: histograms[$0])
        }
    }
}
