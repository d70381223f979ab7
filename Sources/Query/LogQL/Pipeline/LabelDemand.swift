internal import Telemetry

/// What a metric query looks at, so that stages need not make what nobody sees.
struct LabelDemand {
    /// The labels; nil for all.
    private(set) var names: Set<String>?
    /// Whether the query asks for failed lines by grouping, so that they do not fail it.
    private(set) var keepsFailedLines = false
    /// The pipeline without stages whose work nobody looks at. A line that they could not read then counts as well: as
    /// in Loki, which line is well-formed matters only to who asks for its fields, and what a template makes of a line
    /// only to who reads it.
    private(set) var pipeline: LogPipeline

    /// The demand of a range aggregation, `outer` being the grouping of a sum around it that has none of its own.
    init(_ node: LogRangeAggregation, outer: LogGrouping?) {
        pipeline = LabelDemand.withoutIdleTemplates(node)
        // Absence has the labels of the selector, whatever the lines have.
        let absence = LogGrouping(labels: [], isWithout: false)
        guard let grouping = node.function == .absent ? absence : node.grouping ?? outer, !grouping.isWithout else {
            return
        }
        let filters =
            pipeline.stages.compactMap { ($0 as? LabelFilterStage)?.filter } + (node.unwrap?.filters ?? [])
        let filtered = filters.flatMap(\.names)
        keepsFailedLines = (grouping.labels + filtered).contains(LineLabels.errorName)
        // Formatting stages may read and write anything.
        guard pipeline.stages.allSatisfy(LabelDemand.isKnown) else { return }
        let names = Set(grouping.labels + filtered + [node.unwrap?.label].compactMap { $0 })
        self.names = names
        guard names.isEmpty else { return }
        // What was unpacked may be measured, or looked at by a filter.
        let lastReader = node.function.isOfBytes ? .max : pipeline.stages.lastIndex { $0 is LineFilterStage } ?? 0
        let idle = pipeline.stages.indices.filter {
            Self.isParser(pipeline.stages[$0]) && !(pipeline.stages[$0] is UnpackStage && $0 < lastReader)
        }
        for index in idle.reversed() { pipeline.stages.remove(at: index) }
    }

    /// A template matters where lines are measured, and where a later stage reads them.
    private static func withoutIdleTemplates(_ node: LogRangeAggregation) -> LogPipeline {
        var pipeline = node.pipeline
        if node.function.isOfBytes { return pipeline }
        let lastReader = pipeline.stages.lastIndex { $0 is LineFilterStage || isParser($0) } ?? 0
        let idle = pipeline.stages.indices.filter { $0 >= lastReader && pipeline.stages[$0] is LineFormatStage }
        for index in idle.reversed() { pipeline.stages.remove(at: index) }
        return pipeline
    }

    private static func isParser(_ stage: any LogStage) -> Bool {
        stage is JSONStage || stage is LogfmtStage || stage is PatternStage || stage is RegexpStage
            || stage is UnpackStage
    }

    private static func isKnown(_ stage: any LogStage) -> Bool {
        stage is LineFilterStage || stage is LabelFilterStage || stage is DecolorizeStage || isParser(stage)
    }
}
