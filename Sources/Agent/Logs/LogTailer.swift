internal import Disk
internal import Glibc
internal import Telemetry

/// Port: takes lines from the tailer and says when they are safe.
protocol LineSink: Sendable {
    /// Whether there is room; while there is none the tailer leaves lines in their files.
    var isAcceptingLines: Bool { get }
    /// Takes a batch and returns its ticket, which is reported as settled once the server has it.
    func submit(_ batch: LogBatch) -> UInt64
}

/// Follows all logs of the host. Belongs to one thread, which calls `pass` whenever something may have changed.
final class LogTailer {
    /// What the tailer is made from.
    struct Setting {
        var registry: ContainerRegistry
        var host: HostRoot
        var node: String
        var agent: String
        var sink: any LineSink
        var storage: any FileStorage
        /// Where positions are kept.
        var positionsPath: String
        var notices: Notices
        var settings = LogSettings()
        var keeper = DescriptorKeeper(socketPath: nil)
        var engine: DockerEngine?
        var waker = Waker()
        /// How much of a log that was there before the agent's first start is read.
        var firstStartBytes: UInt64 = 1 << 20
        var wallNanoseconds: Int64 = 0
    }

    /// A kind of log files, and what was found of it.
    private struct Kind {
        let source: any FileLogSource
        var logs: [FollowedLog] = []
        /// When it was asked last, monotonic; nil when it must be asked.
        var asked: Int64?
    }

    /// Who is told when a folder changes.
    private struct Watchers {
        var tails: Set<String> = []
        var kinds: Set<Int> = []
    }

