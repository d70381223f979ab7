internal import Disk
internal import Synchronization
package import Telemetry

/// What an operator may ask: seal, snapshot, delete, retention, health, figures.
extension MetricDatabase: StorageAdministration {
    package func seal() throws {
        try checkReadable()
        try maintenance.withLock { _ in try sealEverything() }
    }

    /// Seals, then links or copies every block; marks of deliveries are not part of a snapshot, what is sent again to a
    /// restored one changes nothing.
    package func snapshot(to path: String) throws {
        try checkReadable()
        try maintenance.withLock { _ in
            try sealEverything()
            try blocks.snapshot(to: path)
            if exemplars.count > 0 { try exemplars.write(to: StoragePath.join(path, "exemplars")) }
        }
    }

    package func delete(matching matchers: [LabelMatcher], range: TimeRange) throws -> Int {
        try checkReadable()
        guard !matchers.isEmpty else {
            throw MetricDatabaseError("nothing was deleted: at least one matcher must say what to delete")
        }
        return try maintenance.withLock { _ in
            // With everything in blocks, what comes later is told from what is deleted by the block it is in.
            try sealEverything()
            var touched: Set<Labels> = []
            for block in blocks.view.blocks where block.times.overlaps(range) {
                let index = try block.reader.index()
                try index.select(matchers).forEach { touched.insert(try index.labels(of: $0)) }
            }
            try exemplars.remove { labels, exemplar in
                range.contains(exemplar.milliseconds) && matchers.allSatisfy { $0.matches(labels) }
            }
            guard !touched.isEmpty else { return 0 }
            try blocks.addTombstone(matchers, range)
            try head.forgetLastSamples(matching: matchers, range: range)
            return touched.count
        }
    }

    /// Writes every block that has something deleted in it anew, without it.
    package func removeDeleted() throws {
        try checkOpen()
        try maintenance.withLock { _ in
            try sealEverything()
            try rewriteDeleted()
        }
    }

    package func enforceRetention(retentionMilliseconds: Int64, nowMilliseconds: Int64) throws -> Int {
        try checkOpen()
        self.retentionMilliseconds.store(retentionMilliseconds, ordering: .relaxed)
        guard retentionMilliseconds > 0 else { return 0 }
        let cutoff = nowMilliseconds - retentionMilliseconds
        let firstPosition = log.status.firstPosition
        return try maintenance.withLock { _ in
            // While the log still has rows of a block, the block is what tells that they are not to be read back.
            let spent = blocks.view.blocks.filter { block in
                block.times.endMilliseconds < cutoff && block.reader.footer.sealedThrough < firstPosition
            }
            try blocks.forgetMissing(before: cutoff)
            guard !spent.isEmpty else { return 0 }
            counters.blocksDropped.add(spent.count, ordering: .relaxed)
            return Int(clamping: try blocks.drop(spent))
        }
    }

    package func cardinality(limit: Int) -> CardinalityReport {
        let values = head.index.withLock(\.labelValues)
        var metrics = LargestEntries(limit)
        var names = LargestEntries(limit)
        var pairs = LargestEntries(limit)
        var bytes = LargestEntries(limit)
        var pairCount = 0
        for (name, values) in values {
            names.add(values.count) { name }
            pairCount += values.count
            var held = 0
            for (value, postings) in values {
                let count = postings.count
                held += value.utf8.count * count
                pairs.add(count) { "\(name)=\(value)" }
                if name == Labels.metricNameLabel { metrics.add(count) { value } }
            }
            bytes.add(held) { name }
        }
        var report = CardinalityReport(
            total: head.index.withLock(\.series.count), byMetricName: metrics.entries, byLabelName: names.entries,
            byLabelPair: pairs.entries, headRange: head.times)
        report.bytesByLabelName = bytes.entries
        report.labelPairCount = pairCount
        report.chunkCount = head.columnCount
        report.overLimit = Array(counters.overLimitEntries.prefix(max(0, limit)))
        return report
    }

    package var ingestHealth: StorageHealth {
        if isClosed.load(ordering: .acquiring) { return .failed("the metric database in \(blocks.folder) is closed") }
        if let failure = start.failure { return .failed(failure) }
        let status = log.status
        if let poison = status.poison {
            return .failed(
                "the log of metrics refuses since \(poison); what was acknowledged is kept and can be read, check the "
                    + "device, then start again")
        }
        if status.isOutOfSpace || status.bytesOnDisk > logLimit.load(ordering: .relaxed) {
            return .refusing(fullDisk)
        }
        let failure = maintenance.withLockIfAvailable { $0.lastFailure } ?? nil
        if head.rowBytes.load(ordering: .relaxed) + start.rowBytes > 2 * options.headBytes {
            return .refusing("samples wait for the disk; blocks cannot be written: \(failure ?? "the disk is slow")")
        }
        return .ready
    }

    package var queryHealth: StorageHealth {
        if isClosed.load(ordering: .acquiring) { return .failed("the metric database in \(blocks.folder) is closed") }
        if let failure = start.failure { return .failed(failure) }
        return startingReason.map { .starting($0) } ?? .ready
    }

    package var quarantine: [Quarantined] {
        let view = blocks.view
        let damaged = view.blocks.compactMap { block in
            block.damage.withLock { damage in
                damage.map {
                    Quarantined(
                        path: block.reader.path,
                        reason: "\($0.description); the rest of the block is read, restore it from a copy")
                }
            }
        }
        return view.quarantined + blocks.missing + damaged + report.withLock(\.damage)
    }

