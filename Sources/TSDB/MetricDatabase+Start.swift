internal import Disk
internal import Synchronization
internal import Telemetry

/// Reads the log back into the head.
///
/// Appends are taken from the first moment on (`StartGate`): resolved, logged, synced, acknowledged. One thread reads
/// the log front to back into the head that queries will see, and goes on with what was added since. Once it has
/// nearly caught up, new appends wait a moment, those under way are answered, the rest is read, and from then on there
/// is that head only. So it holds what the log says, by the same code and in the same order as after any crash,
/// whichever process wrote a record; a crash in between leaves nothing but a log.
extension MetricDatabase {
    /// Reads about `limit` records; true when the head is whole. Nobody else reads.
    func readBack(_ state: inout ReadBack, records limit: Int) throws -> Bool {
        if start.isOpen.load(ordering: .acquiring) { return true }
        var left = limit
        if state.replay == nil { try beginReadBack(&state) }
        if !state.isOldRead {
            guard try read(state.old, &state, &left) else { return false }
            endOld(&state)
        }
        while state.passes < ReadBack.passesMaximum {
            let extent = try extent()
            if extent.end.ordinal - state.next.ordinal <= ReadBack.recordsAtJoin { break }
            state.passes += 1
            guard try read(extent, &state, &left) else { return false }
        }
        return try join(&state)
    }

    /// The end of reading: as `readBack`, for the thread that has nothing else to do. Whatever stops it is told by
    /// `ingestHealth` and `queryHealth`.
    func readBackToEnd() {
        do {
            try readBack.withLock { state in
                while !isClosed.load(ordering: .acquiring) {
                    if try readBack(&state, records: .max) { return }
                }
                start.fail("the metric database in \(blocks.folder) is closed")
            }
        } catch {
            start.fail(
                "the log of metrics cannot be read back: \(error); what was acknowledged is in it, mend this and start "
                    + "again")
        }
        thread.withLock { $0?.wake() }
    }

    private func beginReadBack(_ state: inout ReadBack) throws {
        try blocks.settingAside("the exemplars of before the last cut of the log are lost") { try exemplars.load() }
        noteQuarantined()
        var sealedThrough: [Labels: LogPosition] = [:]
        let view = blocks.view
        for block in view.blocks where block.reader.footer.sealedThrough >= state.old.first {
            do {
                for group in try block.reader.groups() {
                    sealedThrough[group.target] = max(
                        sealedThrough[group.target] ?? group.sealedThrough, group.sealedThrough)
                }
            } catch let damage as BlockDamage {
                block.note(damage)
                report.withLock {
                    $0.findings.append("\(damage); what the log still has of it is used in its place")
                }
            }
        }
        state.replay = HeadReplay(
            into: head, exemplars, sealedThrough: sealedThrough, metadataMaximum: options.metadataMaximum,
            newest: view.blocks.map(\.times.endMilliseconds).max(), ownFrom: state.old.end)
    }

    /// Reads an extent from where the reading stands; false when `left` records were not enough, or the database is
    /// being closed. When the head's share of memory is used up on the way, what was read goes to a block.
    private func read(_ extent: LogExtent, _ state: inout ReadBack, _ left: inout Int) throws -> Bool {
        guard var replay = state.replay else { return false }
        state.replay = nil
        var nextFlush = state.nextFlush
        defer { (state.replay, state.nextFlush) = (replay, nextFlush) }
        let result = try state.reader.read(extent, from: state.next) { frame in
            replay.read(frame)
            if head.rowBytes.load(ordering: .relaxed) > nextFlush {
                // A full disk is no reason not to start: then the rows wait in memory.
                maintenance.withLock { _ in
                    _ = try? Self.flush(head, to: blocks, options: options, counters: counters) { _ in true }
                }
                nextFlush = head.rowBytes.load(ordering: .relaxed) + options.headBytes
            }
            left -= 1
            return left > 0 && !isClosed.load(ordering: .relaxed)
        }
        state.next = result.next
        state.framesLost += result.framesLost
        start.progress.store(min(state.progress, 999), ordering: .relaxed)
        return state.next >= extent.end && left > 0
    }

    /// What is in the log by now. A log that failed can still be read, up to its last sync.
    private func extent() throws -> LogExtent {
        let found = FoundExtent()
        let result = Result {
            try log.performBlocking { log in
                let extent = log.extent()
                found.extent.withLock { $0 = extent }
            }
        }
        if let extent = found.extent.withLock({ $0 }) { return extent }
        try result.get()
        throw LogAppendError.closed
    }

