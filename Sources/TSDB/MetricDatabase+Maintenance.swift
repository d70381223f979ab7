internal import Disk
internal import Synchronization
internal import Telemetry

/// What goes on beside appends and queries: sealing, cutting the log, merging blocks.
extension MetricDatabase {
    /// Lets the maintenance look soon when a group is full or the head's share is used up.
    func wakeIfNeeded() {
        // While flushes fail, the thread keeps its own pace.
        guard needsFlush, !isFailing.load(ordering: .relaxed) else { return }
        thread.withLock { $0?.wake() }
    }

    private var needsFlush: Bool {
        head.rowsOfFullest.load(ordering: .relaxed) >= options.rowsOfFullGroup
            || head.rowBytes.load(ordering: .relaxed) > options.headBytes || isLogLarge(log.status)
    }

    /// Renews what the log may take: half of what it, the free space and the reserve are together. The other half is
    /// for the block that its rows go to, without which it could not be cut: a log that has filled a small disk would
    /// fill it for ever.
    func renewLogLimit() {
        guard let space = try? storage.space(at: blocks.folder) else { return }
        let reserved = reserve.isHeld ? reserve.bytes : 0
        let all = min(space.availableBytes, .max / 4) + log.status.bytesOnDisk + reserved
        logLimit.store(all / 2, ordering: .relaxed)
    }

    /// Whether the log is so large that its rows go to blocks.
    private func isLogLarge(_ status: GroupCommitLog.Status) -> Bool {
        // What is in the last segment cannot be cut off.
        let scarce = max(logLimit.load(ordering: .relaxed) / 2, 2 * logSegmentBytes)
        return status.bytesOnDisk > min(options.logBytes, scarce) || status.isOutOfSpace
    }

    /// In words.
    var fullDisk: String {
        "the disk with \(blocks.folder) is full; samples are taken again once there is room"
    }

    /// One round of housekeeping: seals what is due, merges blocks, refills the reserve. Failures are counted, shown by
    /// `ingestHealth` and `metrics`, and tried again, ever more seldom up to once a minute.
    package func maintain() {
        if isClosed.load(ordering: .acquiring) || !start.isOpen.load(ordering: .acquiring) { return }
        renewLogLimit()
        maintenance.withLock { state in
            if state.roundsToSkip > 0 {
                state.roundsToSkip -= 1
                return
            }
            do {
                let isRetry = state.failuresInARow > 0
                if try flushDueGroups(isRetry: isRetry) { try cutLog(startingNewSegment: false) }
                try enforceSizeLimit()
                reserve.refill()
                renewLogLimit()
                try mergeBlocks(atMost: 1)
                state = MaintenanceState()
                isFailing.store(false, ordering: .relaxed)
            } catch {
                isFailing.store(true, ordering: .relaxed)
                state.failuresInARow += 1
                state.roundsToSkip = min(60, 1 << min(state.failuresInARow, 6))
                state.lastFailure = "\(error)"
            }
        }
    }

    private func flushDueGroups(isRetry: Bool) throws -> Bool {
        let isOverfull = head.rowBytes.load(ordering: .relaxed) > options.headBytes || isLogLarge(log.status)
        let isFull = head.rowsOfFullest.load(ordering: .relaxed) >= options.rowsOfFullGroup
        let oldest = wallClock.nowMilliseconds - options.headAgeMilliseconds
        let isAged = head.hasRows(appendedBefore: oldest)
        guard isOverfull || isFull || isAged || isRetry else { return false }
        let sealsAlong = options.rowsSealedAlong
        let isFlushed = try Self.flush(head, to: blocks, options: options, counters: counters) { rows in
            isOverfull || rows.chunkRowCount >= sealsAlong || rows.firstAppendMilliseconds < oldest
        }
        if isFlushed { head.forgetIdleSeries() }
        return isFlushed
    }

    /// Removes the segments of the log whose rows are all in blocks. With a new segment begun, nothing older stays once
    /// everything is sealed.
    private func cutLog(startingNewSegment: Bool) throws {
        do throws(StorageError) {
            try exemplars.save()
        } catch {
            counters.exemplarFailures.add(1, ordering: .relaxed)
        }
        let (head, exemplars) = (head, exemplars)
        try settlePreamble()
        try log.performBlocking { log in
            func firstNeeded() -> LogPosition {
                min(head.firstUnsealedPosition, exemplars.firstUnsavedPosition ?? log.endPosition)
            }
            try log.cut(before: firstNeeded())
            guard startingNewSegment, firstNeeded() >= log.endPosition, log.firstPosition < log.endPosition
            else { return }
            // The new segment must hold the marks before the old ones go.
            try log.rotate()
            let marks = head.marks.withLock { $0 }
            _ = try log.append(kind: HeadRecordKind.marks.rawValue, HeadRecordWriter.marks(marks))
            try log.sync()
            try log.cut(before: firstNeeded())
        }
    }

