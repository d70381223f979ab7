internal import Telemetry

/// Counting that a store does by itself, from its indexes and without rebuilding lines.
extension LogEvaluator {
    /// More buckets than this cost more memory than the lines are likely to.
    private static let bucketsMaximum: Int64 = 50_000

    /// The values of a count, rate or size whose pipeline is nothing but filters of lines and levels; nil where the
    /// lines themselves must be looked at. `outer` is the grouping of a sum around it.
    func countedByStore(
        _ node: LogRangeAggregation, _ run: PipelineRun, _ windows: LogWindows, outer: LogGrouping?
    ) throws -> [SeriesColumn]? {
        let functions: [LogRangeFunction] = [.count, .rate, .bytes, .bytesRate]
        let pushed = run.pushedDown
        let buckets = windows.buckets
        guard functions.contains(node.function), node.unwrap == nil, pushed.isWhole,
            buckets.count <= LogEvaluator.bucketsMaximum
        else { return nil }
        let grouping = outer.flatMap { $0.isWithout ? nil : $0.labels }
        let isSize = node.function.isOfBytes
        var fragment = LogPlanFragment(linePredicates: pushed.predicates, grouping: grouping)
        fragment.severities = pushed.severities
        fragment.wantsSeverities = run.detectsLevel
        let request = LogRequest(
            matchers: node.pipeline.matchers, range: windows.range, fragment: fragment, countsBytes: isSize)
        let counts = try source.counts(request, bucketNanoseconds: buckets.widthNanoseconds, in: context)
        guard let counts else { return nil }
        let isRate = node.function == .rate || node.function == .bytesRate
        let divisor = isRate ? Double(node.windowNanoseconds) / 1e9 : 1
        var columns: [SeriesColumn] = []
        for group in counts {
            try context.check()
            let column = windows.column(group, countsBytes: isSize, divisor: divisor)
            if column.isEmpty { continue }
            try context.reserve(column.bytes)
            columns.append(column)
        }
        return columns.sorted { $0.labels < $1.labels }
    }
}
