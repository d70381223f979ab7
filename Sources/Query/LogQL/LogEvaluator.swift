internal import Telemetry

/// Evaluates LogQL: lines, or numbers at every step.
struct LogEvaluator {
    let source: any LogSource
    let context: QueryContext
    let times: StepTimes
    /// What the steps' milliseconds lack of the times that were asked for.
    var remainderNanoseconds: Int64 = 0

    // MARK: Lines

    /// The lines of a pipeline in the order of `direction`, at most `limit` (0: all), grouped by their labels.
    func lines(
        _ pipeline: LogPipeline, range: LogTimeRange, limit: Int, direction: LogDirection
    ) throws -> [StreamLines] {
        var streams: [StreamLines] = []
        var places: [Labels: Int] = [:]
        var remaining = limit == 0 ? Int.max : limit
        let run = PipelineRun(
            source: source, context: context, pipeline: pipeline, nowMilliseconds: times.endMilliseconds)
        try run.forEachLine(range: range, limit: limit, direction: direction) { line, origin in
            try context.reserve(line.text.count + 64)
            let labels = line.labels.result()
            let place = places[labels] ?? streams.count
            if place == streams.count {
                places[labels] = place
                streams.append(StreamLines(labels: labels, lines: []))
            }
            streams[place].lines.append(
                StreamLines.Line(
                    nanoseconds: line.nanoseconds, text: Array(line.text), metadata: origin.metadata,
                    parsed: line.labels.parsed(), own: line.labels.own()))
            remaining -= 1
            return remaining > 0
        }
        return streams.sorted { $0.labels < $1.labels }
    }

    // MARK: Numbers

    /// The value of `expression` at every step.
    func evaluate(_ expression: LogQLExpression) throws -> Evaluated {
        try context.check()
        switch expression {
        case .lines: throw QueryError(.execution, "a log query has no value at a step")
        case .number(let value): return .scalar([Double](repeating: value, count: times.count))
        case .vector(let value):
            let values = [Double](repeating: value, count: times.count)
            return .vector([SeriesColumn(labels: .empty, values: values)])
        case .rangeAggregation(let node): return .vector(try rangeAggregation(node, outer: nil))
        case .vectorAggregation(let node): return .vector(try vectorAggregation(node))
        case .binary(let node): return try binary(node)
        case .labelReplace(let node): return .vector(try labelReplace(node))
        }
    }

    /// `outer` is the grouping of an aggregation around it that needs no other labels.
    func rangeAggregation(_ node: LogRangeAggregation, outer: LogGrouping?) throws -> [SeriesColumn] {
        let windows = LogWindows(times, node, remainderNanoseconds: remainderNanoseconds)
        let demand = LabelDemand(node, outer: outer)
        let run = PipelineRun(
            source: source, context: context, pipeline: demand.pipeline, neededLabels: demand.names,
            nowMilliseconds: times.endMilliseconds)
        if let columns = try countedByStore(node, run, windows, outer: outer) { return columns }
        let samples = try self.samples(node, windows, run, demand)
        defer { context.release(samples.bytes) }
        if node.function == .absent { return [windows.absence(of: samples.series, node)].filter { !$0.isEmpty } }
        var columns: [SeriesColumn] = []
        for series in samples.series {
            try context.check()
            let column = windows.column(series, node)
            if !column.isEmpty {
                try context.reserve(column.bytes)
                columns.append(column)
            }
        }
        return columns.sorted { $0.labels < $1.labels }
    }

    /// The samples that the lines of a range aggregation give, by series.
    private func samples(
        _ node: LogRangeAggregation, _ windows: LogWindows, _ run: PipelineRun, _ demand: LabelDemand
    ) throws -> LogSamples {
        var samples = LogSamples(node)
        try run.forEachLine(range: windows.range, limit: 0, direction: .forward) { line, _ in
            guard windows.contain(line.nanoseconds), let value = LogSamples.value(of: &line, node) else { return true }
            if !line.labels.error.isEmpty {
                let isKept = demand.keepsFailedLines && LineError.isOfParser(line.labels.error)
                guard isKept else {
                    let series = line.labels.result().description
                    throw QueryError(.pipeline, LineError.message(line.labels.error, series: series))
                }
            }
            try context.reserve(LogSamples.bytesPerSample)
            samples.append(line.labels.result(), line.nanoseconds, value)
            return true
        }
        return samples
    }
}
