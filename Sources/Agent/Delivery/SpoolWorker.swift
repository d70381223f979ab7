internal import Disk
internal import Glibc
internal import Synchronization
internal import Telemetry
internal import Wire

/// The disk side of the spool: appends, syncs, reads back, cuts, gives up. Belongs to one thread.
final class SpoolWorker {
    private let spool: Spool
    private let setting: Spool.Setting
    private var queues: [SpoolQueue]
    private var ledger: SpoolLedger
    private var writtenLedger: SpoolLedger?
    /// Batches the disk had no room for, to be tried again.
    private var stuck: [Spool.Work] = []
    private var rejectedNumber = 0
    /// Whether the disk refused something in this turn, and since it last took everything.
    private var isRefused = false
    private var isRefusing = false
    private var batchesLost = 0

    /// Ids are reserved in such blocks, so that the ledger is written seldom.
    private static let labelIDBlock: UInt64 = 65_536
    private static let rejectedMaximum = 64
    private static let stuckMaximum = 4_096

    /// The subject of what is said about the disk.
    private static let disk = "spool disk"

    /// Opens the spool's queues and puts what an earlier run left into the outboxes.
    init(_ spool: Spool) throws {
        self.spool = spool
        let setting = spool.setting
        self.setting = setting
        try setting.storage.makeFolder(setting.folder)
        var ledger = Self.ledger(setting)
        queues = try DeliveryQueue.allCases.map {
            try SpoolQueue(
                $0, folder: setting.folder, storage: setting.storage, ledger: ledger,
                segmentBytes: min($0.segmentBytes, max(16 << 10, setting.policy.bytesMaximum / 16)))
        }
        let damage = queues.compactMap(\.damage)
        if !damage.isEmpty {
            ledger.epoch += 1
            for queue in queues { queue.begin(epoch: ledger.epoch) }
            for lane in DeliveryIdentity.Lane.allCases {
                for queue in DeliveryQueue.allCases { ledger[queue, lane] = 0 }
            }
            setting.notices.say(.error, about: "spool damage", damage.joined(separator: "; "))
        }
        self.ledger = ledger
        spool.direct.epoch = max(ledger.epoch + 1, UInt64(max(1, setting.wallClock.nowNanoseconds / 1_000_000_000)))
        try reserveLabelIDs()
        let recovered = queues.map { $0.takeRecovered() }
        spool.shared.withLock { shared in
            for (index, entries) in recovered.enumerated() {
                for entry in entries { shared.outboxes[index].add(entry) }
            }
        }
        report()
    }

    private static func ledger(_ setting: Spool.Setting) -> SpoolLedger {
        // Seconds since 1970: above the epoch of any spool that was there before, whatever became of it.
        let fresh = SpoolLedger(epoch: UInt64(max(1, setting.wallClock.nowNanoseconds / 1_000_000_000)))
        let path = Self.ledgerPath(setting)
        do {
            let bytes = try AtomicFile.read(path, in: setting.storage, maximumBytes: 1 << 20)
            guard let bytes else { return fresh }
            return try SpoolLedger(decoding: bytes)
        } catch {
            setting.notices.say(
                .error, about: path,
                "the spool's ledger \(path) cannot be read (\(error)); a new epoch begins, what waits is sent again")
            return fresh
        }
    }

    private static func ledgerPath(_ setting: Spool.Setting) -> String { "\(setting.folder)/ledger" }

    /// Works until the spool is closed.
    func run() {
        while true {
            var wait = pollfd(fd: spool.waker.descriptor, events: Int16(POLLIN), revents: 0)
            poll(&wait, 1, stuck.isEmpty ? 1_000 : 250)
            spool.waker.drain()
            turn()
            if spool.shared.withLock({ $0.isClosed && $0.incoming.isEmpty }) { break }
        }
        writeLedger()
        finish()
    }

    /// Does everything that waits, once.
    func turn() {
        let work = spool.shared.withLock { shared in
            defer {
                shared.incoming = []
                shared.incomingBytes = 0
            }
            return shared.incoming
        }
        if !work.isEmpty { spool.tellRoom() }
        let batches = stuck + work
        stuck = []
        isRefused = false
        append(batches)
        for item in work { answer(item) }
        maintain()
        if !isRefused, !batches.isEmpty { settle() }
    }

    /// Ends the threads that still wait.
    private func finish() {
        let waiters = spool.shared.withLock { shared in
            defer { shared.waiters = [:] }
            return shared.waiters.values.map { $0 }
        }
        for waiter in waiters { waiter.resume(returning: nil) }
    }
}

