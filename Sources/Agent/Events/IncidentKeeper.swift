internal import Disk
internal import Synchronization
internal import Telemetry

/// The collection thread's side of `IncidentMemory`: what was missed is told at first sight of a container; what
/// happened is written down first, and only what is on disk is counted and told. Belongs to that thread; files are
/// written on another, one write at a time.
final class IncidentKeeper {
    /// What the keeper is made from.
    struct Setting: Sendable {
        /// What the last run left.
        var memory = IncidentMemory()
        /// Writes the memory down on a thread that may wait for the disk, and calls back there when it is on disk (or
        /// cannot be: then telling twice is better than not telling).
        var write: @Sendable (IncidentMemory, _ whenDone: @escaping @Sendable () -> Void) -> Void
    }

    /// What is to be told once it is written down.
    struct Report: Equatable {
        var events: [HostEvent] = []
        /// The containers whose counters rose.
        var containers: Set<String> = []

        /// Whether there is nothing to tell.
        var isEmpty: Bool { events.isEmpty && containers.isEmpty }
    }

    private let write: @Sendable (IncidentMemory, @escaping @Sendable () -> Void) -> Void
    private let wake: @Sendable () -> Void
    private let counters: EventCounters
    private let before: IncidentMemory
    private var memory: IncidentMemory
    private let agentStart: Int64
    private var examined: Set<String> = []
    private var records: [String: [(sequence: UInt64, kill: KernelRecord.OOMKill)]] = [:]
    private var isChanged = false
    /// What the write under way makes tellable.
    private var writing: (report: Report, counts: EventCounters.Counts)?
    /// Set by the thread that writes.
    private let isWritten = Signal()
    /// What waits for the next write.
    private var waiting = Report()
    /// The number of the kernel's last record that was read.
    var kernelSequence: UInt64

    /// A keeper that calls `wake`, on another thread, when `takeWritten` has something; `kernelLog` is read to its end
    /// for the records since the machine's start.
    init(
        _ setting: Setting, counters: EventCounters, kernelLog: KernelLogReader?, bootID: String, agentStart: Int64,
        wake: @escaping @Sendable () -> Void
    ) {
        write = setting.write
        before = setting.memory
        memory = setting.memory
        self.counters = counters
        self.agentStart = agentStart
        self.wake = wake
        kernelSequence = 0
        let isSameBoot = memory.bootID == bootID && memory.writtenNanoseconds > 0
        kernelLog?.drain { sequence, record in
            guard isSameBoot, case .oomKill(let kill) = record, let id = ContainerPath(kill.group)?.id else { return }
            records[id, default: []].append((sequence, kill))
        }
        kernelSequence = kernelLog?.lastSequence ?? 0
        if !isSameBoot {
            memory.bootID = bootID
            memory.kernelSequence = kernelSequence
            for id in memory.containers.keys { memory.containers[id]?.kernelSequence = 0 }
        }
        // Told again byte for byte: nobody knows whether they had reached the spool.
        waiting.events = memory.recent.filter { agentStart - $0.nanoseconds <= IncidentMemory.recentNanoseconds }
    }

    /// How many kills of a container's cgroup are no news: those told, or those before any agent; nil for none.
    func killsTold(_ container: Container) -> KillBaseline {
        if let entry = memory.containers[container.id], entry.startedNanoseconds == container.startedNanoseconds {
            return .told(entry.killsTold)
        }
        let isOld = container.startedNanoseconds < agentStart
        let isKnown = before.containers[container.id] != nil
        let isMissed = before.writtenNanoseconds > 0 && container.startedNanoseconds > before.writtenNanoseconds
        return isOld && !isKnown && !isMissed ? .past : .told(0)
    }

    /// What happened to a container while no agent ran: once, as soon as its start is known.
    func examine(
        _ container: Container
    ) -> (sightings: [(sighting: IncidentCorrelator.Sighting, source: IncidentCorrelator.Source)], starts: UInt64)? {
        guard container.startedNanoseconds > 0, examined.insert(container.id).inserted else { return nil }
        let missed = before.missed(
            container, records: records.removeValue(forKey: container.id) ?? [], agentStart: agentStart)
        return (missed, before.startsMissed(container))
    }

    /// Whether a container is remembered in another life than the one it lives.
    func isAnew(_ container: Container) -> Bool {
        guard container.startedNanoseconds > 0, let known = memory.containers[container.id] else { return false }
        return known.startedNanoseconds > 0 && known.startedNanoseconds != container.startedNanoseconds
    }

    /// Takes note of a container's life. What happened in the life before must be among what is told by then, because
    /// the next start looks only behind the life that is noted.
    func note(_ container: Container, killsBefore: UInt64) {
        let known = memory.containers[container.id]
        memory.note(container, killsBefore: killsBefore)
        if memory.containers[container.id] != known { isChanged = true }
    }

    /// A container was removed.
    func forget(_ id: String) {
        examined.remove(id)
        if memory.containers.removeValue(forKey: id) != nil { isChanged = true }
    }

    /// An incident is to be told.
    func told(_ incident: IncidentCorrelator.Incident, of container: Container) {
        memory.told(incident, of: container, kernelSequence: kernelSequence)
        isChanged = true
    }

    /// `report` is to be told, with the counts as they are now, as soon as all of it is written down.
    func report(_ report: Report, atNanoseconds now: Int64) {
        memory.keep(report.events, atNanoseconds: now)
        waiting.events += report.events
        waiting.containers.formUnion(report.containers)
    }

    /// Writes down what changed, unless a write is under way: its end will wake the thread again.
    func save(isQuiet: Bool, atNanoseconds now: Int64) {
        guard writing == nil, isChanged || !waiting.isEmpty else { return }
        isChanged = false
        let counts = counters.taken
        for id in memory.containers.keys { memory.containers[id]?.counts = counts.containers[id] ?? [] }
        memory.services = counts.services
        memory.writtenNanoseconds = now
        // A record that is read and not yet told must be read again.
        if isQuiet, records.isEmpty { memory.kernelSequence = kernelSequence }
        writing = (waiting, counts)
        waiting = Report()
        write(memory) { [isWritten, wake] in
            isWritten.set()
            wake()
        }
    }

    /// What is on disk now and not yet told; its counts are published.
    func takeWritten() -> Report? {
        guard isWritten.take(), let written = writing else { return nil }
        writing = nil
        counters.publish(written.counts)
        return written.report
    }
}

/// A word from one thread to another.
private final class Signal: Sendable {
    private let isSet = Atomic<Bool>(false)

    func set() { isSet.store(true, ordering: .releasing) }

    func take() -> Bool { isSet.exchange(false, ordering: .acquiring) }
}

/// Where the watch over a cgroup's counter of kills begins.
enum KillBaseline: Equatable {
    /// So many are told.
    case told(UInt64)
    /// Whatever it says was before any agent.
    case past
}
