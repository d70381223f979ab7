package import Disk
internal import Synchronization
package import Telemetry

/// The log store: takes batches of lines, keeps them in a write-ahead log and then in parts, answers which lines had
/// this text when.
///
/// A batch is acknowledged after the fsync that covers it. It is applied to memory in log order on the log's writer
/// thread and comes to lie in a part when it is old or memory is needed; then the log is cut behind it. Parts are
/// never changed. A restart reads the footers of the parts and replays the log behind them.
package final class LogDatabase: Sendable {
    /// The folder with `log`, `parts` and `deletions`.
    package let folder: String
    let storage: any FileStorage
    let options: LogStoreOptions
    let wallClock: any WallClock
    let lineTransform: (any LineTransform)?
    let reserve: SpaceReserve?
    let log: GroupCommitLog
    let hub: TailHub
    let state: Mutex<StoreState>
    let parts: PartFile
    /// What queries have opened.
    let blocks: BlockCache
    let scrub = PartScrub()
    let idle = IdleCache()
    /// Held while a part is written or removed: one at a time.
    let sealing = Mutex<Void>(())
    /// Set when the store begins to close: a merge is given up then.
    private let closing = Atomic<Bool>(false)
    var isClosing: Bool { closing.load(ordering: .relaxed) }
    /// What the start repaired at the ends of the write-ahead log, in words; damage that cost something is in
    /// `quarantine`.
    package let findings: [String]
    /// Keeps a second process out.
    private let lock: Mutex<FileLock?>
    /// Encodes and seals.
    let maintenance: MaintenanceThread?
    /// Merges.
    let merging: MaintenanceThread?

    /// The kind of a log record that holds a batch.
    static let batchKind: UInt8 = 1

    /// Opens the store in `folder`, made when absent, and recovers from a crash. Blocks while it reads.
    ///
    /// `reserve` is space that sealing may use when the disk is full. With `Driving.manual` a test drives the log; set
    /// `options.maintenanceMilliseconds` to nil to drive sealing too. Throws `StorageError` when the folder cannot be
    /// used, is in use, or was written by a newer release; damage alone never stops it.
    package static func open(
        storage: any FileStorage, folder: String, options: LogStoreOptions = LogStoreOptions(),
        wallClock: any WallClock, lineTransform: (any LineTransform)? = nil, reserve: SpaceReserve? = nil,
        driving: GroupCommitLog.Driving = .thread(name: "logs-wal"), logOptions: SegmentedLog.Options? = nil
    ) throws -> LogDatabase {
        try storage.makeFolder(folder)
        let lock = try FileLock(StoragePath.join(folder, "lock"), in: storage)
        let parts = PartFile(storage: storage, folder: StoragePath.join(folder, "parts"))
        var state = StoreState(options: options)
        let covered = try LogRecoverer.restore(&state, from: parts, storage: storage, folder: folder)
        if options.retentionMilliseconds > 0 {
            state.oldestNanoseconds = wallClock.nowNanoseconds &- options.retentionMilliseconds * 1_000_000
        }
        let space = try storage.space(at: folder)
        let log = try SegmentedLog(
            folder: StoragePath.join(folder, "log"), in: storage,
            options: logOptions ?? SegmentedLog.Options().fitted(to: space),
            atLeast: LogPosition(covered + 1))
        let isLogWhole = try LogRecoverer.replay(log, into: &state, wallClock: wallClock)
        let hub = TailHub(bytesMaximum: options.tailBytesMaximum, startingBehind: log.endPosition.ordinal - 1)
        let database = try LogDatabase(
            storage: storage, folder: folder, options: options, wallClock: wallClock, lineTransform: lineTransform,
            reserve: reserve, log: try GroupCommitLog(log, driving: driving), hub: hub, state: state, parts: parts,
            lock: lock, findings: log.recovery.repairs.map { "the write-ahead log: " + $0 })
        // Behind a part nobody has to read the damaged place, and count it, again.
        if !isLogWhole { try? database.sealing.withLock { _ in try database.sealHead(evenIfEmpty: true) } }
        try database.maintenance?.start { [weak database] in database?.maintainHead() }
        try database.merging?.start { [weak database] in database?.maintainParts() }
        return database
    }

    private init(
        storage: any FileStorage, folder: String, options: LogStoreOptions, wallClock: any WallClock,
        lineTransform: (any LineTransform)?, reserve: SpaceReserve?, log: GroupCommitLog, hub: TailHub,
        state: sending StoreState, parts: PartFile, lock: FileLock, findings: [String]
    ) throws(StorageError) {
        self.storage = storage
        self.folder = folder
        self.options = options
        self.wallClock = wallClock
        self.lineTransform = lineTransform
        self.reserve = reserve
        self.log = log
        self.hub = hub
        self.state = Mutex(state)
        self.parts = parts
        self.findings = findings
        blocks = BlockCache(bytesMaximum: options.cacheBytesMaximum)
        self.lock = Mutex(lock)
        if let milliseconds = options.maintenanceMilliseconds {
            maintenance = try MaintenanceThread(milliseconds: milliseconds)
            merging = try MaintenanceThread(milliseconds: milliseconds * 5)
        } else {
            maintenance = nil
            merging = nil
        }
    }

    /// Stops taking, waits until what was submitted is synced and answered, ends every tail. What is in the log is
    /// replayed at the next start; nothing needs to be sealed for that.
    package func close() throws {
        let wasClosed = state.withLock { state in
            defer { state.isClosed = true }
            return state.isClosed
        }
        if wasClosed { return }
        closing.store(true, ordering: .relaxed)
        merging?.stop()
        maintenance?.stop()
        admitWaiting()
        log.closeBlocking()
        hub.close()
        lock.withLock { $0 = nil }
    }
}
