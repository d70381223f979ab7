internal import Telemetry

/// Runs a pipeline over the lines that a store selects. What the store can do of it, it is asked to do.
struct PipelineRun {
    let source: any LogSource
    let context: QueryContext
    let pipeline: LogPipeline
    /// What the query as a whole looks at; nil for all labels.
    var neededLabels: Set<String>?
    /// The time of the query.
    let nowMilliseconds: Int64

    /// Calls `body` with each line that passes and its structured metadata, until `body` returns false.
    func forEachLine(
        range: LogTimeRange, limit: Int, direction: LogDirection,
        _ body: (inout PipelineLine, Labels) throws -> Bool
    ) throws {
        let (predicates, rest) = pushedDown
        let hints = fieldHints
        let fragment = LogPlanFragment(
            linePredicates: predicates, parser: hints?.parser, fieldPredicates: hints?.predicates ?? [])
        let request = LogRequest(
            matchers: pipeline.matchers, range: range, fragment: fragment, direction: direction,
            limit: rest.isEmpty ? limit : 0)
        let selection = try source.select(request, in: context)
        let stages = selection.applied.contains(.linePredicates) ? rest : processing
        var buffer = LogLineBuffer()
        var bases: [BaseKey: LineLabels.Base] = [:]
        var labels = LineLabels(LineLabels.Base(stream: .empty, metadata: .empty), neededNames: neededLabels)
        while try selection.cursor.next(into: &buffer) {
            try context.check()
            for index in 0..<buffer.count {
                let key = BaseKey(stream: buffer.streamIndexes[index], metadata: buffer.metadataIndexes[index])
                let metadata = key.metadata < 0 ? Labels.empty : buffer.metadata[Int(key.metadata)]
                let base: LineLabels.Base
                if let known = bases[key] {
                    base = known
                } else {
                    base = LineLabels.Base(stream: buffer.streams[Int(key.stream)], metadata: metadata)
                    bases[key] = base
                }
                labels.reset(base)
                var line = PipelineLine(
                    nanoseconds: buffer.timesNanoseconds[index], text: buffer.line(index), labels: labels,
                    nowMilliseconds: nowMilliseconds)
                guard stages.allSatisfy({ $0.process(&line) }) else { continue }
                guard try body(&line, metadata) else { return }
            }
        }
    }

    private struct BaseKey: Hashable {
        let stream: Int32
        let metadata: Int32
    }

    private var processing: [any LineProcessing] { pipeline.stages.compactMap { $0 as? any LineProcessing } }

    /// Line filters that stand before everything that changes the text are the store's; it does not matter to them
    /// which parsers and label filters stand between.
    var pushedDown: (predicates: [LinePredicate], rest: [any LineProcessing]) {
        var predicates: [LinePredicate] = []
        var rest: [any LineProcessing] = []
        var isTextKnown = true
        for stage in processing {
            if isTextKnown, let filter = stage as? LineFilterStage, let known = filter.predicates {
                predicates += known
            } else {
                rest.append(stage)
                isTextKnown = isTextKnown && !stage.changesText
            }
        }
        return (predicates, rest)
    }
}
