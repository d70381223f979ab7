internal import Disk
internal import Synchronization
package import Telemetry

/// What an operator may ask of the store besides lines.
extension LogDatabase: StorageAdministration {
    package func seal() throws {
        try checkOpen()
        try sealing.withLock { _ in try sealHead() }
    }

    package func snapshot(to path: String) throws {
        try checkOpen()
        try sealing.withLock { _ in
            try sealHead()
            try SnapshotWriter(storage: storage, folder: path).write(
                state.withLock { $0.parts }, deletions: state.withLock { $0.deletions })
        }
    }

    package func delete(matching matchers: [LabelMatcher], range: TimeRange) throws -> Int {
        try checkOpen()
        return try sealing.withLock { _ in
            // What is deleted must lie in parts, because deletions name a log position and not single lines.
            try sealHead()
            let wanted = LogTimeRange(startNanoseconds: range.startNanoseconds, endNanoseconds: range.endNanoseconds)
            let (list, touched) = state.withLock { state in
                let selected = state.streams.select(matchers)
                let catalog = state.catalog(
                    selected, of: state.streams, range: wanted, deletions: state.deletions, withHead: false)
                var touched = Set<Int>()
                _ = catalog.forEachRun { run, _ in touched.insert(run.stream) }
                let deletion = Deletion(matchers: matchers, range: wanted, position: state.sealedPosition)
                return (state.deletions + [deletion], touched.count)
            }
            guard touched > 0 else { return 0 }
            try writeDeletions(list)
            state.withLock { state in
                for index in state.parts.indices { state.parts[index].isPurged = false }
            }
            return touched
        }
    }

    package func enforceRetention(retentionMilliseconds: Int64, nowMilliseconds: Int64) throws -> Int {
        try checkOpen()
        guard retentionMilliseconds > 0 else {
            state.withLock { $0.oldestNanoseconds = .min }
            return 0
        }
        let (milliseconds, overflows) = nowMilliseconds.subtractingReportingOverflow(retentionMilliseconds)
        let (oldest, isTooOld) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
        guard !overflows, !isTooOld else { return 0 }
        return try sealing.withLock { _ in
            let expired = state.withLock { state in
                state.oldestNanoseconds = oldest
                return state.parts.filter { part in
                    // The newest part is the one that knows the deliveries. Without lines it is small, and stays.
                    let isMemory = part.name == state.parts.last?.name && part.reader.footer.blocks.isEmpty
                    return part.reader.span.upperBound < oldest && !isMemory
                }
            }
            let freed = try expire(expired)
            try forgetExpired(oldest)
            return freed
        }
    }

    /// Removes parts for good; returns how many bytes that gave back. Called with `sealing` held.
    func expire(_ expired: [OpenPart]) throws -> Int {
        // The newest part stays while the log may still repeat what it covers.
        if expired.contains(where: { $0.name.lastPosition >= log.status.firstPosition.ordinal }) { try cutLog() }
        var freed = 0
        for part in expired {
            try keepDeliveries(of: part)
            try parts.remove(part)
            freed += Int(clamping: part.reader.fileBytes)
            state.withLock { state in
                state.parts.removeAll { $0.name == part.name }
                state.counters.expiredParts += 1
            }
        }
        return freed
    }

    /// Writes a part without lines in the place of the newest one, so that what was delivered stays known.
    private func keepDeliveries(of part: OpenPart) throws {
        guard let newest = state.withLock({ $0.parts.last }), newest.name == part.name else { return }
        var footer = PartFooter()
        footer.firstPosition = part.name.firstPosition
        footer.lastPosition = part.name.lastPosition
        footer.createdNanoseconds = wallClock.nowNanoseconds
        footer.deliveries = part.reader.footer.deliveries
        let (reader, name) = try parts.write(PartWriter(footer, blocks: []))
        state.withLock { $0.add(reader, name: name) }
    }

    /// Forgets what only expired lines needed.
    private func forgetExpired(_ oldest: Int64) throws {
        let remaining = state.withLock { state -> [Deletion]? in
            state.deduplication.forgetOrigins(olderThan: oldest)
            state.losses.forget(olderThan: oldest)
            state.forgetEmptyStreams()
            let needed = state.deletions.filter { deletion in
                deletion.range.endNanoseconds > oldest
                    && state.parts.contains {
                        $0.name.firstPosition <= deletion.position
                            && deletion.range.overlaps(
                                first: $0.reader.span.lowerBound, last: $0.reader.span.upperBound)
                    }
            }
            return needed.count == state.deletions.count ? nil : needed
        }
        if let remaining { try writeDeletions(remaining) }
    }

