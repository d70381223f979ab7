internal import Query
internal import Telemetry
internal import Transport
internal import Wire

/// `/loki/api/v1/index/stats`, `/index/volume`, `/index/volume_range`: how much there is, by label. Loki estimates
/// these from its index; here they are counted.
struct LokiVolumeAPI: Sendable {
    let dependencies: ServerDependencies
    let runner: QueryRunner

    private static let seriesDefault = 100
    /// As many as a range query may have.
    private static let stepsMaximum: Int64 = 11_000

    /// Streams, lines and bytes of a selector.
    func stats(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let range = try LokiSpan.range(parameters, nowNanoseconds: dependencies.wallClock.nowNanoseconds)
        let matchers = try LokiSpan.matchers(parameters)
        let source = dependencies.logSource
        return try await runner.run(description("log stats", request, parameters)) { context in
            let streams = try source.streams(LogRequest(matchers: matchers, range: range), in: context)
            let totals = try LineTotals.of(matchers, range, grouping: [], bucket: nil, source, context)
            return .json(
                JSONWriter.object { writer in
                    writer.member("streams", streams.count)
                    writer.member("chunks", streams.count)
                    writer.member("entries", totals.reduce(0) { $0 + $1.lines.reduce(0, +) })
                    writer.member("bytes", totals.reduce(0) { $0 + $1.bytes.reduce(0, +) })
                })
        }.value
    }

    /// Bytes by label, over the whole span.
    func volume(_ request: ServerRequest) async throws -> ListenerResponse {
        try await volumes(request, isRange: false)
    }

    /// Bytes by label, at every step.
    func volumeRange(_ request: ServerRequest) async throws -> ListenerResponse {
        try await volumes(request, isRange: true)
    }

    private func volumes(_ request: ServerRequest, isRange: Bool) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let range = try LokiSpan.range(parameters, nowNanoseconds: dependencies.wallClock.nowNanoseconds)
        let matchers = try LokiSpan.matchers(parameters)
        let limit = try parameters.count("limit") ?? LokiVolumeAPI.seriesDefault
        let step = isRange ? try LokiSpan.step(parameters, range) : nil
        let span = range.endNanoseconds - range.startNanoseconds
        guard step.map({ span / $0 <= LokiVolumeAPI.stepsMaximum }) ?? true else {
            throw APIFailure.invalid("step", "more than \(LokiVolumeAPI.stepsMaximum) steps; use a longer one")
        }
        let aggregation = parameters["aggregateBy"] ?? "series"
        guard ["series", "labels"].contains(aggregation) else {
            throw APIFailure.invalid("aggregateBy", "use series or labels")
        }
        let targets = (parameters["targetLabels"] ?? "").split(separator: ",").map(String.init)
        let source = dependencies.logSource
        let acceptsGzip = request.acceptsGzip
        let clock = dependencies.monotonicClock
        return try await runner.run(description("log volume", request, parameters)) { context in
            let begun = clock.nowNanoseconds
            var names = targets.isEmpty ? Set(matchers.map(\.name)).sorted() : targets
            if names.isEmpty {
                names = try source.labelNames(LogRequest(matchers: matchers, range: range), in: context)
            }
            let groups = try LineTotals.of(matchers, range, grouping: names, bucket: step, source, context)
            let series = aggregation == "series" ? groups : LokiVolumeAPI.byName(groups)
            let value = LokiVolumeAPI.value(series, range, step: step, limit: limit)
            return try LokiAnswer.query(
                value, isCategorized: false, direction: .forward, context: context,
                nanoseconds: clock.nowNanoseconds - begun
            ).response(acceptsGzip: acceptsGzip, in: context)
        }.value
    }

    /// The volumes of each label's name, whatever its value.
    private static func byName(_ groups: [LogCounts]) -> [LogCounts] {
        var sums: [String: LogCounts] = [:]
        for group in groups {
            for (name, _) in group.labels.pairs {
                let none = [Int](repeating: 0, count: group.bytes.count)
                let labels = Labels(keepingEmptyValues: [(name: name, value: "")])
                var sum = sums[name] ?? LogCounts(labels: labels, lines: none, bytes: none)
                for bucket in group.bytes.indices { sum.bytes[bucket] += group.bytes[bucket] }
                sums[name] = sum
            }
        }
        return Array(sums.values)
    }

    /// The largest series first; the end of a bucket stands for it.
    private static func value(
        _ groups: [LogCounts], _ range: LogTimeRange, step: Int64?, limit: Int
    ) -> QueryValue {
        let sorted = groups.map { (group: $0, sum: $0.bytes.reduce(0, +)) }
            .filter { $0.sum > 0 }
            .sorted { ($1.sum, $0.group.labels) < ($0.sum, $1.group.labels) }
            .prefix(limit)
        guard let step else {
            return .vector(
                sorted.map {
                    SeriesPoint(
                        labels: $0.group.labels, milliseconds: range.endNanoseconds / 1_000_000, value: Double($0.sum))
                })
        }
        return .matrix(
            sorted.map { entry in
                let filled = entry.group.bytes.indices.filter { entry.group.bytes[$0] > 0 }
                let times = filled.map { bucket in
                    // The last bucket may end behind the range, and behind what 64 bits hold.
                    let left = range.endNanoseconds - range.startNanoseconds - Int64(bucket) * step
                    return (range.endNanoseconds - max(0, left - step)) / 1_000_000
                }
                return SeriesPoints(
                    labels: entry.group.labels, timesMilliseconds: times,
                    values: filled.map { Double(entry.group.bytes[$0]) })
            })
    }

    private func description(
        _ kind: String, _ request: ServerRequest, _ parameters: RequestParameters
    ) -> QueryRunner.Description {
        QueryRunner.Description(kind: kind, text: parameters["query"] ?? "", principal: request.principal.name)
    }
}

/// Lines and bytes by labels, from a store's counts where it can count, else from the lines themselves.
enum LineTotals {
    /// Counts in buckets of `bucket` nanoseconds, or in one. Blocks on disk.
    static func of(
        _ matchers: [LabelMatcher], _ range: LogTimeRange, grouping: [String]?, bucket: Int64?, _ source: any LogSource,
        _ context: QueryContext
    ) throws -> [LogCounts] {
        let span = range.endNanoseconds - range.startNanoseconds
        let width = max(1, bucket ?? span)
        let fragment = LogPlanFragment(grouping: grouping)
        let request = LogRequest(matchers: matchers, range: range, fragment: fragment)
        if let counts = try source.counts(request, bucketNanoseconds: width, in: context) { return counts }
        let cursor = try source.select(LogRequest(matchers: matchers, range: range), in: context).cursor
        let buckets = Int(span / width) + (span % width == 0 ? 0 : 1)
        var groups: [Labels: LogCounts] = [:]
        var buffer = LogLineBuffer()
        while try cursor.next(into: &buffer) {
            try context.check()
            for index in 0..<buffer.count {
                let stream = buffer.streams[Int(buffer.streamIndexes[index])]
                let labels = grouping.map { stream.keeping(Set($0)) } ?? stream
                let none = [Int](repeating: 0, count: buckets)
                let place = Int((buffer.timesNanoseconds[index] - range.startNanoseconds) / width)
                groups[labels, default: LogCounts(labels: labels, lines: none, bytes: none)].lines[place] += 1
                groups[labels]?.bytes[place] += buffer.line(index).count
            }
        }
        return groups.values.sorted { $0.labels < $1.labels }
    }
}