extension SpoolWorker {
    /// Appends batches, makes them durable with one sync per queue, then offers them to the forwarder.
    private func append(_ works: [Spool.Work]) {
        var added: [(DeliveryQueue, Outbox.Entry, AgentFrames)] = []
        var lanes: [Int: DeliveryIdentity.Lane] = [:]
        for work in works {
            guard case .batch(let queue, let signal, let nanoseconds, let ticket, _) = work else { continue }
            let lane =
                lanes[queue.rawValue]
                ?? spool.shared.withLock { $0.outboxes[queue.rawValue].laneForNew }
            lanes[queue.rawValue] = lane
            do {
                let (entry, frames) = try queues[queue.rawValue].append(
                    signal, lane: lane, nanoseconds: nanoseconds, ticket: ticket)
                added.append((queue, entry, frames))
            } catch {
                refuse(work, queue, error)
            }
        }
        guard !added.isEmpty else { return }
        var failed: Set<Int> = []
        for queue in Set(added.map(\.0.rawValue)) {
            do {
                try queues[queue].sync()
            } catch {
                failed.insert(queue)
                say(error)
            }
        }
        do {
            try reserveLabelIDs()
        } catch {
            say(error)
        }
        let ready = spool.shared.withLock { shared in
            for (queue, entry, frames) in added where !failed.contains(queue.rawValue) {
                shared.outboxes[queue.rawValue].add(entry)
                shared.remember(frames, entry, queue)
            }
            return shared.ready()
        }
        for (waiter, entry) in ready { waiter.resume(returning: entry) }
    }

    /// The disk did not take a batch: lines wait, everything else goes to the server from memory.
    private func refuse(_ work: Spool.Work, _ queue: DeliveryQueue, _ error: StorageError) {
        say(error)
        guard case .batch(_, let signal, _, _, let bytes) = work else { return }
        if queue != .lines {
            let dropped = spool.direct.add(queue, signal, bytes: bytes)
            batchesLost += dropped
            spool.shared.withLock { $0.statistics.droppedBatches += UInt64(dropped) }
        } else if error.kind == .noSpace, stuck.count < Self.stuckMaximum {
            stuck.append(work)
        } else {
            spool.shared.withLock { $0.statistics.droppedBatches += 1 }
        }
    }

    private func say(_ error: StorageError) {
        isRefused = true
        isRefusing = true
        // Which file it was changes from one time to the next, and matters only where the disk is not just full.
        let reason = error.kind == .noSpace ? "the disk is full" : "\(error)"
        setting.notices.say(
            .error, about: SpoolWorker.disk,
            """
            the spool in \(setting.folder) cannot be written (\(reason)); log lines stay in their files, samples and \
            events go to the server from memory and are lost where it takes none; free space or check the disk
            """)
    }

    /// All that was asked for was written.
    private func settle() {
        guard isRefusing else { return }
        isRefusing = false
        setting.notices.settle(SpoolWorker.disk)
        setting.notices.deliver(
            AgentNotice(
                .information,
                "the spool in \(setting.folder) is written again; \(batchesLost) batches of samples were lost meanwhile"
            ))
        batchesLost = 0
    }

    private func answer(_ work: Spool.Work) {
        switch work {
        case .batch: break
        case .frames(let queue, let entry, let continuation):
            continuation.resume(with: Result { try frames(of: entry, in: queue) })
        case .declarations(let queue, let entry, let continuation):
            continuation.resume(with: Result { try declarations(for: entry, in: queue) })
        case .keepRejected(let queue, let entry, let reason): keepRejected(queue, entry, reason)
        }
    }

    /// Reads a batch back from disk; nil when it is not there any more.
    func frames(of entry: Outbox.Entry, in queue: DeliveryQueue) throws -> AgentFrames? {
        try queues[queue.rawValue].frames(of: entry)
    }

    /// Everything declared in a batch's segment up to it.
    func declarations(for entry: Outbox.Entry, in queue: DeliveryQueue) throws -> [[UInt8]] {
        try queues[queue.rawValue].declarations(for: entry)
    }

    /// Keeps a batch that the server refused for good, for a person to look at.
    private func keepRejected(_ queue: DeliveryQueue, _ entry: Outbox.Entry, _ reason: String) {
        let folder = "\(setting.folder)/rejected"
        let path = "\(folder)/\(rejectedNumber % Self.rejectedMaximum).batch"
        rejectedNumber += 1
        do {
            guard let frames = try frames(of: entry, in: queue) else { return }
            try setting.storage.makeFolder(folder)
            try AtomicFile.write(frames.declarations + frames.data, to: path, in: setting.storage)
            setting.notices.say(
                .error, about: "rejected \(reason)",
                "the server refused a batch of \(queue.folder) for good (\(reason)); it is kept in \(path)")
        } catch {
            setting.notices.say(
                .error, about: "rejected \(reason)",
                "the server refused a batch of \(queue.folder) for good (\(reason)); it could not be kept: \(error)")
        }
    }
}