    private let setting: Setting
    private let surroundings: FileTail.Surroundings
    private var positions: TailPositions
    private var tails: [String: FileTail] = [:]
    private var kinds: [Kind]
    private let lineSources: [any LineSource]
    private var watches: [Int32: Watchers] = [:]
    private var watchedFolders: [String: Int32] = [:]
    private var dirty: Set<String> = []
    private var generation: UInt64 = .max
    private var isFirstPass = true
    private var searched: Int64?
    private var closed: Set<TailPositions.Place> = []
    private let inotify: Inotify?
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 8)
    /// What was read so far.
    private(set) var statistics = TailStatistics()

    private static let batchBytesMaximum = 1 << 20
    /// What inotify does not tell is found by looking.
    private static let searchNanoseconds: Int64 = 30_000_000_000
    private static let searchUnwatchedNanoseconds: Int64 = 1_000_000_000

    /// A tailer; reads the positions of an earlier run.
    init(_ setting: Setting) {
        self.setting = setting
        inotify = setting.host.isMachine ? Inotify() : nil
        let positions = Self.positions(setting)
        self.positions = positions
        let folder = String(setting.positionsPath.prefix(upTo: setting.positionsPath.lastIndex(of: "/") ?? "".endIndex))
        surroundings = FileTail.Surroundings(agent: setting.agent, folder: folder, keeper: setting.keeper)
        let context = FileLogContext(
            host: setting.host, node: setting.node, settings: setting.settings, notices: setting.notices)
        kinds = FileLogSources.all.compactMap { $0.init(context) }.map { Kind(source: $0) }
        let sourceContext = LineSourceContext(
            host: setting.host, node: setting.node, agent: setting.agent, settings: setting.settings,
            notices: setting.notices, reach: { positions.reaches[$0] }, engine: setting.engine, waker: setting.waker,
            wallNanoseconds: setting.wallNanoseconds)
        lineSources = LineSources.all.compactMap { $0.init(sourceContext) }
    }

    deinit { buffer.deallocate() }

    /// The descriptor that becomes readable when a watched folder changed; -1 where there is none.
    var descriptor: Int32 { inotify?.descriptor ?? -1 }

    /// The descriptors that become readable when there are lines which are in no file.
    var sourceDescriptors: [Int32] { setting.sink.isAcceptingLines ? lineSources.flatMap(\.descriptors) : [] }

    private static func positions(_ setting: Setting) -> TailPositions {
        let path = setting.positionsPath
        do {
            let bytes = try AtomicFile.read(path, in: setting.storage, maximumBytes: 256 << 20)
            return try TailPositions(decoding: bytes)
        } catch {
            setting.notices.say(
                .error, about: path,
                """
                the tail positions in \(path) cannot be read (\(error)): all logs that are still there are read from \
                their start, the server drops what it has already
                """)
            // Not a first start: nothing may be skipped.
            return .empty
        }
    }

    /// The batch of this ticket is stored.
    func settled(_ ticket: UInt64) { positions.settled(ticket) }

    /// A container ended or was OOM-killed: its last words matter now.
    func containerEnded(_ id: String, atNanoseconds now: Int64) {
        for key in keys(of: id) {
            tails[key]?.writerEnded(atNanoseconds: now)
            dirty.insert(key)
        }
    }

    /// A container's lines are to be read at the next pass.
    func hurry(_ id: String) { dirty.formUnion(keys(of: id)) }

    /// The logs that a container writes: under its own id, or under its pod's.
    private func keys(of container: String) -> [String] {
        let pod = setting.registry.container(container)?.podUID
        return tails.filter { $0.value.log.writer == container || (pod != nil && $0.value.log.writer == pod) }
            .map(\.key)
    }

    /// Takes in what the kernel noticed.
    func drainNotices() {
        inotify?.drain { watch, events in
            if events.contains(.overflow) {
                statistics.overflows += 1
                dirty.formUnion(tails.keys)
                for index in kinds.indices { kinds[index].asked = nil }
            } else if let watchers = watches[watch] {
                dirty.formUnion(watchers.tails)
                if !events.isDisjoint(with: [.created, .movedFrom, .movedTo, .deleted, .gone]) {
                    for index in watchers.kinds { kinds[index].asked = nil }
                }
                if events.contains(.gone) { forgetWatch(watch) }
            }
        }
    }

    private func forgetWatch(_ watch: Int32) {
        watches[watch] = nil
        watchedFolders = watchedFolders.filter { $0.value != watch }
    }

    /// Reads what is new. Returns whether there is more to read at once, and whether anything must be polled soon.
    func pass(atNanoseconds now: Int64, wallNanoseconds: Int64, looksAtAll: Bool) -> (hasMore: Bool, polls: Bool) {
        let snapshot = setting.registry.snapshot
        follow(snapshot, now)
        if looksAtAll || inotify == nil { dirty.formUnion(tails.keys) }
        for (key, tail) in tails where tail.wantsPolling { dirty.insert(key) }
        let isSearch = searched.map { now - $0 >= Self.searchNanoseconds } ?? false
        if isSearch || searched == nil { searched = now }
        if isSearch { adoptKept() }
        var round = Round()
        let isOverBudget = !setting.sink.isAcceptingLines && heldBytes > setting.settings.heldBytesMaximum
        for key in dirty.sorted() {
            guard let tail = tails[key] else { continue }
            read(tail, isSearch, isOverBudget, now, wallNanoseconds, &round)
            if round.bytes >= Self.batchBytesMaximum { submit(&round) }
        }
        for source in lineSources {
            let look = LineSourceLook(
                snapshot: snapshot, isAccepting: setting.sink.isAcceptingLines, budget: Self.batchBytesMaximum,
                now: now, wallNanoseconds: wallNanoseconds)
            let harvest = source.harvest(look)
            append(harvest.losses, wallNanoseconds, &round)
            round.batch.streams += harvest.streams
            round.reaches += harvest.reaches
            round.bytes += harvest.bytes
            round.hasMoreLines = round.hasMoreLines || harvest.hasMore
            if round.bytes >= Self.batchBytesMaximum { submit(&round) }
        }
        submit(&round)
        // Where there was no room, what was to be read still is.
        dirty = setting.sink.isAcceptingLines ? round.more : dirty.union(round.more)
        if isSearch { setting.keeper.releaseRest() }
        isFirstPass = false
        let polls = inotify == nil || tails.values.contains { $0.wantsPolling } || !setting.sink.isAcceptingLines
        return ((!round.more.isEmpty || round.hasMoreLines) && setting.sink.isAcceptingLines, polls)
    }

    /// What a pass gathers until it is submitted.
    private struct Round {
        var batch = LogBatch(streams: [])
        var reaches: [(TailPositions.Place, TailPositions.Reach)] = []
        var bytes = 0
        var more: Set<String> = []
        var hasMoreLines = false
    }

    private func read(
        _ tail: FileTail, _ isSearch: Bool, _ isOverBudget: Bool, _ now: Int64, _ wallNanoseconds: Int64,
        _ round: inout Round
    ) {
        var harvest = FileTail.Harvest()
        tail.open(positions, lastBytes: skipBytes, searches: isSearch, &harvest)
        if harvest.isUnreadable { sayUnreadable(tail) }
        append(harvest, wallNanoseconds, &round)
        let look = FileTail.Look(
            isAccepting: setting.sink.isAcceptingLines, isOverBudget: isOverBudget, now: now,
            wallNanoseconds: wallNanoseconds)
        harvest = tail.harvest(look, buffer: buffer)
        append(harvest, wallNanoseconds, &round)
        if harvest.hasMore { round.more.insert(tail.log.key) }
    }

    /// What deleted files take on the disk because they are held open.
    private var heldBytes: UInt64 { tails.values.reduce(0) { $0 + $1.heldBytes } }

    /// Writes positions down if they moved.
    func checkpoint() {
        for place in closed {
            positions.forget(place)
            if positions.reaches[place] == nil { closed.remove(place) }
        }
        guard let bytes = positions.takeChanges() else { return }
        do {
            try AtomicFile.write(bytes, to: setting.positionsPath, in: setting.storage)
            setting.notices.settle(setting.positionsPath)
        } catch {
            setting.notices.say(
                .error, about: setting.positionsPath,
                "\(error); tail positions are not kept, after a restart lines are sent again and dropped by the server")
        }
    }

    private func sayUnreadable(_ tail: FileTail) {
        setting.notices.say(
            .warning, about: "unreadable \(tail.log.key)",
            """
            logs such as \(tail.log.path) cannot be read; their lines are missing until the agent may read them \
            (run it as root, or as a member of a group that may)
            """)
    }

    /// At the agent's first start the past of running containers is read in part only.
    private var skipBytes: UInt64? {
        positions.isFirstStart && isFirstPass ? setting.firstStartBytes : nil
    }

    private func submit(_ round: inout Round) {
        guard !round.batch.streams.isEmpty || !round.batch.losses.isEmpty || !round.reaches.isEmpty else { return }
        let (batch, reaches) = (round.batch, round.reaches)
        round.batch = LogBatch(streams: [])
        round.reaches = []
        round.bytes = 0
        statistics.add(batch)
        guard !batch.streams.isEmpty || !batch.losses.isEmpty else {
            // Nothing to send, but the file moved on: only after what was submitted before.
            return positions.submittedNothing(reaches)
        }
        positions.submitted(setting.sink.submit(batch), reaches)
    }

    private func append(_ harvest: FileTail.Harvest, _ wallNanoseconds: Int64, _ round: inout Round) {
        round.batch.streams.append(contentsOf: harvest.streams)
        append(harvest.losses, wallNanoseconds, &round)
        for (place, reach) in harvest.discoveries { positions.discovered(place, reach) }
        round.reaches.append(contentsOf: harvest.reaches)
        round.bytes += harvest.bytes
        closed.formUnion(harvest.closed)
    }

    private func append(_ losses: [LogLoss], _ wallNanoseconds: Int64, _ round: inout Round) {
        for var loss in losses {
            if loss.range.endNanoseconds == 0 {
                loss.range = LogTimeRange(startNanoseconds: wallNanoseconds, endNanoseconds: wallNanoseconds)
            }
            setting.notices.say(
                .warning, about: "loss \(loss.labels)", "log lines of \(loss.labels) are lost: \(loss.reason)")
            round.batch.losses.append(loss)
        }
    }
}