    /// Makes a list of deletions durable, then lets queries see it. Called with `sealing` held.
    func writeDeletions(_ list: [Deletion]) throws {
        let bytes = Deletion.encode(list)
        guard bytes.count <= Deletion.listBytesMaximum else {
            throw StorageError(
                .other, operation: "delete", path: folder,
                detail: "\(list.count) deletions are more than one file holds")
        }
        try AtomicFile.write(bytes, to: StoragePath.join(folder, LogRecoverer.deletionsFile), in: storage)
        state.withLock { $0.deletions = list }
    }

    package func cardinality(limit: Int) -> CardinalityReport {
        let (index, span) = state.withLock { state in (state.streams, state.headSpan) }
        let (names, pairs) = index.cardinality(limit: limit)
        return CardinalityReport(
            total: index.count, byMetricName: [], byLabelName: names, byLabelPair: pairs,
            headRange: span.map {
                TimeRange(
                    startMilliseconds: $0.lowerBound / 1_000_000, endMilliseconds: $0.upperBound / 1_000_000)
            })
    }

    package var ingestHealth: StorageHealth {
        let status = log.status
        if let poison = status.poison {
            return .failed(
                "\(poison): lines are refused because it is unknown what the device kept; everything acknowledged is "
                    + "kept and can be read; check the device, then restart")
        }
        let (isClosed, sealFailure, held) = state.withLock {
            ($0.isClosed, $0.sealFailure, $0.headBytes + $0.reservedBytes)
        }
        if isClosed { return .refusing("the log store is closed") }
        if status.isOutOfSpace {
            return .refusing("the disk that holds \(folder) is full: lines are refused until there is room again")
        }
        if let sealFailure, held >= options.headBytesMaximum {
            return .refusing("memory is full because no part can be written: \(sealFailure)")
        }
        return .ready
    }

    package var queryHealth: StorageHealth {
        state.withLock { $0.isClosed } ? .refusing("the log store is closed") : .ready
    }

    package var quarantine: [Quarantined] { state.withLock { $0.quarantine } }

    package var memoryBytes: Int {
        let held = state.withLock { state in
            state.headBytes + state.reservedBytes + state.deduplication.memoryBytes + state.recentLines.count * 80
                + state.streams.count * 1024
                + state.parts.reduce(0) { $0 + $1.reader.memoryBytes }
        }
        return held + hub.bytes + log.queuedBytes + blocks.bytes
    }

    package func releaseMemory(bytes: Int) -> Int {
        guard bytes > 0 else { return 0 }
        // What queries have opened can be opened again; lines can be given back by writing them to a part.
        let cached = blocks.removeAll()
        let before = state.withLock { $0.headBytes }
        if before == 0 { return cached }
        try? sealing.withLock { _ in try sealHead() }
        return cached + max(0, before - state.withLock { $0.headBytes })
    }

    /// Throws once the store is closed.
    func checkOpen() throws {
        if state.withLock({ $0.isClosed }) {
            throw StorageError(.other, operation: "use", path: folder, detail: "the log store is closed")
        }
    }
}

extension TimeRange {
    /// The first nanosecond.
    fileprivate var startNanoseconds: Int64 {
        let (value, overflows) = startMilliseconds.multipliedReportingOverflow(by: 1_000_000)
        return overflows ? (startMilliseconds < 0 ? .min : .max) : value
    }

    /// The first nanosecond behind the last millisecond.
    fileprivate var endNanoseconds: Int64 {
        let (next, isLast) = endMilliseconds.addingReportingOverflow(1)
        let (value, overflows) = next.multipliedReportingOverflow(by: 1_000_000)
        return isLast || overflows ? (endMilliseconds < 0 ? .min : .max) : value
    }
}

extension StoreState {
    /// The first and last nanosecond in memory.
    fileprivate var headSpan: ClosedRange<Int64>? {
        var first = Int64.max
        var last = Int64.min
        for head in heads.values {
            for block in head.blocks {
                first = min(first, block.summary.firstNanoseconds)
                last = max(last, block.summary.lastNanoseconds)
            }
            for chunk in head.chunks {
                first = min(first, chunk.firstNanoseconds)
                last = max(last, chunk.lastNanoseconds)
            }
        }
        return first <= last ? first...last : nil
    }
}
