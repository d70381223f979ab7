internal import Query
internal import Telemetry
internal import Transport
internal import Wire

/// `/federate`: the newest sample of each selected series in the text format, for a Prometheus above this server.
struct FederationAPI: Sendable {
    let dependencies: ServerDependencies
    let runner: QueryRunner

    /// Answers with what `match[]` selects. Native histograms have no form in the text format and are left out.
    func federate(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let matcherSets = try parameters.matcherSets()
        let now = dependencies.wallClock.nowMilliseconds
        let range = TimeRange(
            startMilliseconds: now - dependencies.engineOptions.lookbackMilliseconds, endMilliseconds: now)
        let source = dependencies.seriesSource
        let acceptsGzip = request.acceptsGzip
        let description = QueryRunner.Description(
            kind: "federate", text: parameters.all("match[]").joined(separator: " or "),
            of: request)
        return try await runner.run(description) { context in
            var newest: [Labels: Sample] = [:]
            for matchers in matcherSets {
                let request = SeriesRequest(matchers: matchers, range: range)
                for cursor in try source.select(request, in: context) {
                    try context.check()
                    guard newest[cursor.labels] == nil else { continue }
                    newest[cursor.labels] = try FederationAPI.newestSample(cursor)
                }
            }
            let text = FederationAPI.text(newest)
            try context.reserve(text.count)
            return ListenerResponse.exposition(text, acceptsGzip: acceptsGzip).kept(in: context)
        }.value
    }

    /// Nil where the series ended, or is a histogram now.
    private static func newestSample(_ cursor: any SeriesCursor) throws -> Sample? {
        var buffer = SampleBuffer()
        var newest: Sample?
        while try cursor.next(into: &buffer) {
            guard let milliseconds = buffer.timesMilliseconds.last else { continue }
            newest = buffer.values.last.map { Sample(milliseconds: milliseconds, value: $0) }
        }
        return newest.flatMap { Sample.isStale($0.value) ? nil : $0 }
    }

    private static func text(_ newest: [Labels: Sample]) -> [UInt8] {
        var writer = ExpositionWriter()
        var family: String?
        for (labels, sample) in newest.sorted(by: { precedes($0.key, $1.key) }) {
            guard let metricName = labels.metricName else { continue }
            let name = LabelName.isValidMetric(metricName) ? metricName : LabelName.sanitized(metricName)
            if name != family { writer.family(name, .unknown, help: "") }
            family = name
            writer.sample(name, written(labels), sample.value, milliseconds: sample.milliseconds)
        }
        return writer.bytes
    }

    /// The labels as the format can have them. An empty instance keeps the reader from putting its own in its place.
    private static func written(_ labels: Labels) -> Labels {
        var pairs = labels.pairs.map { (name: LabelName.sanitized($0.name), value: $0.value) }
        if labels["instance"] == nil { pairs.append((name: "instance", value: "")) }
        return Labels(keepingEmptyValues: pairs)
    }

    private static func precedes(_ left: Labels, _ right: Labels) -> Bool {
        (left.metricName ?? "", left) < (right.metricName ?? "", right)
    }
}