extension LogTailer {
    /// By now whatever can be listed was, even by an engine that answers late. Logs that nobody lists, of which an
    /// earlier run left a descriptor in keeping, belong to containers that were removed while no agent ran: they are
    /// read to their end under the labels they had.
    private func adoptKept() {
        for place in positions.reaches.keys where tails[place.log] == nil && setting.keeper.holds(place.file) {
            guard let log = positions.logs[place.log], !log.labels.isEmpty,
                let format = LogFormats.format(named: log.format)
            else { continue }
            let followed = FollowedLog(
                key: place.log, path: log.path, format: format, labels: log.labels, isRunning: false)
            tails[place.log] = FileTail(followed, surroundings)
            dirty.insert(place.log)
        }
    }

    /// Begins tails of new logs and ends those of removed ones.
    private func follow(_ snapshot: ContainerRegistry.Snapshot, _ now: Int64) {
        let isChanged = snapshot.generation != generation
        generation = snapshot.generation
        let every = inotify == nil ? Self.searchUnwatchedNanoseconds : Self.searchNanoseconds
        var isAsked = false
        for index in kinds.indices {
            let isDue = kinds[index].asked.map { now - $0 >= every } ?? true
            guard isChanged || isDue else { continue }
            kinds[index].logs = kinds[index].source.logs(snapshot)
            kinds[index].asked = now
            for folder in kinds[index].source.folders { watch(folder) { $0.kinds.insert(index) } }
            isAsked = true
        }
        guard isAsked else { return }
        var listed: Set<String> = []
        // The engine's word about a log comes first: it knows the container.
        for log in kinds.flatMap(\.logs) where listed.insert(log.key).inserted {
            guard let tail = tails[log.key] else {
                begin(log)
                continue
            }
            if tail.log.isRunning && !log.isRunning { tail.writerEnded(atNanoseconds: now) }
            tail.update(log)
            positions.describe(log.key, LogDescription(log))
        }
        for (key, tail) in tails where !listed.contains(key) {
            // The log is removed; what is still open is read to its end.
            tail.writerEnded(atNanoseconds: now)
            dirty.insert(key)
            if tail.isIdle { tails[key] = nil }
        }
    }