    /// A segment that was begun while the log was read back begins with what was known then. Before those in front of
    /// it go, a record behind it says the rest.
    private func settlePreamble() throws {
        guard start.owesPreamble else { return }
        let (head, start, reserve) = (head, start, reserve)
        try log.performBlocking { log in
            let records = head.preamble()
            if !records.isEmpty {
                do throws(StorageError) {
                    _ = try log.append(records)
                } catch  where error.kind == .noSpace {
                    // Cutting the log is what frees space.
                    guard reserve.release() else { throw error }
                    _ = try log.append(records)
                }
                try log.sync()
            }
            start.settlePreamble()
        }
    }

    /// Merges blocks while there are any to merge, at most so many times.
    private func mergeBlocks(atMost limit: Int) throws {
        for _ in 0..<limit {
            if isClosed.load(ordering: .acquiring) { return }
            guard let merge = BlockMerge.candidate(in: blocks.view, options: options), hasRoom(for: merge) else {
                return
            }
            do {
                let merged = try blocks.write(blocks.nextSequence, merging: merge.blocks) { try merge.write(to: &$0) }
                try blocks.add(merged, replacing: merge.blocks)
                try blocks.dropSpentTombstones()
                counters.merges.add(1, ordering: .relaxed)
            } catch let damage as BlockDamage {
                // The inputs stay as they are; the damaged one is not tried again while this process lives.
                merge.blocks.first { $0.reader.path == damage.path }?.note(damage)
                counters.mergeFailures.add(1, ordering: .relaxed)
            } catch {
                counters.mergeFailures.add(1, ordering: .relaxed)
                throw error
            }
        }
    }

    /// Writes blocks anew that tombstones take something out of; those of which nothing is left go as a whole.
    func rewriteDeleted() throws {
        let tombstones = blocks.view.tombstones
        guard !tombstones.isEmpty else { return }
        for block in blocks.view.blocks {
            guard !(try block.deletions(tombstones, in: block.reader.index())).isEmpty else { continue }
            let merge = BlockMerge(blocks: [block], tombstones: tombstones)
            if try merge.isEmpty() {
                _ = try blocks.drop([block])
            } else {
                let rest = try blocks.write(blocks.nextSequence, merging: [block]) { try merge.write(to: &$0) }
                try blocks.add(rest, replacing: [block])
            }
        }
        try blocks.forgetTombstones()
    }

    /// Whether a merged block can stand beside its inputs without taking what appends need: a merge is never urgent.
    private func hasRoom(for merge: BlockMerge) -> Bool {
        guard let space = try? storage.space(at: blocks.folder) else { return true }
        return merge.blocks.reduce(0) { $0 + $1.reader.byteCount } <= space.availableBytes / 2
    }

    /// Drops the oldest blocks while all of them take more than they may; the newest stays whatever its size.
    private func enforceSizeLimit() throws {
        guard options.retentionBytes > 0 else { return }
        let firstPosition = log.status.firstPosition
        var blocks = blocks.view.blocks.sorted { $0.times.endMilliseconds < $1.times.endMilliseconds }
        var held = blocks.reduce(UInt64(0)) { $0 + $1.reader.byteCount }
        var spent: [Block] = []
        while held > options.retentionBytes, blocks.count > 1 {
            let oldest = blocks.removeFirst()
            // While the log still has rows of a block, the block is what tells that they are not to be read back.
            guard oldest.reader.footer.sealedThrough < firstPosition else { break }
            held -= oldest.reader.byteCount
            spent.append(oldest)
        }
        guard !spent.isEmpty else { return }
        counters.blocksDropped.add(spent.count, ordering: .relaxed)
        _ = try self.blocks.drop(spent)
    }

    /// Everything in memory to blocks, the log cut, blocks merged as far as they go.
    func sealEverything() throws {
        try Self.flush(head, to: blocks, options: options, counters: counters) { _ in true }
        head.forgetIdleSeries()
        try cutLog(startingNewSegment: true)
        try mergeBlocks(atMost: 1000)
    }
}

extension Head {
    /// Whether some row came before that time of the wall clock.
    func hasRows(appendedBefore milliseconds: Int64) -> Bool {
        let groups = index.withLock { Array($0.groups.values) }
        return groups.contains { group in
            group.state.withLock { state in
                state.tables.contains { $0.rows.withLock(\.firstAppendMilliseconds) < milliseconds }
            }
        }
    }
}
