internal import Disk
internal import Telemetry

/// The collection thread's side of `IncidentMemory`: what was missed is told at first sight of a container, what is
/// told is written down first. Belongs to that thread; files are written on another.
final class IncidentKeeper {
    /// What the keeper is made from.
    struct Setting: Sendable {
        /// What the last run left.
        var memory = IncidentMemory()
        /// Writes the memory down, then tells the events and sends the samples; in this order, on a thread that may
        /// wait for the disk: a counter that was sent must not be lower after a crash.
        var write: @Sendable (IncidentMemory, [HostEvent], SampleBatch?) -> Void
    }

    private let write: @Sendable (IncidentMemory, [HostEvent], SampleBatch?) -> Void
    private let before: IncidentMemory
    private var memory: IncidentMemory
    private let agentStart: Int64
    private var examined: Set<String> = []
    private var records: [String: [(sequence: UInt64, kill: KernelRecord.OOMKill)]] = [:]
    private var isChanged = false
    /// The number of the kernel's last record that was read.
    var kernelSequence: UInt64

    /// A keeper; `missed` are the kernel's records since the machine's start, read to their end.
    init(_ setting: Setting, kernelLog: KernelLogReader?, bootID: String, agentStart: Int64) {
        write = setting.write
        before = setting.memory
        memory = setting.memory
        self.agentStart = agentStart
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
        let events = memory.recent.filter { agentStart - $0.nanoseconds <= IncidentMemory.recentNanoseconds }
        if !events.isEmpty { write(memory, events, nil) }
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

    /// Takes note of a container's life.
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

    /// Writes down what is told, with the counters as they are then, and tells the events.
    func tell(
        _ incidents: [(IncidentCorrelator.Incident, Container)], _ events: [HostEvent], _ samples: SampleBatch?,
        counters: EventCounters, isQuiet: Bool, atNanoseconds now: Int64
    ) {
        for (incident, container) in incidents {
            memory.told(incident, of: container, kernelSequence: kernelSequence)
        }
        memory.keep(events, atNanoseconds: now)
        save(events, samples, counters, isQuiet: isQuiet, atNanoseconds: now)
    }

    /// Writes down what changed without being told.
    func saveIfChanged(counters: EventCounters, isQuiet: Bool, atNanoseconds now: Int64) {
        if isChanged { save([], nil, counters, isQuiet: isQuiet, atNanoseconds: now) }
    }

    private func save(
        _ events: [HostEvent], _ samples: SampleBatch?, _ counters: EventCounters, isQuiet: Bool,
        atNanoseconds now: Int64
    ) {
        isChanged = false
        for id in memory.containers.keys { memory.containers[id]?.counts = counters.counts(of: id) }
        memory.services = counters.services()
        memory.writtenNanoseconds = now
        // A record that is read and not yet told must be read again.
        if isQuiet, records.isEmpty { memory.kernelSequence = kernelSequence }
        write(memory, events, samples)
    }
}

/// Where the watch over a cgroup's counter of kills begins.
enum KillBaseline: Equatable {
    /// So many are told.
    case told(UInt64)
    /// Whatever it says was before any agent.
    case past
}