extension SpoolWorker {
    /// Cuts what is not needed, gives up what does not fit, writes the ledger.
    private func maintain() {
        let needed = spool.shared.withLock { shared in shared.outboxes.map(\.neededFrom) }
        for queue in DeliveryQueue.allCases { noteArchived(queue) }
        writeLedger()
        for (queue, position) in zip(queues, needed) {
            do {
                try queue.cut(before: position)
            } catch {
                say(error)
            }
        }
        giveUp()
        report()
    }

    /// Everything in front of the first needed sequence may be forgotten.
    private func noteArchived(_ queue: DeliveryQueue) {
        let marks = spool.shared.withLock { $0.outboxes[queue.rawValue].archived(epoch: ledger.epoch) }
        for (lane, mark) in zip(DeliveryIdentity.Lane.allCases, marks) where mark > ledger[queue, lane] {
            ledger[queue, lane] = mark
        }
    }

    private func reserveLabelIDs() throws(StorageError) {
        var isChanged = writtenLedger == nil
        for (index, queue) in queues.enumerated() where queue.followingLabelID >= ledger.labelIDs[index] || isChanged {
            ledger.labelIDs[index] = queue.followingLabelID + Self.labelIDBlock
            isChanged = true
        }
        guard isChanged else { return }
        try AtomicFile.write(ledger.encoded, to: Self.ledgerPath(setting), in: setting.storage)
        writtenLedger = ledger
    }

    private func writeLedger() {
        guard ledger != writtenLedger else { return }
        do throws(StorageError) {
            try AtomicFile.write(ledger.encoded, to: Self.ledgerPath(setting), in: setting.storage)
            writtenLedger = ledger
        } catch {
            say(error)
        }
    }

    private func giveUp() {
        var lost: [LogLoss] = []
        // Bounded, because on a disk that others fill giving up does not help for ever.
        for _ in 0..<64 {
            guard let victim = victim() else { break }
            do {
                lost += try giveUpOldest(victim)
            } catch {
                setting.notices.say(.error, about: "spool give up", "\(error)")
                break
            }
        }
        guard !lost.isEmpty else { return }
        let now = setting.wallClock.nowNanoseconds
        append([.batch(.lines, .lines(LogBatch(streams: [], losses: lost)), nanoseconds: now, ticket: 0, bytes: 0)])
    }

    private func victim() -> DeliveryQueue? {
        setting.policy.victim(
            sizes: queues.map(\.bytesOnDisk), canGiveUp: queues.map(\.canGiveUp), availableBytes: availableBytes)
    }

    private var availableBytes: UInt64 {
        (try? setting.storage.space(at: setting.folder).availableBytes) ?? .max
    }

    private func giveUpOldest(_ queue: DeliveryQueue) throws -> [LogLoss] {
        let (position, records) = try queues[queue.rawValue].giveUpOldest()
        let entries = spool.shared.withLock { shared in
            let entries = shared.outboxes[queue.rawValue].giveUp(before: position)
            for entry in entries { shared.forget(entry, queue) }
            shared.statistics.givenUpBatches += UInt64(entries.count)
            return entries
        }
        let lost = Set(entries.map { SpoolBatchKey(epoch: $0.epoch, lane: $0.lane, sequence: $0.sequence) })
        let losses = records.filter { lost.contains(SpoolBatchKey($0)) }.flatMap(\.summary)
        // A tombstone that is given up is carried on, and was counted when its lines were.
        let lines = losses.filter(\.reason.isEmpty).reduce(0) { $0 + UInt64($1.lines) }
        spool.shared.withLock { $0.statistics.givenUpLines += lines }
        let merged = SpoolTombstones.merge(losses)
        spool.settle(entries)
        if !entries.isEmpty {
            setting.notices.say(
                .warning, about: "spool full \(queue.folder)",
                """
                the spool in \(setting.folder) is full: the oldest \(queue.folder) are given up until the server takes \
                them again; lost lines are told to the server
                """)
        }
        return merged
    }

    private func report() {
        let sizes = queues.map(\.bytesOnDisk)
        let isAccepting =
            stuck.isEmpty && setting.policy.isAcceptingLines(sizes: sizes, availableBytes: availableBytes)
        let before = spool.shared.withLock { shared in
            defer { shared.acceptsLines = isAccepting }
            shared.statistics.bytesOnDisk = sizes
            return shared.acceptsLines
        }
        if isAccepting, !before { spool.tellRoom() }
    }
}
