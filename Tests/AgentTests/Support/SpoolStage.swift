import Disk
import Synchronization
import Telemetry
import TestSupport
import Wire

@testable import Agent

/// A spool whose worker is driven by hand, and a server beside it that remembers what came under which identity.
struct SpoolStage {
    let spool: Spool
    let worker: SpoolWorker

    /// Opens the spool on `storage`; throws where the disk crashes on the way.
    init(
        _ storage: any FileStorage, _ clock: ManualClock, policy: SpoolPolicy = SpoolPolicy(freeBytesMinimum: 0),
        notices: Notices = Fixture.quiet
    ) throws {
        spool = Spool(
            Spool.Setting(
                folder: "spool", storage: storage, policy: policy, wallClock: clock, notices: notices))
        worker = try SpoolWorker(spool)
    }

    /// A batch of one line.
    static func batch(_ text: String, container: String = "c") -> LogBatch {
        var lines = LogLines(labels: Labels(["container": container]))
        lines.append(nanoseconds: 1, line: text.utf8)
        return LogBatch(streams: [lines])
    }

    /// What waits first in a queue.
    func next(_ queue: DeliveryQueue) -> Outbox.Entry? { spool.shared.withLock { $0.outboxes[queue.rawValue].next } }

    /// Everything that waits in a queue, without sending it.
    func waiting(_ queue: DeliveryQueue) -> Int { spool.shared.withLock { $0.outboxes[queue.rawValue].pendingCount } }

    /// Reads a batch of lines back as a server reads it that knows no declaration.
    func lines(of entry: Outbox.Entry) throws -> LogBatch? {
        guard case .lines(let batch) = try signal(of: entry, in: .lines) else { return nil }
        return batch
    }

    /// Reads any batch back in the same way.
    func signal(of entry: Outbox.Entry, in queue: DeliveryQueue) throws -> AgentBatch.Signal? {
        guard let frames = try worker.frames(of: entry, in: queue) else { return nil }
        let agent = String(repeating: "a", count: 32)
        let sender = DeliveryIdentity.Sender(agent: agent, epoch: entry.epoch, lane: entry.lane)
        let body = AgentBatchEncoder.body(
            information: AgentInformation(agent: agent, node: "n", version: "1", sentNanoseconds: 0),
            delivery: DeliveryIdentity(sender: sender, sequence: entry.sequence),
            frames: try worker.declarations(for: entry, in: queue) + [frames.data])
        return try body.withUnsafeBytes { raw in
            try AgentBatchDecoder(raw).batch(resolving: SeriesDictionary()).batch.signal
        }
    }

    /// The text of a batch of one line.
    func text(of entry: Outbox.Entry) throws -> String? {
        try lines(of: entry)?.streams.first.map { String(decoding: $0.line(0), as: UTF8.self) }
    }
}

/// What a log database keeps of deliveries: a sequence that is not above the last one is a repetition.
struct DeliveryModel {
    private(set) var stored: [DeliveryIdentity: String] = [:]
    private var marks: [DeliveryIdentity.Sender: UInt64] = [:]
    /// Repetitions that were none: another text under a sequence that was used.
    private(set) var conflicts: [String] = []

    var texts: [String] { stored.values.sorted() }

    /// Takes a batch and returns the marks of its sender.
    mutating func take(_ entry: Outbox.Entry, _ text: String) -> DeliveryMarks {
        let sender = DeliveryIdentity.Sender(agent: "a", epoch: entry.epoch, lane: entry.lane)
        let delivery = DeliveryIdentity(sender: sender, sequence: entry.sequence)
        if entry.sequence > marks[sender] ?? 0 {
            stored[delivery] = text
            marks[sender] = entry.sequence
        } else if stored[delivery] != text {
            conflicts.append("\(delivery): \(stored[delivery] ?? "nothing") and \(text)")
        }
        let mark = marks[sender] ?? 0
        return DeliveryMarks(synced: mark, archived: mark)
    }
}
