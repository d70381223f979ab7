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
        let pushed = pushedDown
        let hints = fieldHints
        var fragment = LogPlanFragment(
            linePredicates: pushed.predicates, parser: hints?.parser, fieldPredicates: hints?.predicates ?? [])
        fragment.severities = pushed.severities
        fragment.wantsSeverities = detectsLevel
        let request = LogRequest(
            matchers: pipeline.matchers, range: range, fragment: fragment, direction: direction,
            limit: pushed.isWhole ? limit : 0)
        let selection = try source.select(request, in: context)
        let stages = selection.applied.contains(.linePredicates) ? pushed.rest : processing
        return (selection.cursor, processor(stages))
    }

    /// What takes lines through `stages`.
    func processor(_ stages: [any LineProcessing]) -> LineProcessor {
        LineProcessor(
            stages: stages, neededLabels: neededLabels, detectsLevel: detectsLevel, nowMilliseconds: nowMilliseconds)
    }

    /// Whether anything in the query looks at the level that lines tell of themselves.
    var detectsLevel: Bool {
        let filtered = pipeline.stages.contains { stage in
            (stage as? LabelFilterStage)?.filter.names.contains(LineLevel.label) ?? false
        }
        return filtered || neededLabels?.contains(LineLevel.label) ?? false
    }

    /// Every stage.
    var processing: [any LineProcessing] { pipeline.stages.compactMap { $0 as? any LineProcessing } }

    /// What of a pipeline a store can do.
    struct PushedDown {
        var predicates: [LinePredicate] = []
        /// The severities that a line may have; nil for any.
        var severities: SeveritySet?
        /// What is left to be done.
        var rest: [any LineProcessing] = []
        /// Whether that is nothing for lines whose severities the store knows.
        var isWhole = true
    }

    /// Line filters that stand before everything that changes the text are the store's; it does not matter to them
    /// which parsers and label filters stand between. So are filters of the level before everything that may change
    /// it; they are made again on the lines that come, because some came with a level of their own.
    var pushedDown: PushedDown {
        var pushed = PushedDown()
        var isTextKnown = true
        var isLevelKnown = true
        for stage in processing {
            if isTextKnown, let filter = stage as? LineFilterStage, let known = filter.predicates {
                pushed.predicates += known
                continue
            }
            pushed.rest.append(stage)
            isTextKnown = isTextKnown && !stage.changesText
            if isLevelKnown, let filter = (stage as? LabelFilterStage)?.filter, let set = filter.severities {
                pushed.severities = pushed.severities?.intersection(set) ?? set
                if !filter.names.allSatisfy({ $0 == LineLevel.label }) { pushed.isWhole = false }
            } else {
                pushed.isWhole = false
                isLevelKnown = isLevelKnown && stage.keepsLevel
            }
        }
        return pushed
    }
}
