internal import Glibc
internal import Telemetry

/// One followed log: the file being written, and rotated ones that are not wholly read yet, oldest first.
final class FileTail {
    /// What one pass brought.
    struct Harvest {
        var streams: [LogLines] = []
        var losses: [LogLoss] = []
        var reaches: [(TailPositions.Place, TailPositions.Reach)] = []
        /// Files that were begun.
        var discoveries: [(TailPositions.Place, TailPositions.Reach)] = []
        var closed: [TailPositions.Place] = []
        var bytes = 0
        var hasMore = false
        /// Whether the log is there and may not be read.
        var isUnreadable = false
    }

    /// What a pass needs to know beside the log.
    struct Look {
        var isAccepting: Bool
        var isOverBudget = false
        var now: Int64
        var wallNanoseconds: Int64
    }

    /// What all tails of one tailer share.
    struct Surroundings {
        var agent: String
        /// Where compressed files are unpacked.
        var folder: String
        /// Descriptors that an earlier run gave into keeping.
        var keeper: DescriptorKeeper
    }

    private(set) var log: FollowedLog
    let surroundings: Surroundings
    var files: [TailedFile] = []
    /// Files that were read to their end and may still have a name, and where that end was.
    var finished: [FileIdentity: TailPositions.Reach] = [:]
    /// The newest file that was let go of, and how far it was read.
    private(set) var lastOver: (FileIdentity, TailPositions.Reach)?
    /// Whether the log's name meant another file than the newest open one at the last look.
    private var isElsewhere = false
    /// When its writer ended, monotonic; what it left unfinished is given out a moment later.
    private var endedNanoseconds: Int64?

    /// After a container's end the engine may take so long to write its last words.
    private static let lastWordsNanoseconds: Int64 = 300_000_000
    private static let passBytesMaximum = 1 << 20
    /// More names of files that are wholly read are not remembered.
    private static let finishedMaximum = 4_096

    /// A tail of `log`.
    init(_ log: FollowedLog, _ surroundings: Surroundings) {
        self.log = log
        self.surroundings = surroundings
    }

    /// Takes over new names and labels.
    func update(_ log: FollowedLog) { self.log = log }

    /// The writer ended: soon after, unfinished lines are as finished as they will ever be.
    func writerEnded(atNanoseconds now: Int64) { endedNanoseconds = now }

    /// Whether nothing is open, so that nothing more can come until the file appears again.
    var isIdle: Bool { files.isEmpty }

    /// What deleted files take on the disk because they are held open here.
    var heldBytes: UInt64 { files.reduce(0) { $0 + $1.heldBytes } }

    /// Whether it must be looked at although nothing was notified: lines held back, or files to be let go of.
    var wantsPolling: Bool {
        endedNanoseconds != nil || files.count > 1 || files.contains { $0.isWaiting }
            || (files.count == 1 && isElsewhere)
    }

    /// Whether the writer may have said its last word.
    var isEnded: Bool { endedNanoseconds != nil || !log.isRunning }

    /// Reads what is new in all files, oldest first, as far as there is room.
    func harvest(_ look: Look, buffer: UnsafeMutableRawBufferPointer) -> Harvest {
        var harvest = Harvest()
        let isLastWord = endedNanoseconds.map { look.now - $0 >= Self.lastWordsNanoseconds } ?? false
        let standing = standing
        isElsewhere = standing.isElsewhere
        for file in files {
            let isNewest = file === files.last
            let before = file.harvested
            let fileLook = TailedFile.Look(
                isNamed: isNewest && !standing.isElsewhere, isReplaced: !isNewest || standing.isReplaced,
                isAccepting: look.isAccepting, isOverBudget: look.isOverBudget, isLastWord: isLastWord,
                budget: Self.passBytesMaximum - harvest.bytes, now: look.now)
            let origin = LogOrigin(
                source: file.identity.source(agent: surroundings.agent), generation: file.state.generation)
            var part = file.harvest(
                fileLook,
                lines: LineCollector(labels: log.labels, origin: origin, wallNanoseconds: look.wallNanoseconds),
                buffer: buffer)
            if isLastWord, !part.hasMore { file.flush(&part) }
            let hasCopy = part.cut.map { follow($0, of: file, &part) } ?? false
            add(part, of: file, origin, &harvest)
            // The place behind the cut may be written down only when the copy is read.
            if !hasCopy { note(file, before, isOver: part.isOver, &harvest) }
            harvest.hasMore = harvest.hasMore || part.hasMore
            // What follows a copy is of the same file and later: its position would hide what is left of the copy.
            if file.isCopy, !part.isOver { break }
        }
        files.removeAll { isOver($0) }
        over = []
        if isLastWord, !harvest.hasMore { endedNanoseconds = nil }
        return harvest
    }

    private var over: Set<ObjectIdentifier> = []

    private func isOver(_ file: TailedFile) -> Bool { over.contains(ObjectIdentifier(file)) }

    private func note(
        _ file: TailedFile, _ before: (generation: UInt64, offset: UInt64), isOver: Bool, _ harvest: inout Harvest
    ) {
        let place = TailPositions.Place(log: log.key, file: file.identity)
        if before.offset == 0, file.harvested.offset > 0, !file.isCopy {
            harvest.discoveries.append((place, file.beginning))
        }
        if file.harvested != before { harvest.reaches.append((place, file.reach)) }
        guard isOver else { return }
        over.insert(ObjectIdentifier(file))
        if file === files.last { lastOver = (file.physical, file.reach) }
        surroundings.keeper.release(file.physical)
        finish(file.physical, file.state.offset, file.state.generation)
        let goesOn = files.contains { $0 !== file && $0.identity == file.identity && !self.isOver($0) }
        guard !goesOn else { return }
        finish(file.identity, file.state.offset, file.state.generation)
        harvest.closed.append(place)
    }

    /// Remembers a file as wholly read.
    func finish(_ identity: FileIdentity, _ offset: UInt64, _ generation: UInt64 = 0) {
        if finished.count >= Self.finishedMaximum { finished.removeAll() }
        finished[identity] = TailPositions.Reach(generation: generation, offset: offset)
    }

    private func add(_ part: TailedFile.Harvest, of file: TailedFile, _ origin: LogOrigin, _ harvest: inout Harvest) {
        for stream in part.lines.streams {
            harvest.bytes += stream.bytes.count
            harvest.streams.append(stream)
        }
        guard part.lostBytes > 0 else { return }
        harvest.losses.append(
            LogLoss(
                labels: log.labels[0], origin: origin,
                range: LogTimeRange(startNanoseconds: 0, endNanoseconds: 0), lines: 0, bytes: Int(part.lostBytes),
                reason: "deleted file was too large to be held for a server that took nothing"))
    }

    /// What the log's name means now, against the newest open file.
    private var standing: (isElsewhere: Bool, isReplaced: Bool) {
        guard let newest = files.last else { return (true, false) }
        guard let current = Self.inode(log.path) else { return (true, false) }
        let isSame = newest.physical.device == current.device && newest.physical.inode == current.inode
        return (!isSame, !isSame)
    }

    /// The device and inode that a path means; nil when there is nothing.
    static func inode(_ path: String) -> (device: UInt64, inode: UInt64)? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return (UInt64(status.st_dev), UInt64(status.st_ino))
    }
}
