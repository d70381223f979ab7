internal import Telemetry

/// What a log store knows in memory, guarded by one mutex. Batches are applied in log order, so a replay of the log
/// behind the parts builds the same state again.
struct StoreState: Sendable {
    /// What became of an applied batch.
    struct Outcome: Sendable {
        var accepted = 0
        var duplicates = 0
        var isDuplicate = false
        var marks: DeliveryMarks?
        /// What a tail shows of it; nil when nothing was new.
        var arrival: TailBatch?
    }

    /// More findings of damage than this are counted, not listed.
    static let quarantineMaximum = 1000

    let options: LogStoreOptions
    var streams = StreamIndex()
    /// What is not yet in a part, of the streams that have something.
    var heads: [Int: HeadStream] = [:]
    /// Ordered by log position.
    var parts: [OpenPart] = []
    var deduplication = Deduplication()
    var recentLines: RecentLines
    var losses = LossLedger()
    var allowance: ByteAllowance<Labels>
    var sourceAllowance: ByteAllowance<LineSource>
    var senderAllowance: ByteAllowance<String>
    var senderLoads = SenderLoads()
    /// How many streams each sender has begun since the start.
    var streamsBySender: [String: Int] = [:]
    var deletions: [Deletion] = []
    var quarantine: [Quarantined] = []
    /// Parts that could not be opened: an answer over their time is not whole.
    var unreadable: [PartName] = []
    var counters = StoreCounters()
    /// The position of the last batch that was applied, and of the last one that lies in a part.
    var appliedPosition: UInt64 = 0
    var sealedPosition: UInt64 = 0
    /// Memory of the lines in `heads`.
    var headBytes = 0
    var headLines = 0
    /// Whether some stream has lines for a block, which take much less memory once they are one.
    var hasFullBlock = false
    /// Whether blocks are being encoded.
    var isEncoding = false
    var waiting = WaitingSenders()
    /// When the oldest line in `heads` came; nil when there is none.
    var oldestArrivalNanoseconds: Int64?
    /// Memory of batches that are on their way to the log.
    var reservedBytes = 0
    var reservedStreams = 0
    /// Older lines are neither taken nor answered.
    var oldestNanoseconds = Int64.min
    var isClosed = false
    /// When writing a part last failed and why; nil after it succeeded.
    var sealFailedNanoseconds: Int64?
    var sealFailure: String?

    /// An empty store.
    init(options: LogStoreOptions) {
        self.options = options
        allowance = ByteAllowance(bytesPerSecond: options.streamBytesPerSecondMaximum)
        sourceAllowance = ByteAllowance(bytesPerSecond: options.sourceBytesPerSecondMaximum)
        senderAllowance = ByteAllowance(bytesPerSecond: options.senderBytesPerSecondMaximum)
        recentLines = RecentLines(
            windowMilliseconds: options.duplicateWindowMilliseconds, linesMaximum: options.duplicateLinesMaximum)
    }

    /// Applies a batch. A delivery that is stored already changes nothing. `keys` spares looking at all lines again
    /// when
    /// they are known.
    mutating func apply(_ record: BatchRecord, position: UInt64, keys: [[RecentLines.Key]] = []) -> Outcome {
        var outcome = Outcome()
        appliedPosition = max(appliedPosition, position)
        counters.batches += 1
        if let delivery = record.delivery {
            let isStored = deduplication.contains(delivery)
            if !isStored { deduplication.insert(delivery) }
            outcome.marks = marks(of: delivery.sender)
            if isStored {
                outcome.isDuplicate = true
                outcome.duplicates = record.streams.reduce(0) { $0 + $1.count }
                counters.duplicateBatches += 1
                return outcome
            }
        }
        for loss in record.losses where losses.insert(loss) { counters.lossRecords += 1 }
        var arrived: [TailBatch.Lines] = []
        for (index, lines) in record.streams.enumerated() {
            let stream = streams.insert(lines.labels)
            let kept = newLines(
                of: lines, doubtful: record.doubtful[index], keys: keys.isEmpty ? nil : keys[index],
                arrival: record.arrivalNanoseconds)
            store(lines, kept, stream: stream, position: position, arrival: record.arrivalNanoseconds)
            let count = kept.reduce(0) { $0 + $1.count }
            outcome.accepted += count
            outcome.duplicates += lines.count - count
            if count > 0 { arrived.append(TailBatch.Lines(lines: lines, kept: kept)) }
        }
        counters.lines += outcome.accepted
        counters.duplicateLines += outcome.duplicates
        if !arrived.isEmpty { outcome.arrival = TailBatch(position: position, streams: arrived) }
        return outcome
    }