    /// What the processes before left is read: tells what of it is gone.
    private func endOld(_ state: inout ReadBack) {
        guard var replay = state.replay else { return }
        state.replay = nil
        defer { state.replay = replay }
        state.isOldRead = true
        // What a power cut took of the last batch was never acknowledged; the log tells it in its own words.
        let unconfirmed = min(log.recovery.unconfirmedFramesLost, state.framesLost)
        let lost = state.framesLost - unconfirmed + UInt64(replay.recordsUnreadable)
        counters.framesLost.store(Int(clamping: lost), ordering: .relaxed)
        counters.samplesLost.store(replay.samplesWithoutSeries, ordering: .relaxed)
        counters.samplesReplayed.store(replay.samplesApplied, ordering: .relaxed)
        let now = wallClock.nowMilliseconds
        replay.end(atMilliseconds: now, records: lost)
        let lostSegment = lostSegment(nowMilliseconds: now)
        report.withLock { report in
            if lost > 0 || replay.samplesWithoutSeries > 0 {
                report.findings.append(
                    "the log of metrics has lost \(lost) records, and \(replay.samplesWithoutSeries) samples whose "
                        + "series were declared in them; everything else was kept, check the disk")
            }
            if lost > 0 {
                report.damage.append(
                    Quarantined(
                        path: logFolder,
                        reason: "\(lost) records of the log were damaged; everything else was kept, check the disk"))
            }
            report.gaps = replay.gaps.gaps
            guard let lostSegment else { return }
            report.gaps.append(lostSegment)
            if log.recovery.quarantined.isEmpty {
                report.findings.append("the log of metrics in \(logFolder) is gone; what was not in blocks yet is lost")
            }
        }
    }

    /// What is in doubt when a segment of the log is unreadable, or the whole log gone from beside its blocks.
    private func lostSegment(nowMilliseconds: Int64) -> LogGap? {
        let isGone = log.recovery.segments == 0 && blocks.isListed
        guard isGone || !log.recovery.quarantined.isEmpty else { return nil }
        let newest = blocks.view.blocks.map(\.times.endMilliseconds).max() ?? nowMilliseconds
        // Targets fill at different times: some rows that were in no block are older than the newest that are.
        return LogGap(
            times: TimeRange(
                startMilliseconds: newest - options.headAgeMilliseconds,
                endMilliseconds: max(newest, nowMilliseconds) + options.aheadMilliseconds),
            records: 0)
    }

    /// Reads the log to its end, which stays where it is meanwhile, and lets everybody at the head.
    private func join(_ state: inout ReadBack) throws -> Bool {
        start.beginJoining()
        if options.driving == .manual { log.runOnce() }
        start.waitUntilDrained()
        let extent = try extent()
        var left = Int.max
        guard try read(extent, &state, &left) else { return false }
        // Of a sample that was taken before the head knew its series, nobody was told that another had come first.
        let refused = state.replay?.samplesRefused ?? 0
        counters.samplesHidden.store(
            max(0, refused - start.samplesRefused.load(ordering: .relaxed)), ordering: .relaxed)
        state.replay = nil
        start.open()
        return true
    }
}

extension MetricDatabase {
    /// Calls `body` once the log is read back and queries are answered, or cannot be; at once if that is so already.
    package func whenReadBack(_ body: @escaping @Sendable () -> Void) { start.whenOver(body) }

    /// Reads about so many records of the log back; true when everything is read. Only with `Reading.stepwise`.
    package func readBack(records: Int) throws -> Bool {
        try readBack.withLock { try readBack(&$0, records: records) }
    }

    /// Why not all samples can be seen; nil when they can.
    var startingReason: String? {
        if start.isOpen.load(ordering: .acquiring) { return nil }
        if let failure = start.failure { return failure }
        return "the log of metrics is read back, \(start.progress.load(ordering: .relaxed) / 10) % so far; samples are "
            + "taken, queries are answered once all that was acknowledged can be seen"
    }

    /// Throws while not all samples can be seen: an answer without them would look whole.
    func checkReadable() throws {
        try checkOpen()
        if let reason = startingReason { throw QueryInterruption.starting(reason) }
    }

    /// What the start found damaged or missing so far, for the operator's log.
    package var findings: [String] { report.withLock(\.findings) }

    /// The times that damage of the log concerns.
    var logGaps: [LogGap] { report.withLock(\.gaps) }

    /// Tells what of the blocks is set aside or gone.
    func noteQuarantined() {
        let words = (blocks.view.quarantined + blocks.missing).map { "\($0.path): \($0.reason)" }
        report.withLock { report in
            let known = Set(report.findings)
            report.findings += words.filter { !known.contains($0) }
        }
    }
}

/// Takes an extent from the log's thread to the one that reads.
private final class FoundExtent: Sendable {
    let extent = Mutex<LogExtent?>(nil)
}
