internal import Glibc
internal import Synchronization
package import Telemetry

/// How queries ask: series, labels and metadata from head and blocks as one.
extension MetricDatabase: SeriesSource {
    package func select(_ request: SeriesRequest, in context: QueryContext) throws -> [any SeriesCursor] {
        let selection = try selection(request, in: context)
        try context.count { $0.seriesSelected += selection.series.count }
        return selection.cursors
    }

    /// The labels of the series with a strip or a head table that reaches into the range.
    package func series(_ request: SeriesRequest, in context: QueryContext) throws -> [Labels] {
        try selection(request, in: context).series.map(\.labels)
    }

    package func labelNames(_ request: SeriesRequest, in context: QueryContext) throws -> [String] {
        var names: Set<String> = []
        // The limit is one of names.
        var unlimited = request
        unlimited.limit = 0
        for (index, series) in try selection(unlimited, in: context).series.enumerated() {
            if index % Selection.checkInterval == 0 { try context.check() }
            series.labels.forEachPair { name, _ in names.insert(String(decoding: name, as: UTF8.self)) }
        }
        return cut(names, to: request.limit, in: context)
    }

    package func labelValues(
        _ name: String, _ request: SeriesRequest, in context: QueryContext
    ) throws -> [String] {
        try checkReadable()
        var values: Set<String> = []
        try context.check()
        let found = try FoundInHead(request, head, blocks.selections)
        for (index, series) in found.series.enumerated() {
            if index % Selection.checkInterval == 0 { try context.check() }
            guard let value = series.labels[name], !values.contains(value), found.holds(series)
            else { continue }
            values.insert(value)
        }
        var sorted = values.sorted { $0.hasLowerBytes(than: $1) }
        try blocks.view.forEachBlock(of: blocks, in: request.range, context) { block, tombstones in
            let others = try FoundInBlock(request, block, tombstones, blocks.selections).values(of: name)
            sorted = sorted.joined(others)
        }
        tellGaps(of: request, in: context)
        return cut(sorted, to: request.limit, in: context)
    }

    package func metadata(
        metricName: String?, limit: Int, in context: QueryContext
    ) throws -> [MetricMetadata] {
        try checkReadable()
        let all = head.metadata.withLock { metadata in
            metricName.map { name in metadata[name].map { [$0] } ?? [] } ?? Array(metadata.values)
        }
        let sorted = all.sorted { $0.metricName.utf8.lexicographicallyPrecedes($1.metricName.utf8) }
        return limit > 0 ? Array(sorted.prefix(limit)) : sorted
    }

    private func selection(_ request: SeriesRequest, in context: QueryContext) throws -> Selection {
        try checkReadable()
        let selection = try Selection(
            request, head: head, blocks: blocks, cache: blocks.selections, in: context)
        tellGaps(of: request, in: context)
        return selection
    }

    private func tellGaps(of request: SeriesRequest, in context: QueryContext) {
        for gap in logGaps where gap.times.overlaps(request.range) { gap.tell(in: context) }
        _ = blocks.trimIndexes(to: options.indexCacheBytes)
    }

    private func cut(_ strings: Set<String>, to limit: Int, in context: QueryContext) -> [String] {
        cut(strings.sorted { $0.hasLowerBytes(than: $1) }, to: limit, in: context)
    }

    private func cut(_ sorted: [String], to limit: Int, in context: QueryContext) -> [String] {
        guard limit > 0, sorted.count > limit else { return sorted }
        context.warn("the answer was cut to \(limit) of \(sorted.count), as the request asked")
        return Array(sorted.prefix(limit))
    }
}

extension [String] {
    /// The strings of two arrays in the order of their bytes, each once, in that order.
    fileprivate func joined(_ others: [String]) -> [String] {
        if isEmpty { return others }
        var result: [String] = []
        result.reserveCapacity(Swift.max(count, others.count))
        var (a, b) = (0, 0)
        while a < count, b < others.count {
            if self[a] == others[b], self[a].utf8.elementsEqual(others[b].utf8) {
                result.append(self[a])
                (a, b) = (a + 1, b + 1)
            } else if self[a].hasLowerBytes(than: others[b]) {
                result.append(self[a])
                a += 1
            } else {
                result.append(others[b])
                b += 1
            }
        }
        result.append(contentsOf: self[a...])
        result.append(contentsOf: others[b...])
        return result
    }
}

extension String {
    /// The order of the UTF-8 bytes, which is that of Go.
    fileprivate func hasLowerBytes(than other: String) -> Bool {
        var (left, right) = (self, other)
        return left.withUTF8 { left in
            right.withUTF8 { right in
                guard let a = left.baseAddress, let b = right.baseAddress else { return left.count < right.count }
                let order = memcmp(a, b, min(left.count, right.count))
                return order == 0 ? left.count < right.count : order < 0
            }
        }
    }
}

/// Which figures of a chunk's header a function looks at.
struct AggregateNeed {
    let needsSum: Bool
    let needsIncrease: Bool

    /// Nil for a function that headers cannot answer.
    init?(function: String) {
        switch function {
        case "sum_over_time", "avg_over_time": (needsSum, needsIncrease) = (true, false)
        case "increase", "rate": (needsSum, needsIncrease) = (false, true)
        case "count_over_time", "min_over_time", "max_over_time", "last_over_time",
            "present_over_time", "resets":
            (needsSum, needsIncrease) = (false, false)
        default: return nil
        }
    }
}
