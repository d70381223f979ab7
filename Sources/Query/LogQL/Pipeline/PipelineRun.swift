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

    /// Calls `body` with each line that passes and where it comes from, until `body` returns false.
    func forEachLine(
        range: LogTimeRange, limit: Int, direction: LogDirection,
        _ body: (inout PipelineLine, LineOrigin) throws -> Bool
    ) throws {
        var (cursor, processor) = try open(range: range, limit: limit, direction: direction)
        var buffer = LogLineBuffer()
        while try cursor.next(into: &buffer) {
            try context.check()
            guard try processor.forEachLine(of: buffer, body) else { return }
        }
    }

    /// The lines a store selects, and what is left to be done with them.
    func open(
        range: LogTimeRange, limit: Int, direction: LogDirection
    ) throws -> (cursor: any LogCursor, processor: LineProcessor) {
        let (predicates, rest) = pushedDown
        let hints = fieldHints
        let fragment = LogPlanFragment(
            linePredicates: predicates, parser: hints?.parser, fieldPredicates: hints?.predicates ?? [])
        let request = LogRequest(
            matchers: pipeline.matchers, range: range, fragment: fragment, direction: direction,
            limit: rest.isEmpty ? limit : 0)
        let selection = try source.select(request, in: context)
        let stages = selection.applied.contains(.linePredicates) ? rest : processing
        return (selection.cursor, processor(stages))
    }

    /// What takes lines through `stages`.
    func processor(_ stages: [any LineProcessing]) -> LineProcessor {
        LineProcessor(
            stages: stages, neededLabels: neededLabels, detectsLevel: detectsLevel, nowMilliseconds: nowMilliseconds)
    }

    /// Whether anything in the query looks at the level that lines tell of themselves.
    private var detectsLevel: Bool {
        let filtered = pipeline.stages.contains { stage in
            (stage as? LabelFilterStage)?.filter.names.contains(LineLevel.label) ?? false
        }
        return filtered || neededLabels?.contains(LineLevel.label) ?? false
    }

    /// Every stage.
    var processing: [any LineProcessing] { pipeline.stages.compactMap { $0 as? any LineProcessing } }

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
