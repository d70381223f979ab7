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
    /// Where appends go until the log is read back.
    let start: StartGate
    /// Held by whoever reads it back.
    let readBack: Mutex<ReadBack>
    let report: Mutex<StartReport>
    let logFolder: String
    /// The size of a segment, as it suits the disk.
    let logSegmentBytes: UInt64
    /// No append is taken while the log is larger: see `renewLogLimit`.
    let logLimit = Atomic<UInt64>(.max)
    /// Posted to when the thread that reads it back ends; nil when there is none.
    let reading = Mutex<Semaphore?>(nil)
    let storage: any FileStorage

    /// What the maintenance remembers from round to round.
    struct MaintenanceState {
        var failuresInARow = 0
        var roundsToSkip = 0
        var lastFailure: String?
    }

    /// Opens the database in `folder`, made when absent, and brings back what was acknowledged. Damage is set aside,
    /// told in `findings` and `quarantine`, and never keeps it from starting; a format of a newer version does.
    /// `options.reading` says when it returns.
    package static func open(
        storage: any FileStorage, folder: String, options: MetricDatabaseOptions = MetricDatabaseOptions(),
        wallClock: any WallClock
    ) throws -> MetricDatabase {
        let database = try MetricDatabase(
            storage: storage, folder: folder, options: options, wallClock: wallClock)
        if options.reading == .beforeReturning {
            do {
                while try !database.readBack(records: .max) {}
            } catch {
                database.log.closeBlocking()
                throw error
            }
        }
        if options.driving == .threads {
            let thread = try MaintenanceThread { [weak database] in database?.maintain() }
            database.thread.withLock { $0 = thread }
            let lookups = try LookupThread()
            database.lookups.withLock { $0 = lookups }
        }
        if options.reading == .besideAppends {
            let ended = Semaphore()
            database.reading.withLock { $0 = ended }
            try DedicatedThread.start(name: "tsdb-start") {
                database.readBackToEnd()
                ended.post()
            }
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
        let space = try? storage.space(at: folder)
        let reserve = SpaceReserve(
            StoragePath.join(folder, "reserve"), bytes: min(options.reserveBytes, (space?.totalBytes ?? .max) / 8),
            scarceBytes: options.scarceBytes, in: storage)
        self.reserve = reserve
        blocks = try BlockStore(
            folder: folder, in: storage, cache: PageCache(maximumBytes: options.pageCacheBytes), reserve: reserve,
            salt: options.salt)
        exemplars = ExemplarStore(
            path: StoragePath.join(folder, "exemplars"), in: storage, maximum: options.exemplarsMaximum)
        let sealed = blocks.view.blocks.map(\.reader.footer.sealedThrough).max() ?? LogPosition(0)
        var logOptions = SegmentedLog.Options(
            segmentBytes: options.segmentBytes, growthBytes: options.logGrowthBytes, salt: options.salt)
        if let space { logOptions = logOptions.fitted(to: space) }
        logFolder = StoragePath.join(folder, "wal")
        logSegmentBytes = logOptions.segmentBytes
        let segments = try SegmentedLog(
            folder: logFolder, in: storage, options: logOptions, atLeast: sealed.advanced(by: 1))
        // No process before this one was at this position, so none gave out these ids.
        let ids = IdentifierSource(first: segments.endPosition.ordinal << 24)
        let sealedMilliseconds = blocks.view.blocks.map(\.times.endMilliseconds).max() ?? .min
        func emptyHead() -> Head {
            Head(
                after: LogPosition(segments.endPosition.ordinal - 1), ids: ids, sealedMilliseconds: sealedMilliseconds,
                behindMilliseconds: options.behindMilliseconds, wallClock: wallClock)
        }
        let (head, start) = (emptyHead(), StartGate(emptyHead()))
        (self.head, self.start) = (head, start)
        var report = StartReport()
        if !segments.recovery.isClean { report.findings.append("the log of metrics: \(segments.recovery)") }
        report.damage = segments.recovery.quarantined.map { path in
            Quarantined(path: path, reason: "the first bytes of this segment of the log are damaged; its rows are lost")
        }
        self.report = Mutex(report)
        readBack = Mutex(ReadBack(segments.extent(), headBytes: options.headBytes))
        segments.segmentPreamble = { start.preamble(of: head) }
        log = try GroupCommitLog(
            segments, driving: options.driving == .manual ? .manual : .thread(name: "tsdb-log"))
        noteQuarantined()
        renewLogLimit()
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