    private func begin(_ log: FollowedLog) {
        tails[log.key] = FileTail(log, surroundings)
        positions.describe(log.key, LogDescription(log))
        dirty.insert(log.key)
        guard inotify != nil, let slash = log.path.lastIndex(of: "/") else { return }
        guard !watch(String(log.path[..<slash]), { $0.tails.insert(log.key) }) else { return }
        let reason =
            access(log.path, R_OK) == 0 ? "no more watches (fs.inotify.max_user_watches)" : "it cannot be read"
        setting.notices.say(
            .warning, about: "watch \(reason)",
            "\(log.path) is not watched: \(reason); it is looked at every second as long as it can be opened")
    }

    /// Watches a folder for one more watcher; false when it cannot be watched.
    @discardableResult
    private func watch(_ folder: String, _ add: (inout Watchers) -> Void) -> Bool {
        guard let inotify else { return false }
        let events: Inotify.Events = [.modified, .created, .movedFrom, .movedTo, .deleted]
        guard let watch = watchedFolders[folder] ?? inotify.watch(folder, events) else { return false }
        watchedFolders[folder] = watch
        add(&watches[watch, default: Watchers()])
        return true
    }
}

/// What the tailer did so far.
struct TailStatistics: Equatable {
    var lines: UInt64 = 0
    var bytes: UInt64 = 0
    var losses: UInt64 = 0
    /// How often the kernel dropped notices.
    var overflows: UInt64 = 0

    /// Counts a batch.
    mutating func add(_ batch: LogBatch) {
        lines += UInt64(batch.lineCount)
        bytes += batch.streams.reduce(0) { $0 + UInt64($1.bytes.count) }
        losses += UInt64(batch.losses.count)
    }
}
