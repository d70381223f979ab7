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

/// Follows the logs of all containers. Belongs to one thread, which calls `pass` whenever something may have changed.
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
        /// How much of a log that was there before the agent's first start is read.
        var firstStartBytes: UInt64 = 1 << 20
    }

    private let setting: Setting
    private var positions: TailPositions
    private var tails: [String: ContainerTail] = [:]
    private var watches: [Int32: String] = [:]
    private var dirty: Set<String> = []
    private var generation: UInt64 = .max
    private var isFirstPass = true
    private var closed: Set<TailPositions.Place> = []
    private let inotify: Inotify?
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 8)
    /// Lines read, lines that were no records, bytes of lines: the tailer's own counters.
    private(set) var statistics = TailStatistics()

    private static let batchBytesMaximum = 1 << 20

    /// A tailer; reads the positions of an earlier run.
    init(_ setting: Setting) {
        self.setting = setting
        inotify = setting.host.isMachine ? Inotify() : nil
        positions = Self.positions(setting)
    }

    deinit { buffer.deallocate() }

    /// The descriptor that becomes readable when a watched folder changed; -1 where there is none.
    var descriptor: Int32 { inotify?.descriptor ?? -1 }

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
        tails[id]?.containerEnded(atNanoseconds: now)
        dirty.insert(id)
    }

    /// A container's lines are to be read at the next pass.
    func hurry(_ id: String) { dirty.insert(id) }

    /// Takes in what the kernel noticed.
    func drainNotices() {
        inotify?.drain { watch, events in
            if events.contains(.overflow) {
                dirty.formUnion(tails.keys)
            } else if let id = watches[watch] {
                dirty.insert(id)
                if events.contains(.gone) { watches[watch] = nil }
            }
        }
    }

    /// Reads what is new. Returns whether there is more to read at once, and whether anything must be polled soon.
    func pass(atNanoseconds now: Int64, wallNanoseconds: Int64, looksAtAll: Bool) -> (hasMore: Bool, polls: Bool) {
        follow(setting.registry.snapshot, now)
        if looksAtAll || inotify == nil { dirty.formUnion(tails.keys) }
        for (id, tail) in tails where tail.wantsPolling { dirty.insert(id) }
        var batch = LogBatch(streams: [])
        var reaches: [(TailPositions.Place, TailPositions.Reach)] = []
        var bytes = 0
        var more: Set<String> = []
        for id in dirty.sorted() {
            guard let tail = tails[id] else { continue }
            var harvest = ContainerTail.Harvest()
            tail.open(positions, lastBytes: skipBytes, &harvest)
            if harvest.isUnreadable { sayUnreadable(tail) }
            append(harvest, to: &batch, &reaches, wallNanoseconds)
            let isAccepting = setting.sink.isAcceptingLines
            harvest = tail.harvest(
                isAccepting: isAccepting, buffer: buffer, atNanoseconds: now, wallNanoseconds: wallNanoseconds)
            append(harvest, to: &batch, &reaches, wallNanoseconds)
            bytes += harvest.bytes
            if harvest.hasMore { more.insert(id) }
            if bytes >= Self.batchBytesMaximum {
                submit(&batch, &reaches)
                bytes = 0
            }
        }
        submit(&batch, &reaches)
        dirty = more
        isFirstPass = false
        let polls = inotify == nil || tails.values.contains { $0.wantsPolling } || !setting.sink.isAcceptingLines
        return (!more.isEmpty && setting.sink.isAcceptingLines, polls)
    }

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

    private func sayUnreadable(_ tail: ContainerTail) {
        setting.notices.say(
            .warning, about: "unreadable \(tail.container.id)",
            """
            container logs such as \(tail.path) cannot be read; their lines are missing until the agent may read them \
            (run it as root, or as a member of a group that may)
            """)
    }

    /// At the agent's first start the past of running containers is read in part only.
    private var skipBytes: UInt64? {
        positions.isFirstStart && isFirstPass ? setting.firstStartBytes : nil
    }

    private func submit(_ batch: inout LogBatch, _ reaches: inout [(TailPositions.Place, TailPositions.Reach)]) {
        guard !batch.streams.isEmpty || !batch.losses.isEmpty || !reaches.isEmpty else { return }
        defer {
            batch = LogBatch(streams: [])
            reaches = []
        }
        statistics.add(batch)
        guard !batch.streams.isEmpty || !batch.losses.isEmpty else {
            // Nothing to send, but the file moved on: only after what was submitted before.
            return positions.submittedNothing(reaches)
        }
        positions.submitted(setting.sink.submit(batch), reaches)
    }

    private func append(
        _ harvest: ContainerTail.Harvest, to batch: inout LogBatch,
        _ reaches: inout [(TailPositions.Place, TailPositions.Reach)], _ wallNanoseconds: Int64
    ) {
        batch.streams.append(contentsOf: harvest.streams)
        for var loss in harvest.losses {
            if loss.range.endNanoseconds == 0 {
                loss.range = LogTimeRange(startNanoseconds: wallNanoseconds, endNanoseconds: wallNanoseconds)
            }
            setting.notices.say(
                .warning, about: "loss \(loss.labels)", "log lines of \(loss.labels) are lost: \(loss.reason)")
            batch.losses.append(loss)
        }
        reaches.append(contentsOf: harvest.reaches)
        closed.formUnion(harvest.closed)
    }
}

extension LogTailer {
    /// Begins tails of new containers and ends those of removed ones.
    private func follow(_ snapshot: ContainerRegistry.Snapshot, _ now: Int64) {
        guard snapshot.generation != generation else { return }
        generation = snapshot.generation
        for (id, container) in snapshot.containers {
            if let tail = tails[id] {
                if tail.container.isRunning && !container.isRunning { tail.containerEnded(atNanoseconds: now) }
                tail.update(container)
            } else if let path = container.logPath {
                begin(container, setting.host.path(path))
            }
        }
        for (id, tail) in tails where snapshot.containers[id] == nil {
            // The container is removed; what is still open is read to its end.
            tail.containerEnded(atNanoseconds: now)
            dirty.insert(id)
            if tail.isIdle { tails[id] = nil }
        }
    }

    private func begin(_ container: Container, _ path: String) {
        tails[container.id] = ContainerTail(container, path: path, agent: setting.agent, node: setting.node)
        dirty.insert(container.id)
        guard let inotify, let slash = path.lastIndex(of: "/") else { return }
        let events: Inotify.Events = [.modified, .created, .movedFrom, .movedTo, .deleted]
        if let watch = inotify.watch(String(path[..<slash]), events) {
            watches[watch] = container.id
        } else {
            let reason = access(path, R_OK) == 0 ? "no more watches (fs.inotify.max_user_watches)" : "it cannot be read"
            setting.notices.say(
                .warning, about: "watch \(reason)",
                "\(path) is not watched: \(reason); it is looked at every second as long as it can be opened")
        }
    }
}

/// What the tailer did so far.
struct TailStatistics: Equatable {
    var lines: UInt64 = 0
    var bytes: UInt64 = 0
    var losses: UInt64 = 0

    /// Counts a batch.
    mutating func add(_ batch: LogBatch) {
        lines += UInt64(batch.lineCount)
        bytes += batch.streams.reduce(0) { $0 + UInt64($1.bytes.count) }
        losses += UInt64(batch.losses.count)
    }
}