    /// The marks to answer a sender with.
    func marks(of sender: DeliveryIdentity.Sender) -> DeliveryMarks? {
        deduplication.lastSequence(of: sender).map { DeliveryMarks(synced: $0, archived: $0) }
    }

    /// The ranges of lines that are not stored yet.
    private mutating func newLines(
        of lines: LogLines, doubtful: [Int], keys: [RecentLines.Key]?, arrival: Int64
    ) -> [Range<Int>] {
        var kept: [Range<Int>] = []
        var nextDoubtful = 0
        let keys = lines.origin == nil ? keys ?? RecentLines.keys(of: lines) : []
        for index in 0..<lines.count {
            let isNew: Bool
            if index < keys.count, index % RecentLines.fetchedTogether == 0 {
                recentLines.fetch(keys[index..<min(keys.count, index + RecentLines.fetchedTogether)])
            }
            if let origin = lines.origin {
                let range = lines.offsetStarts[index]..<lines.offsetEnds[index]
                let time = lines.timesNanoseconds[index]
                let standing = deduplication.insert(range, of: origin, nanoseconds: time)
                isNew = standing != .stored
                if standing == .overlapping { counters.overlappingLines += 1 }
            } else {
                let isDoubtful = nextDoubtful < doubtful.count && doubtful[nextDoubtful] == index
                if isDoubtful { nextDoubtful += 1 }
                let isStored = recentLines.settle(keys[index], arrival: arrival)
                isNew = !isDoubtful || !isStored
            }
            guard isNew else { continue }
            if let last = kept.last, last.upperBound == index {
                kept[kept.count - 1] = last.lowerBound..<index + 1
            } else {
                kept.append(index..<index + 1)
            }
        }
        return kept
    }

    private mutating func store(
        _ lines: LogLines, _ kept: [Range<Int>], stream: Int, position: UInt64, arrival: Int64
    ) {
        for range in kept {
            headBytes += heads[stream, default: HeadStream()].append(
                lines, range, position: position, arrivalNanoseconds: arrival)
            let first = range.lowerBound == 0 ? 0 : lines.lineEnds[range.lowerBound - 1]
            counters.lineBytes += lines.lineEnds[range.upperBound - 1] - first
            headLines += range.count
            if heads[stream]?.hasFullBlock == true { hasFullBlock = true }
            oldestArrivalNanoseconds = oldestArrivalNanoseconds ?? arrival
        }
    }

    /// Adds a part that lies on disk, keeping `parts` in order.
    mutating func add(_ reader: PartReader, name: PartName, isPurged: Bool = false) {
        let identifiers = reader.footer.streams.map { streams.insert($0) }
        let part = OpenPart(reader: reader, name: name, streamIdentifiers: identifiers, isPurged: isPurged)
        let index = parts.firstIndex { $0.name.lastPosition > name.lastPosition } ?? parts.count
        parts.insert(part, at: index)
        sealedPosition = max(sealedPosition, name.lastPosition)
    }

    /// Forgets streams that have lines neither in a part nor in the head.
    mutating func forgetEmptyStreams() {
        var isUsed = [Bool](repeating: false, count: streams.identifierBound)
        for part in parts {
            for identifier in part.streamIdentifiers { isUsed[identifier] = true }
        }
        for identifier in heads.keys { isUsed[identifier] = true }
        for identifier in streams.all where !isUsed[identifier] { streams.remove(identifier) }
    }
}
