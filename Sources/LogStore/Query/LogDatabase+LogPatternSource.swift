package import Telemetry

/// Counting lines by the templates they are stored as.
extension LogDatabase: LogPatternSource {
    package func patterns(
        _ request: LogRequest, bucketNanoseconds: Int64, in context: QueryContext
    ) throws -> [LogPatternCounts] {
        guard request.fragment.parser == nil, request.fragment.fieldPredicates.isEmpty else {
            throw LogPatternError.unsupported("a parser")
        }
        let search = BlockSearch(try LineFilter(request.fragment.linePredicates))
        let catalog = try catalog(request, context)
        guard
            var counter = PatternCounter(
                range: request.range, bucketNanoseconds: max(1, bucketNanoseconds), context: context)
        else { throw LogPatternError.tooManyBuckets }
        let labels = catalog.labels
        let skipped = try catalog.forEachRun { run, _ in
            try context.check()
            do {
                try counter.add(
                    run, labels: labels[run.stream] ?? .empty, within: catalog.range, search: search, blocks: blocks)
            } catch let error as QueryInterruption {
                throw error
            } catch {
                noteDamage(error, run, labels[run.stream], context)
            }
        }
        try context.count { $0.blocksSkipped += skipped }
        return counter.counts
    }
}
