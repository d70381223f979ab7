internal import Telemetry

/// Which labels a metric query looks at, so that parsers need not make the others.
struct LabelDemand {
    /// Nil for all.
    private(set) var names: Set<String>?
    /// Whether the query asks for failed lines, so that they do not fail it.
    let keepsFailedLines: Bool

    /// The demand of a range aggregation, `outer` being the grouping of a sum around it that has none of its own.
    init(_ node: LogRangeAggregation, outer: LogGrouping?) {
        let filters =
            node.pipeline.stages.compactMap { ($0 as? LabelFilterStage)?.filter } + (node.unwrap?.filters ?? [])
        let filtered = filters.flatMap(\.names)
        keepsFailedLines =
            filtered.contains(LineLabels.errorName)
            || outer.map { !$0.isWithout && $0.labels.contains(LineLabels.errorName) } ?? false
        guard let grouping = node.grouping ?? outer, !grouping.isWithout else { return }
        // Formatting stages may read and write anything.
        guard node.pipeline.stages.allSatisfy(LabelDemand.isKnown) else { return }
        names = Set(grouping.labels + filtered + [node.unwrap?.label].compactMap { $0 })
    }

    private static func isKnown(_ stage: any LogStage) -> Bool {
        switch stage {
        case is LineFilterStage, is LabelFilterStage, is JSONStage, is LogfmtStage, is PatternStage, is RegexpStage,
            is UnpackStage, is DecolorizeStage:
            true
        default: false
        }
    }

    /// The pipeline without parsers whose fields nobody looks at. A line that they could not read then counts as well:
    /// as in Loki, which line is well-formed matters only to who asks for its fields.
    func needed(of pipeline: LogPipeline) -> LogPipeline {
        guard names?.isEmpty == true else { return pipeline }
        var pipeline = pipeline
        pipeline.stages.removeAll {
            $0 is JSONStage || $0 is LogfmtStage || $0 is PatternStage || $0 is RegexpStage
        }
        return pipeline
    }
}
