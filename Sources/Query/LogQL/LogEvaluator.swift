internal import Telemetry

/// Evaluates LogQL: lines, or numbers at every step.
struct LogEvaluator {
    let source: any LogSource
    let context: QueryContext
    /// The query's text, for the places that errors name.
    let text: [UInt8]
    let times: StepTimes

    /// "not yet supported: NAME at 1:5".
    func notSupported(_ name: String, at span: SourceSpan) -> QueryError {
        let place = SourceSpan.place(of: span.start, in: text)
        return QueryError(.notSupported, name, line: place.line, column: place.column)
    }

    // MARK: Lines

    /// The lines of a pipeline in the order of `direction`, at most `limit` (0: all), grouped by their labels.
    func lines(
        _ pipeline: LogPipeline, range: LogTimeRange, limit: Int, direction: LogDirection
    ) throws -> [StreamLines] {
        var streams: [StreamLines] = []
        var places: [Labels: Int] = [:]
        var remaining = limit == 0 ? Int.max : limit
        try forEachLine(pipeline, range: range, limit: limit, direction: direction) { buffer, index, labels, metadata in
            let line = StreamLines.Line(
                nanoseconds: buffer.timesNanoseconds[index], text: Array(buffer.line(index)), metadata: metadata)
            try context.reserve(line.text.count + 64)
            let place = places[labels] ?? streams.count
            if place == streams.count {
                places[labels] = place
                streams.append(StreamLines(labels: labels, lines: []))
            }
            streams[place].lines.append(line)
            remaining -= 1
            return remaining > 0
        }
        return streams.sorted { $0.labels < $1.labels }
    }

    /// Calls `body` with each line that passes, its labels (the stream's and its own) and its own alone, until `body`
    /// returns false.
    private func forEachLine(
        _ pipeline: LogPipeline, range: LogTimeRange, limit: Int, direction: LogDirection,
        _ body: (LogLineBuffer, Int, Labels, Labels) throws -> Bool
    ) throws {
        let predicates = try linePredicates(pipeline)
        let fragment = LogPlanFragment(linePredicates: predicates)
        let request = LogRequest(
            matchers: pipeline.matchers, range: range, fragment: fragment, direction: direction, limit: limit)
        let selection = try source.select(request, in: context)
        let filters = try selection.applied.contains(.linePredicates) ? [] : predicates.map { try LineMatcher($0) }
        var buffer = LogLineBuffer()
        var merged: [MergedKey: Labels] = [:]
        while try selection.cursor.next(into: &buffer) {
            try context.check()
            for index in 0..<buffer.count {
                let isKept = buffer.line(index).withUnsafeBytes { line in filters.allSatisfy { $0.matches(line) } }
                if !isKept { continue }
                let key = MergedKey(stream: buffer.streamIndexes[index], metadata: buffer.metadataIndexes[index])
                let metadata = key.metadata < 0 ? Labels.empty : buffer.metadata[Int(key.metadata)]
                let labels: Labels
                if key.metadata < 0 {
                    labels = buffer.streams[Int(key.stream)]
                } else if let known = merged[key] {
                    labels = known
                } else {
                    labels = LogEvaluator.merged(buffer.streams[Int(key.stream)], metadata)
                    merged[key] = labels
                }
                guard try body(buffer, index, labels, metadata) else { return }
            }
        }
    }

    private struct MergedKey: Hashable {
        let stream: Int32
        let metadata: Int32
    }

    /// Labels of the stream win over metadata of the same name, which is kept as NAME_extracted.
    private static func merged(_ stream: Labels, _ metadata: Labels) -> Labels {
        let taken = Set(stream.pairs.map(\.name))
        let added = metadata.pairs.map {
            (name: taken.contains($0.name) ? "\($0.name)_extracted" : $0.name, value: $0.value)
        }
        return Labels(stream.pairs + added)
    }

