package import Telemetry

/// Counting lines by the templates they are stored as.
extension LogDatabase: LogPatternSource {
    package func patterns(
        _ request: LogRequest, bucketNanoseconds: Int64, in context: QueryContext
    ) throws -> [LogPatternCounts]? {
        guard request.fragment.parser == nil, request.fragment.fieldPredicates.isEmpty else {
            throw LogPatternError.unsupported("a parser")
        }
        let search = BlockSearch(try LineFilter(request.fragment.linePredicates), request.fragment)
        let catalog = try catalog(request, context)
        guard
            var counter = PatternCounter(
                range: request.range, bucketNanoseconds: max(1, bucketNanoseconds), search: search, blocks: blocks,
                context: context)
        else { throw LogPatternError.tooManyBuckets }
        let isCounted = try walk(catalog, context) { try counter.add($0, within: catalog.range) }
        return isCounted ? counter.counts : nil
    }
}
