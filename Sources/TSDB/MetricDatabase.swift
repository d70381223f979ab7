package import Disk
internal import Synchronization
package import Telemetry

/// The metric database: a log that makes appends durable, a head that answers for what is new, blocks for the rest.
///
/// An append is checked and resolved by its caller, encoded and synced by the log's thread, applied to the head there,
/// in log order, and only then answered. A maintenance thread writes full groups to blocks and cuts the log behind
/// them.
package final class MetricDatabase: Sendable {
    let options: MetricDatabaseOptions
    let wallClock: any WallClock
    let head: Head
    let blocks: BlockStore
    let log: GroupCommitLog
    let reserve: SpaceReserve
    let counters = MetricCounters()
    let exemplars: ExemplarStore
    /// Samples older than this are refused; 0 for no limit.
    let retentionMilliseconds: Atomic<Int64>
    let isClosed = Atomic<Bool>(false)
    /// Whether the last round of maintenance failed.
    let isFailing = Atomic<Bool>(false)
    /// Held by whoever changes the set of blocks; its value is how often a flush failed in a row, for the pace of
    /// retries.
    let maintenance = Mutex(MaintenanceState())
    let thread = Mutex<MaintenanceThread?>(nil)
    /// Nil when a test drives the database.
    let lookups = Mutex<LookupThread?>(nil)
    private let storage: any FileStorage

    /// What the start found damaged or missing, for the operator's log.
    package let findings: [String]
    /// What of it concerns the log.
    let logDamage: [Quarantined]
    /// The times that damage of the log concerns.
    let logGaps: [LogGap]

    /// What the maintenance remembers from round to round.
    struct MaintenanceState {
        var failuresInARow = 0
        var roundsToSkip = 0
        var lastFailure: String?
    }

    /// Opens the database in `folder`, made when absent, and brings back what was acknowledged. Damage is set aside,
    /// told in `findings` and `quarantine`, and never keeps it from starting; a format of a newer version does.
    package static func open(
        storage: any FileStorage, folder: String, options: MetricDatabaseOptions = MetricDatabaseOptions(),
        wallClock: any WallClock
    ) throws -> MetricDatabase {
        let database = try MetricDatabase(
            storage: storage, folder: folder, options: options, wallClock: wallClock)
        if options.driving == .threads {
            let thread = try MaintenanceThread { [weak database] in database?.maintain() }
            database.thread.withLock { $0 = thread }
            let lookups = try LookupThread()
            database.lookups.withLock { $0 = lookups }
        }
        return database
    }

    private init(
        storage: any FileStorage, folder: String, options: MetricDatabaseOptions, wallClock: any WallClock
    ) throws {
        self.options = options
        self.wallClock = wallClock
        self.storage = storage
        retentionMilliseconds = Atomic(options.retentionMilliseconds)
        try storage.makeFolder(folder)
        let reserve = SpaceReserve(
            StoragePath.join(folder, "reserve"), bytes: options.reserveBytes, scarceBytes: options.scarceBytes,
            in: storage)
        self.reserve = reserve
        blocks = try BlockStore(
            folder: folder, in: storage, cache: PageCache(maximumBytes: options.pageCacheBytes), reserve: reserve,
            salt: options.salt)
        let exemplars = ExemplarStore(
            path: StoragePath.join(folder, "exemplars"), in: storage, maximum: options.exemplarsMaximum)
        self.exemplars = exemplars
        try blocks.settingAside("the exemplars of before the last cut of the log are lost") { try exemplars.load() }
        let sealed = blocks.view.blocks.map(\.reader.footer.sealedThrough).max() ?? LogPosition(0)
        var logOptions = SegmentedLog.Options(
            segmentBytes: options.segmentBytes, growthBytes: options.logGrowthBytes, salt: options.salt)
        if let space = try? storage.space(at: folder) { logOptions = logOptions.fitted(to: space) }
        let segments = try SegmentedLog(
            folder: StoragePath.join(folder, "wal"), in: storage, options: logOptions,
            atLeast: sealed.advanced(by: 1))
        // No process before this one was at this position, so none gave out these ids.
        let head = Head(
            after: LogPosition(segments.endPosition.ordinal - 1), firstID: segments.endPosition.ordinal << 24,
            sealedMilliseconds: blocks.view.blocks.map(\.times.endMilliseconds).max() ?? .min,
            behindMilliseconds: options.behindMilliseconds, wallClock: wallClock)
        self.head = head
        (findings, logGaps) = try Self.replay(
            segments, into: head, exemplars, blocks: blocks, options: options, counters: counters,
            nowMilliseconds: wallClock.nowMilliseconds)
        logDamage = Self.damage(of: segments, framesLost: counters.framesLost.load(ordering: .relaxed))
        segments.segmentPreamble = { head.preamble() }
        log = try GroupCommitLog(
            segments, driving: options.driving == .manual ? .manual : .thread(name: "tsdb-log"))
    }

    /// Reads the log back. When the head's share of memory is used up on the way, what was read goes to a block.
    private static func replay(
        _ segments: SegmentedLog, into head: Head, _ exemplars: ExemplarStore, blocks: BlockStore,
        options: MetricDatabaseOptions, counters: MetricCounters, nowMilliseconds: Int64
    ) throws -> (findings: [String], gaps: [LogGap]) {
        var findings = segments.recovery.isClean ? [] : ["the log of metrics: \(segments.recovery)"]
        let missing = blocks.view.missing.map { $0.quarantined(at: blocks.path(of: $0.sequence)) }
        findings += (blocks.view.quarantined + missing).map { "\($0.path): \($0.reason)" }
        var sealedThrough: [Labels: LogPosition] = [:]
        for block in blocks.view.blocks where block.reader.footer.sealedThrough >= segments.firstPosition {
            do {
                for group in try block.reader.groups() {
                    sealedThrough[group.target] = max(
                        sealedThrough[group.target] ?? group.sealedThrough, group.sealedThrough)
                }
            } catch let damage as BlockDamage {
                block.note(damage)
                findings.append("\(damage); what the log still has of it is used in its place")
            }
        }
        var replay = HeadReplay(
            into: head, exemplars, sealedThrough: sealedThrough, metadataMaximum: options.metadataMaximum,
            newest: blocks.view.blocks.map(\.times.endMilliseconds).max())
        var nextFlush = options.headBytes
        let result = try segments.read(from: segments.firstPosition) { frame in
            replay.read(frame)
            // A full disk is no reason not to start: then the rows wait in memory.
            if head.rowBytes.load(ordering: .relaxed) > nextFlush {
                _ = try? flush(head, to: blocks, options: options, counters: counters) { _ in true }
                nextFlush = head.rowBytes.load(ordering: .relaxed) + options.headBytes
            }
            return true
        }
        // What a power cut took of the last batch was never acknowledged; the log tells it in its own words.
        let unconfirmed = min(segments.recovery.unconfirmedFramesLost, result.framesLost)
        let lost = result.framesLost - unconfirmed + UInt64(replay.recordsUnreadable)
        counters.framesLost.store(Int(clamping: lost), ordering: .relaxed)
        counters.samplesLost.store(replay.samplesWithoutSeries, ordering: .relaxed)
        counters.samplesReplayed.store(replay.samplesApplied, ordering: .relaxed)
        if lost > 0 || replay.samplesWithoutSeries > 0 {
            findings.append(
                "the log of metrics has lost \(lost) records, and \(replay.samplesWithoutSeries) samples whose series "
                    + "were declared in them; everything else was kept, check the disk")
        }
        replay.end(atMilliseconds: nowMilliseconds, records: lost)
        guard let gap = lostSegment(of: segments, blocks: blocks, options: options, nowMilliseconds: nowMilliseconds)
        else { return (findings, replay.gaps.gaps) }
        if segments.recovery.quarantined.isEmpty {
            findings.append("the log of metrics in \(segments.folder) is gone; what was not in blocks yet is lost")
        }
        return (findings, replay.gaps.gaps + [gap])
    }

    /// What is in doubt when a segment of the log is unreadable, or the whole log gone from beside its blocks.
    private static func lostSegment(
        of segments: SegmentedLog, blocks: BlockStore, options: MetricDatabaseOptions, nowMilliseconds: Int64
    ) -> LogGap? {
        let isGone = segments.recovery.segments == 0 && blocks.isListed
        guard isGone || !segments.recovery.quarantined.isEmpty else { return nil }
        let newest = blocks.view.blocks.map(\.times.endMilliseconds).max() ?? nowMilliseconds
        // Targets fill at different times: some rows that were in no block are older than the newest that are.
        return LogGap(
            times: TimeRange(
                startMilliseconds: newest - options.headAgeMilliseconds,
                endMilliseconds: max(newest, nowMilliseconds) + options.aheadMilliseconds),
            records: 0)
    }

    private static func damage(of segments: SegmentedLog, framesLost: Int) -> [Quarantined] {
        var damage = segments.recovery.quarantined.map { path in
            Quarantined(path: path, reason: "the first bytes of this segment of the log are damaged; its rows are lost")
        }
        if framesLost > 0 {
            damage.append(
                Quarantined(
                    path: segments.folder,
                    reason: "\(framesLost) records of the log were damaged; everything else was kept, check the disk"))
        }
        return damage
    }

    /// Writes groups to a block, what was filled in for the past to blocks of its own before it, and lets go of them
    /// once all are durable; false when there was nothing to write.
    @discardableResult
    static func flush(
        _ head: Head, to blocks: BlockStore, options: MetricDatabaseOptions, counters: MetricCounters,
        where isWanted: (HeadTable.Rows) -> Bool
    ) throws -> Bool {
        let frozen = head.freeze(where: isWanted)
        guard !frozen.isEmpty else { return false }
        do {
            let spans = FlushSpans(frozen, width: options.mergedMilliseconds).spans
            for span in spans {
                let block = try blocks.write(blocks.nextSequence) { writer in
                    for group in frozen { try group.write(within: span, to: &writer) }
                }
                try blocks.add(block)
                counters.samplesSealed.add(block.reader.footer.sampleCount, ordering: .relaxed)
            }
            head.forget(frozen)
            counters.flushes.add(1, ordering: .relaxed)
            counters.backfillBlocks.add(spans.count - 1, ordering: .relaxed)
            return true
        } catch {
            counters.flushFailures.add(1, ordering: .relaxed)
            throw error
        }
    }

    /// Throws once the database is closed.
    func checkOpen() throws(MetricDatabaseError) {
        if isClosed.load(ordering: .acquiring) {
            throw MetricDatabaseError("the metric database in \(blocks.folder) is closed")
        }
    }
}
