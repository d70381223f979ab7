internal import Disk
internal import Synchronization
package import Telemetry

/// What an operator may ask: seal, snapshot, delete, retention, health, figures.
extension MetricDatabase: StorageAdministration {
    package func seal() throws {
        try checkOpen()
        try maintenance.withLock { _ in try sealEverything() }
    }

    /// Seals, then links or copies every block; marks of deliveries are not part of a snapshot, what is sent again to a
    /// restored one changes nothing.
    package func snapshot(to path: String) throws {
        try checkOpen()
        try maintenance.withLock { _ in
            try sealEverything()
            try blocks.snapshot(to: path)
        }
    }

    package func delete(matching matchers: [LabelMatcher], range: TimeRange) throws -> Int {
        try checkOpen()
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
            guard !touched.isEmpty else { return 0 }
            try blocks.addTombstone(matchers, range)
            try head.forgetLastSamples(matching: matchers, range: range)
            return touched.count
        }
    }

    package func enforceRetention(retentionMilliseconds: Int64, nowMilliseconds: Int64) throws -> Int {
        try checkOpen()
        guard retentionMilliseconds > 0 else { return 0 }
        let cutoff = nowMilliseconds - retentionMilliseconds
        let firstPosition = log.status.firstPosition
        return try maintenance.withLock { _ in
            // While the log still has rows of a block, the block is what tells that they are not to be read back.
            let spent = blocks.view.blocks.filter { block in
                block.times.endMilliseconds < cutoff && block.reader.footer.sealedThrough < firstPosition
            }
            guard !spent.isEmpty else { return 0 }
            counters.blocksDropped.add(spent.count, ordering: .relaxed)
            return Int(clamping: try blocks.drop(spent))
        }
    }

    package func cardinality(limit: Int) -> CardinalityReport {
        let (total, byName, byLabel, byPair) = head.index.withLock { index in
            var names: [CardinalityEntry] = []
            var pairs: [CardinalityEntry] = []
            var labels: [CardinalityEntry] = []
            for (name, values) in index.labelValues {
                labels.append(CardinalityEntry(name: name, count: values.count))
                for (value, postings) in values {
                    pairs.append(CardinalityEntry(name: "\(name)=\(value)", count: postings.count))
                    if name == Labels.metricNameLabel {
                        names.append(CardinalityEntry(name: value, count: postings.count))
                    }
                }
            }
            return (index.series.count, names, labels, pairs)
        }
        func top(_ entries: [CardinalityEntry]) -> [CardinalityEntry] {
            Array(entries.sorted { ($1.count, $0.name) < ($0.count, $1.name) }.prefix(max(0, limit)))
        }
        return CardinalityReport(
            total: total, byMetricName: top(byName), byLabelName: top(byLabel), byLabelPair: top(byPair),
            headRange: head.times)
    }

    package var ingestHealth: StorageHealth {
        if isClosed.load(ordering: .acquiring) { return .failed("the metric database in \(blocks.folder) is closed") }
        let status = log.status
        if let poison = status.poison {
            return .failed(
                "the log of metrics refuses since \(poison); what was acknowledged is kept and can be read, check the "
                    + "device, then start again")
        }
        if status.isOutOfSpace {
            return .refusing("the disk with \(blocks.folder) is full; samples are taken again once there is room")
        }
        let failure = maintenance.withLockIfAvailable { $0.lastFailure } ?? nil
        if head.rowBytes.load(ordering: .relaxed) > 2 * options.headBytes {
            return .refusing("samples wait for the disk; blocks cannot be written: \(failure ?? "the disk is slow")")
        }
        return .ready
    }

    package var queryHealth: StorageHealth {
        isClosed.load(ordering: .acquiring) ? .failed("the metric database in \(blocks.folder) is closed") : .ready
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
        return view.quarantined + damaged + logDamage
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
            gauge("cache_bytes", cacheBytes, "Memory held by caches of blocks."),
        ]
    }

    private var cacheBytes: Int {
        blocks.cache.memoryBytes + blocks.view.blocks.reduce(0) { $0 + $1.reader.indexBytes }
    }

    package var memoryBytes: Int { head.memoryBytes + cacheBytes }

    package func releaseMemory(bytes: Int) -> Int {
        let pages = blocks.cache.release(bytes: bytes)
        guard pages < bytes else { return pages }
        let indexes = blocks.view.blocks.reduce(0) { $0 + $1.reader.indexBytes }
        return pages + blocks.trimIndexes(to: max(0, indexes - (bytes - pages)))
    }

    package func close() throws {
        guard !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        let thread = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        thread?.stop()
        log.closeBlocking()
    }
}

extension Head {
    /// Forgets the newest sample of series when it was deleted, so that the same one may come again.
    func forgetLastSamples(matching matchers: [LabelMatcher], range: TimeRange) throws {
        try visible.withLock { _ in
            try index.withLock { index in
                try index.select(matchers).forEach { number in
                    let series = index.series[Int(number)]
                    series.group.state.withLock { state in
                        if range.contains(state.columns[series.column].lastMilliseconds) {
                            state.columns[series.column].lastMilliseconds = .min
                        }
                        if let last = state.lastHistogramMilliseconds[series.column], range.contains(last) {
                            state.lastHistogramMilliseconds[series.column] = nil
                        }
                    }
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