    private func linePredicates(_ pipeline: LogPipeline) throws -> [LinePredicate] {
        var predicates: [LinePredicate] = []
        for stage in pipeline.stages {
            guard let filter = stage as? LineFilterStage, let predicate = filter.predicate else {
                throw notSupported(stage.name, at: stage.span)
            }
            // An empty text is in every line.
            if case .contains = predicate.kind, !predicate.isNegated, predicate.alternatives.contains("") { continue }
            predicates.append(predicate)
        }
        return predicates
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
        case .rangeAggregation(let node): return .vector(try rangeAggregation(node))
        case .vectorAggregation(let node): return .vector(try vectorAggregation(node))
        case .binary(let node): return try binary(node)
        case .labelReplace(let node): throw notSupported("label_replace", at: node.span)
        }
    }

    private func rangeAggregation(_ node: LogRangeAggregation) throws -> [SeriesColumn] {
        let seconds = Double(node.windowNanoseconds) / 1e9
        let divisor: Double
        switch node.function {
        case .count, .bytes: divisor = 1
        case .rate, .bytesRate: divisor = seconds
        default: throw notSupported(node.function.rawValue, at: node.span)
        }
        if node.unwrap != nil { throw notSupported("unwrap", at: node.span) }
        let countsBytes = node.function == .bytes || node.function == .bytesRate
        let series = try weights(node, countsBytes: countsBytes)
        var columns: [SeriesColumn] = []
        for (labels, run) in series {
            var column = SeriesColumn(labels: labels, count: times.count)
            run.fill(&column, times, node, divisor: divisor)
            context.release(run.bytes)
            if !column.isEmpty {
                try context.reserve(column.bytes)
                columns.append(column)
            }
        }
        return columns.sorted { $0.labels < $1.labels }
    }

    /// The times of the lines of each series with what each counts for, in time order.
    private func weights(_ node: LogRangeAggregation, countsBytes: Bool) throws -> [(Labels, LineRun)] {
        let first = times.startMilliseconds * 1_000_000 - node.offsetNanoseconds - node.windowNanoseconds + 1
        let last = times.endMilliseconds * 1_000_000 - node.offsetNanoseconds
        var runs: [(Labels, LineRun)] = []
        var places: [Labels: Int] = [:]
        let range = LogTimeRange(startNanoseconds: first, endNanoseconds: last + 1)
        try forEachLine(node.pipeline, range: range, limit: 0, direction: .forward) { buffer, index, labels, _ in
            try context.reserve(16)
            let place = places[labels] ?? runs.count
            if place == runs.count {
                places[labels] = place
                runs.append((labels, LineRun()))
            }
            let weight = countsBytes ? Double(buffer.line(index).count) : 1
            runs[place].1.append(buffer.timesNanoseconds[index], weight)
            return true
        }
        return runs
    }
}

/// The lines of one series: when, and what each counts for.
private struct LineRun {
    private var timesNanoseconds: [Int64] = []
    private var weights: [Double] = []

    var bytes: Int { timesNanoseconds.count * 16 }

    mutating func append(_ nanoseconds: Int64, _ weight: Double) {
        timesNanoseconds.append(nanoseconds)
        weights.append(weight)
    }

    /// Sums the weights of each step's window, which includes its end and not its start; nothing without a line.
    func fill(_ column: inout SeriesColumn, _ times: StepTimes, _ node: LogRangeAggregation, divisor: Double) {
        var low = 0
        var high = 0
        var sum: Double = 0
        for step in 0..<times.count {
            let end = times[step] * 1_000_000 - node.offsetNanoseconds
            let start = end - node.windowNanoseconds
            while high < timesNanoseconds.count, timesNanoseconds[high] <= end {
                sum += weights[high]
                high += 1
            }
            while low < high, timesNanoseconds[low] <= start {
                sum -= weights[low]
                low += 1
            }
            if high > low { column.values[step] = sum / divisor }
        }
    }
}
