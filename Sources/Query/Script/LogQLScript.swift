internal import Telemetry

/// The language of Loki's `logqltest`: lines instead of samples, messages of which a part is enough, no annotations.
///
/// An `eval` of a log query, which that suite does not have, expects lines: `{labels}` and below it, deeper indented,
/// `"text" @ time`, each `{labels}` in the order of the labels, its lines in the order of the answer.
enum LogQLScript: ScriptLanguage {
    static func commands(of text: String) throws(ScriptError) -> [ScriptCommand<LogScriptLoad>] {
        try LogScriptParser.commands(of: text)
    }

    /// Every line has a place of its own in a source, so that none is taken for the repetition of another.
    static func append(_ load: LogScriptLoad, to store: ScriptRunner.LogStore) async throws {
        var streams: [LogLines] = []
        var places: [Labels: Int] = [:]
        for (position, line) in load.lines.enumerated() {
            let place = places[line.stream] ?? streams.count
            if place == streams.count {
                places[line.stream] = place
                let origin = LogOrigin(source: "script:\(load.number)", generation: UInt64(place))
                streams.append(LogLines(labels: line.stream, origin: origin))
            }
            streams[place].append(
                nanoseconds: line.nanoseconds, line: line.text.utf8,
                offsets: UInt64(position)..<UInt64(position + 1), metadata: line.metadata)
        }
        let receipt = try await store.append(LogBatch(streams: streams))
        if let rejection = receipt.rejections.first {
            throw ScriptError(line: load.number, "\(rejection.lines) lines refused: \(rejection.reason)")
        }
    }

    static func difference(
        _ evaluation: ScriptEvaluation, _ store: ScriptRunner.LogStore, _ clock: any MonotonicClock
    ) -> String? {
        let engine = Engine(series: NoSamples(), logs: store)
        let context = QueryContext(clock: clock)
        let start = evaluation.startMilliseconds * 1_000_000
        do {
            let value: QueryValue
            if evaluation.isRange {
                value = try engine.logRange(
                    evaluation.query,
                    range: LogTimeRange(
                        startNanoseconds: start, endNanoseconds: evaluation.endMilliseconds * 1_000_000),
                    stepMilliseconds: evaluation.stepMilliseconds, limit: evaluation.limit,
                    direction: evaluation.isBackward ? .backward : .forward, in: context)
            } else {
                value = try engine.logInstant(
                    evaluation.query, atNanoseconds: start, limit: 0, direction: .forward, in: context)
            }
            if evaluation.failure != nil { return "expected an error, got \(value.typeName)" }
            return ScriptComparison(evaluation).difference(value)
        } catch {
            guard let expected = evaluation.failure else { return "unexpected error: \(error)" }
            let message = "\(error)"
            return expected.matches(message) ? nil : "expected an error with \(expected.described), got: \(message)"
        }
    }
}

/// A metric store without metrics.
private struct NoSamples: SeriesSource {
    func select(_ request: SeriesRequest, in context: QueryContext) throws -> [any SeriesCursor] { [] }
    func series(_ request: SeriesRequest, in context: QueryContext) throws -> [Labels] { [] }
    func labelNames(_ request: SeriesRequest, in context: QueryContext) throws -> [String] { [] }
    func labelValues(_ name: String, _ request: SeriesRequest, in context: QueryContext) throws -> [String] { [] }
    func metadata(metricName: String?, limit: Int, in context: QueryContext) throws -> [MetricMetadata] { [] }
}
