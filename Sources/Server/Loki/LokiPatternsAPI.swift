internal import Query
internal import Telemetry
internal import Transport
internal import Wire

/// `/loki/api/v1/patterns`, and `/api/v1/logs/patterns` with more about each: what lines look like, counted exactly.
struct LokiPatternsAPI: Sendable {
    let dependencies: ServerDependencies
    let runner: QueryRunner

    private static let bucketsMaximum: Int64 = 2_000
    private static let patternsDefault = 300

    /// What was counted, the most frequent pattern first.
    private struct Counts: Sendable {
        var patterns: [PatternCounter.Pattern]
        var lines: Int
        var otherLines = 0
    }

    /// Loki's answer: per pattern its counts over time.
    func patterns(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let (range, step) = try bounds(parameters)
        return try await count(request, parameters, range, step) { counts, context in
            let shown = Array(counts.patterns.prefix(LokiPatternsAPI.patternsDefault))
            let answer = PrometheusAnswer.list(
                count: shown.count, elementBytes: 4_096, context: context
            ) { writer, index in
                writer.beginObject()
                writer.member("pattern", shown[index].text)
                writer.key("samples")
                writer.beginArray()
                for (bucket, count) in shown[index].counts.enumerated() where count > 0 {
                    writer.beginArray()
                    writer.integer((range.startNanoseconds + Int64(bucket) * step) / 1_000_000_000)
                    writer.integer(count)
                    writer.endArray()
                }
                writer.endArray()
                writer.endObject()
            }
            return try answer.response(acceptsGzip: request.acceptsGzip, in: context)
        }
    }

    /// Our own: counts, bytes, level and an example of each, and how many lines there were in all.
    func details(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let (range, step) = try bounds(parameters)
        return try await count(request, parameters, range, step) { counts, context in
            var writer = JSONWriter()
            writer.beginObject()
            writer.member("status", "success")
            writer.key("data")
            writer.beginObject()
            writer.member("lines", counts.lines)
            writer.member("otherLines", counts.otherLines)
            writer.member("linesScanned", context.statistics.linesScanned)
            writer.member("bytesRead", context.statistics.bytesRead)
            writer.members("skipped", context.statistics.skipped)
            writer.key("patterns")
            writer.beginArray()
            for pattern in counts.patterns { LokiPatternsAPI.write(pattern, &writer) }
            writer.endArray()
            writer.endObject()
            PrometheusAnswer.remarks(of: context, &writer)
            writer.endObject()
            return try .compressedJSON(writer.bytes, acceptsGzip: request.acceptsGzip, in: context)
        }
    }

    private static func write(_ pattern: PatternCounter.Pattern, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("pattern", pattern.text)
        writer.member("lines", pattern.lines)
        writer.member("bytes", pattern.bytes)
        writer.member("level", pattern.severity.name)
        writer.key("counts")
        writer.beginArray()
        for count in pattern.counts { writer.integer(count) }
        writer.endArray()
        writer.key("example")
        writer.beginObject()
        writer.member("time", String(pattern.example.nanoseconds))
        writer.key("labels")
        writer.labels(pattern.example.labels)
        writer.key("line")
        writer.string(pattern.example.text[...])
        writer.endObject()
        writer.endObject()
    }

    private func bounds(_ parameters: RequestParameters) throws -> (range: LogTimeRange, step: Int64) {
        let range = try LokiSpan.range(parameters, nowNanoseconds: dependencies.wallClock.nowNanoseconds)
        let step = try LokiSpan.step(parameters, range)
        guard (range.endNanoseconds - range.startNanoseconds) / step <= LokiPatternsAPI.bucketsMaximum else {
            throw APIFailure.invalid("step", "more than \(LokiPatternsAPI.bucketsMaximum) steps; use a longer one")
        }
        return (range, step)
    }

    private func count(
        _ request: ServerRequest, _ parameters: RequestParameters, _ range: LogTimeRange, _ step: Int64,
        _ answer: @escaping @Sendable (Counts, QueryContext) throws -> ListenerResponse
    ) async throws -> ListenerResponse {
        let text = try parameters.required("query")
        let engine = dependencies.engine()
        // Bytes are known of lines that were rebuilt alone.
        let countsBytes = parameters["bytes"] == "true"
        let store = countsBytes ? nil : dependencies.logSource as? any LogPatternSource
        let description = QueryRunner.Description(kind: "log patterns", text: text, of: request)
        return try await runner.run(description) { context in
            if let store, let request = try engine.lineRequest(text, range: range, in: context),
                let counted = try store.patterns(request, bucketNanoseconds: step, in: context)
            {
                let patterns = PatternCounter.patterns(counted)
                return try answer(Counts(patterns: patterns, lines: patterns.reduce(0) { $0 + $1.lines }), context)
            }
            let reader = try engine.openLines(text, range: range, limit: 0, direction: .forward, in: context)
            var counter = PatternCounter(range: range, bucketNanoseconds: step)
            while let lines = try reader.next() {
                for line in lines { counter.add(line) }
            }
            let patterns = counter.patterns.sorted { ($1.lines, $0.text) < ($0.lines, $1.text) }
            let counts = Counts(patterns: patterns, lines: counter.lines, otherLines: counter.otherLines)
            return try answer(counts, context)
        }.value
    }
}
