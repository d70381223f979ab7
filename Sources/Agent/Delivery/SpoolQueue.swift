internal import Disk
internal import Telemetry
internal import Wire

/// One queue on disk: a segmented log of batches, their encoder, and the numbers the next one gets. Belongs to the
/// spool's thread.
final class SpoolQueue {
    let queue: DeliveryQueue
    private let log: SegmentedLog
    private var encoder: AgentFrameEncoder
    private var segmentStart: UInt64 = 0
    private var nextSequence: [UInt64]
    /// Batches of an earlier run that the server does not have yet, in order.
    private(set) var recovered: [Outbox.Entry] = []
    /// What opening found, for a notice; nil when the spool was whole.
    let damage: String?
    /// The epoch of new batches.
    private(set) var epoch: UInt64

    /// Opens the queue and reads what an earlier run left.
    init(
        _ queue: DeliveryQueue, folder: String, storage: any FileStorage, ledger: SpoolLedger, segmentBytes: UInt64
    ) throws {
        self.queue = queue
        let options = SegmentedLog.Options(
            segmentBytes: segmentBytes, growthBytes: min(256 << 10, segmentBytes / 4))
        let log = try SegmentedLog(folder: "\(folder)/\(queue.folder)", in: storage, options: options)
        self.log = log
        var recovered: [Outbox.Entry] = []
        var last = Array(repeating: UInt64(0), count: DeliveryIdentity.Lane.allCases.count)
        for lane in DeliveryIdentity.Lane.allCases { last[Int(lane.rawValue)] = ledger[queue, lane] }
        let marks = last
        let replay = try log.read(from: log.firstPosition) { frame in
            var reader = ByteReader(frame.payload)
            guard let header = try? SpoolRecord.header(&reader) else { return true }
            let lane = Int(header.lane.rawValue)
            if header.epoch == ledger.epoch {
                last[lane] = max(last[lane], header.sequence)
                if header.sequence <= marks[lane] { return true }
            }
            recovered.append(
                Outbox.Entry(
                    position: frame.position.ordinal, epoch: header.epoch, lane: header.lane,
                    sequence: header.sequence, segmentStart: header.segmentStart, nanoseconds: header.nanoseconds,
                    bytes: frame.payload.count, ticket: 0))
            return true
        }
        self.recovered = recovered
        let isWhole = log.recovery.framesLost == 0 && log.recovery.quarantined.isEmpty && replay.framesLost == 0
        damage = isWhole ? nil : "\(log.recovery)"
        epoch = ledger.epoch
        nextSequence = last.map { $0 + 1 }
        encoder = AgentFrameEncoder(firstID: ledger.labelIDs[queue.rawValue])
        log.segmentPreamble = { [unowned self] in
            encoder.beginSegment()
            segmentStart = self.log.endPosition.ordinal
            return []
        }
        // What is declared in the last segment is unknown to this run's encoder.
        try log.rotate()
    }

    /// Counts from 1 in a new epoch: sequences that were lost with damaged segments may have been used.
    func begin(epoch: UInt64) {
        self.epoch = epoch
        nextSequence = nextSequence.map { _ in 1 }
    }

    /// Hands over what an earlier run left.
    func takeRecovered() -> [Outbox.Entry] {
        defer { recovered = [] }
        return recovered
    }

    /// The id that the next new label set gets; it must be in the ledger before a batch that uses it is sent.
    var followingLabelID: UInt64 { encoder.followingID }

    /// The bytes on disk.
    var bytesOnDisk: UInt64 { log.bytesOnDisk }

    /// Whether there is more than one segment, so that the oldest can be given up; a lone one is closed for it.
    var canGiveUp: Bool { log.segmentCount > 1 || log.endPosition > log.firstPosition }

    /// Encodes and appends a batch. It is kept once `sync` returned.
    func append(
        _ signal: AgentBatch.Signal, lane: DeliveryIdentity.Lane, nanoseconds: Int64, ticket: UInt64
    ) throws(StorageError) -> (entry: Outbox.Entry, frames: AgentFrames) {
        try log.begin()
        let frames = encoder.encode(signal)
        let sequence = nextSequence[Int(lane.rawValue)]
        var summary: [LogLoss] = []
        if case .lines(let batch) = signal { summary = SpoolRecord.summary(of: batch) }
        // The first record of a segment stands where the preamble was asked for.
        let header = SpoolRecord.Header(
            lane: lane, epoch: epoch, sequence: sequence, segmentStart: segmentStart, nanoseconds: nanoseconds)
        let payload = SpoolRecord(header, summary: summary, frames: frames).encoded
        do {
            let position = try log.append(kind: SpoolRecord.kind, payload)
            nextSequence[Int(lane.rawValue)] = sequence + 1
            let entry = Outbox.Entry(
                position: position.ordinal, epoch: epoch, lane: lane, sequence: sequence, segmentStart: segmentStart,
                nanoseconds: nanoseconds, bytes: payload.count, ticket: ticket)
            return (entry, frames)
        } catch {
            // What was declared in the record that is not there must be declared again.
            encoder.beginSegment()
            throw error
        }
    }

    /// Makes everything appended durable.
    func sync() throws(StorageError) {
        if !log.isSynced { try log.sync() }
    }

    /// Removes segments that hold nothing from `position` on.
    func cut(before position: UInt64?) throws(StorageError) {
        try log.cut(before: position.map { LogPosition($0) } ?? log.endPosition)
    }

    /// Gives up the oldest segment. Returns the position behind it and what was in it.
    func giveUpOldest() throws -> (before: UInt64, records: [SpoolRecord]) {
        if log.segmentCount == 1 { try log.rotate() }
        var records: [SpoolRecord] = []
        var start: UInt64?
        var end = log.endPosition
        _ = try log.read(from: log.firstPosition) { frame in
            guard let record = try? SpoolRecord(decoding: frame.payload) else { return true }
            // A change of the segment's start is the end of the oldest segment.
            if let start, record.segmentStart != start {
                end = frame.position
                return false
            }
            start = record.segmentStart
            records.append(record)
            return true
        }
        try log.cut(before: end)
        return (end.ordinal, records)
    }

    /// Reads a batch back; nil when it is not there any more.
    func frames(of entry: Outbox.Entry) throws -> AgentFrames? {
        var frames: AgentFrames?
        _ = try log.read(from: LogPosition(entry.position)) { frame in
            if frame.position.ordinal == entry.position {
                frames = try SpoolRecord(decoding: frame.payload).frames
            }
            return false
        }
        return frames
    }

    /// Everything that was declared in a batch's segment up to it, itself included.
    func declarations(for entry: Outbox.Entry) throws -> [[UInt8]] {
        var declarations: [[UInt8]] = []
        _ = try log.read(from: LogPosition(entry.segmentStart)) { frame in
            guard frame.position.ordinal <= entry.position else { return false }
            let record = try SpoolRecord(decoding: frame.payload)
            if record.segmentStart == entry.segmentStart, !record.frames.declarations.isEmpty {
                declarations.append(record.frames.declarations)
            }
            return frame.position.ordinal < entry.position
        }
        return declarations
    }
}