    package var metrics: [StoreMetric] {
        let view = blocks.view
        let status = log.status
        func gauge(_ name: String, _ value: some BinaryInteger, _ help: String) -> StoreMetric {
            StoreMetric("vedette_tsdb_\(name)", .gauge, Double(value), help: help)
        }
        return counters.metrics + [
            StoreMetric(
                "vedette_tsdb_log_syncs_total", .counter, Double(status.syncs), help: "Syncs of the log of metrics."),
            StoreMetric(
                "vedette_tsdb_log_bytes_written_total", .counter, Double(status.bytes),
                help: "Bytes of records written to the log of metrics."),
            gauge("starting", start.isOpen.load(ordering: .relaxed) ? 0 : 1, "1 while the log is read back."),
            gauge("head_series", head.index.withLock(\.series.count), "Series in the head."),
            gauge("head_bytes", head.memoryBytes, "Memory held by the head."),
            gauge("log_bytes", status.bytesOnDisk, "Size of the log of metrics on disk."),
            gauge("log_queue_bytes", log.queuedBytes, "Bytes that wait for the log's thread."),
            gauge("blocks", view.blocks.count, "Blocks in use."),
            gauge("block_bytes", view.blocks.reduce(0) { $0 + $1.reader.byteCount }, "Size of the blocks on disk."),
            gauge(
                "block_samples", view.blocks.reduce(0) { $0 + $1.reader.footer.sampleCount }, "Samples in the blocks."),
            gauge("tombstones", view.tombstones.count, "Deletions that blocks have not taken in yet."),
            gauge("quarantined", quarantine.count, "Damaged files."),
            gauge("exemplars", exemplars.count, "Exemplars in memory."),
            gauge("cache_bytes", cacheBytes, "Memory held by caches of blocks."),
        ]
    }

    private var cacheBytes: Int {
        blocks.cache.memoryBytes + blocks.selections.memoryBytes
            + blocks.view.blocks.reduce(0) { $0 + $1.reader.indexBytes }
    }

    package var memoryBytes: Int { head.memoryBytes + start.memoryBytes + cacheBytes + exemplars.memoryBytes }

    package func releaseMemory(bytes: Int) -> Int {
        let selections = blocks.selections.release(bytes: bytes)
        let pages = selections + blocks.cache.release(bytes: max(0, bytes - selections))
        guard pages < bytes else { return pages }
        let indexes = blocks.view.blocks.reduce(0) { $0 + $1.reader.indexBytes }
        return pages + blocks.trimIndexes(to: max(0, indexes - (bytes - pages)))
    }

    package func close() throws {
        guard !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        // What it is about to answer still goes through the log.
        reading.withLock { ended in
            ended?.wait()
            ended = nil
        }
        let thread = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        thread?.stop()
        let lookups = lookups.withLock { lookups in
            defer { lookups = nil }
            return lookups
        }
        lookups?.close()
        log.closeBlocking()
    }
}

/// The largest of many counted things, found without making a name for each of the others.
private struct LargestEntries {
    private let limit: Int
    private var kept: [CardinalityEntry] = []
    /// What does not reach this is not among the largest.
    private var smallest = 0

    init(_ limit: Int) {
        self.limit = max(0, limit)
    }

    /// The largest, falling.
    var entries: [CardinalityEntry] { Array(Self.sorted(kept).prefix(limit)) }

    /// Looks at one of them; `name` is asked for only where it may be among the largest.
    mutating func add(_ count: Int, _ name: () -> String) {
        guard count >= smallest else { return }
        kept.append(CardinalityEntry(name: name(), count: count))
        guard kept.count >= 4 * limit + 64 else { return }
        kept = Array(Self.sorted(kept).prefix(limit))
        smallest = kept.last?.count ?? .max
    }

    private static func sorted(_ entries: [CardinalityEntry]) -> [CardinalityEntry] {
        entries.sorted { ($1.count, $0.name) < ($0.count, $1.name) }
    }
}

extension Head {
    /// The chunks in memory: one for each series and table that has a sample of it.
    var columnCount: Int {
        let groups = index.withLock { Array($0.groups.values) }
        return groups.reduce(0) { total, group in
            group.state.withLock { state in
                state.tables.reduce(total) { sum, table in
                    sum
                        + table.rows.withLock { rows in
                            rows.columns.reduce(rows.histogramColumns.count) { $0 + ($1.count > 0 ? 1 : 0) }
                        }
                }
            }
        }
    }

    /// Forgets the newest sample of series when it was deleted, so that the same one may come again.
    func forgetLastSamples(matching matchers: [LabelMatcher], range: TimeRange) throws {
        try visible.withLock { _ in
            try index.withLock { index in
                try index.select(matchers).forEach { number in
                    let series = index.series[Int(number)]
                    series.group.state.withLock { $0.forgetNewest(of: series.column, within: range) }
                }
            }
        }
    }

    /// From the first to the last sample in memory; nil when there is none.
    var times: TimeRange? {
        let groups = index.withLock { Array($0.groups.values) }
        let ranges = groups.flatMap { $0.snapshots().map(\.times) }
        guard let start = ranges.map(\.startMilliseconds).min(), let end = ranges.map(\.endMilliseconds).max() else {
            return nil
        }
        return TimeRange(startMilliseconds: start, endMilliseconds: end)
    }
}
