internal import Telemetry

/// Puts together what several sources saw of one thing that happened to a container: one OOM kill, one exit. Pure: what
/// was seen and the time go in, incidents come out.
///
/// An incident is told as soon as two sources agree, or a moment after the first one; whoever sees it later only
/// confirms it. An engine's word that memory ran out comes last: it can be late by as long as the engine was stopped,
/// and its silence proves nothing.
struct IncidentCorrelator {
    /// Who saw something. Sources are independent of one another.
    enum Source: String, Sendable, CaseIterable {
        /// Counters and events of the cgroup.
        case cgroup
        /// The kernel's log.
        case kernelLog = "kmsg"
        /// The engine's event stream.
        case engine = "docker"
        /// The main process' own descriptor.
        case process = "pidfd"
        /// What the monitor of Podman's and CRI-O's containers writes down.
        case conmon
        /// The engine's record of a container, read when the agent started.
        case state
    }

    /// What was seen.
    enum Sighting: Equatable, Sendable {
        /// The cgroup counted so many more kills.
        case killCount(UInt64)
        case killRecord(KernelRecord.OOMKill)
        case killClaim
        case exit(code: Int?)
    }

    /// One thing that happened.
    struct Incident: Equatable, Sendable {
        var kind: HostEvent.Kind
        var container: String
        /// When it was first seen, wall clock.
        var nanoseconds: Int64
        /// How often it happened: kills can come in twos.
        var count: UInt64
        /// Who saw it before it was told, the first one first.
        var sources: [Source]
        var details: [String: String]
    }

    /// Two moments of one sighting.
    struct Moment: Equatable, Sendable {
        var wall: Int64
        var monotonic: Int64
    }

    private struct Kills {
        var records: [KernelRecord.OOMKill] = []
        var sizes: [Int32: Int64] = [:]
        var counted: UInt64 = 0
        var hasClaim = false
        var told: UInt64 = 0
        var sources: [Source] = []
        var first: Moment
        var last: Int64
        var due: Int64?

        var proven: UInt64 { max(UInt64(records.count), counted) }
        var isAgreed: Bool { UInt64(records.count) == counted }
    }

    private struct Exit {
        var sources: [Source]
        var code: Int?
        var first: Moment
        var due: Int64
        var isTold = false
    }

    private var kills: [String: Kills] = [:]
    private var exits: [String: [Exit]] = [:]
    /// When a container's last OOM kill was told, monotonic.
    private var lastKill: [String: Int64] = [:]

    /// How long a kill waits for a second source.
    static let killGatherNanoseconds: Int64 = 20_000_000
    /// How long an exit waits for the engine to say the exit code.
    static let exitGatherNanoseconds: Int64 = 70_000_000
    /// How long an exit waits for a second source after the engine told of it.
    static let confirmationNanoseconds: Int64 = 15_000_000
    /// How long an engine's lone word waits for the kernel's proof.
    static let claimNanoseconds: Int64 = 1_000_000_000
    /// Sightings further apart belong to different kills.
    static let killQuietNanoseconds: Int64 = 5_000_000_000
    /// So long after a kill an engine's word is still about that one.
    static let claimMemoryNanoseconds: Int64 = 120_000_000_000
    /// So long after an exit the kernel's other sources are still about that one.
    static let exitJoinNanoseconds: Int64 = 2_000_000_000
    /// The engine may have been stopped meanwhile.
    static let engineJoinNanoseconds: Int64 = 600_000_000_000

    /// Exits remembered per container.
    static let exitsMaximum = 64

    /// Nothing seen yet.
    init() {}

    /// The next moment, monotonic, at which `takeDue` has something; nil when nothing waits.
    var nextDeadline: Int64? {
        let killDue = kills.values.compactMap(\.due).min()
        let exitDue = exits.values.joined().filter { !$0.isTold }.map(\.due).min()
        return [killDue, exitDue].compactMap(\.self).min()
    }

    /// `source` saw something of `container`.
    mutating func saw(_ sighting: Sighting, of container: String, by source: Source, at moment: Moment) {
        switch sighting {
        case .exit(let code): sawExit(code, container, source, moment)
        default: sawKill(sighting, container, source, moment)
        }
    }

    /// The kernel told with which code a container's main process ended whose end was seen: the end is told as soon as
    /// somebody else has seen it, too.
    mutating func learned(exitCode code: Int, of container: String, atNanoseconds now: Int64) {
        guard let index = exits[container]?.lastIndex(where: { $0.code == nil && !$0.isTold }) else { return }
        exits[container]?[index].code = code
        if exits[container]?[index].sources.count ?? 0 > 1 { exits[container]?[index].due = now }
    }

    /// The kernel's log told how large a victim was.
    mutating func sawVictim(_ pid: Int32, anonymousKilobytes: Int64) {
        for (container, state) in kills where state.records.contains(where: { $0.pid == pid }) {
            kills[container]?.sizes[pid] = anonymousKilobytes
        }
    }

    private mutating func sawKill(_ sighting: Sighting, _ container: String, _ source: Source, _ moment: Moment) {
        let now = moment.monotonic
        var state = kills[container] ?? Kills(first: moment, last: now)
        if state.due == nil, now - state.last > Self.killQuietNanoseconds { state = Kills(first: moment, last: now) }
        if case .killClaim = sighting {
            let isLate = lastKill[container].map { now - $0 < Self.claimMemoryNanoseconds } ?? false
            guard !isLate || state.due != nil else { return }
        }
        state.last = now
        if !state.sources.contains(source) { state.sources.append(source) }
        switch sighting {
        case .killCount(let count): state.counted += count
        case .killRecord(let record):
            if !state.records.contains(where: { $0.pid == record.pid }) { state.records.append(record) }
        default: state.hasClaim = true
        }
        if state.proven > state.told {
            // Another kill than the one that was told has its own time.
            if state.due == nil, state.told > 0 { state.first = moment }
            let gathered = state.isAgreed ? now : now + Self.killGatherNanoseconds
            state.due = min(state.due ?? .max, gathered)
        } else if state.hasClaim, state.told == 0 {
            state.due = state.due ?? now + Self.claimNanoseconds
        }
        kills[container] = state
    }

    private mutating func sawExit(_ code: Int?, _ container: String, _ source: Source, _ moment: Moment) {
        var list = exits[container] ?? []
        let reach = source == .engine ? Self.engineJoinNanoseconds : Self.exitJoinNanoseconds
        let joined = list.firstIndex {
            !$0.sources.contains(source) && moment.monotonic - $0.first.monotonic <= reach
        }
        if let joined {
            list[joined].sources.append(source)
            list[joined].code = list[joined].code ?? code
            if list[joined].code != nil {
                list[joined].due = min(list[joined].due, moment.monotonic)
            }
        } else {
            let wait = source == .engine ? Self.confirmationNanoseconds : Self.exitGatherNanoseconds
            list.append(Exit(sources: [source], code: code, first: moment, due: moment.monotonic + wait))
        }
        // A container in a crash loop under a stopped engine must not fill the memory.
        if list.count > Self.exitsMaximum {
            let oldest = list[list.count - Self.exitsMaximum / 2].first.monotonic
            list.removeAll { $0.isTold && $0.first.monotonic < oldest }
        }
        exits[container] = list
    }

    /// The incidents that are to be told now.
    mutating func takeDue(atNanoseconds now: Int64) -> [Incident] {
        var incidents: [Incident] = []
        // A kill is told before the exit it caused.
        for container in kills.keys.sorted() {
            guard let state = kills[container], let due = state.due, due <= now else { continue }
            if let incident = tell(state, container) { incidents.append(incident) }
            kills[container]?.told = max(state.proven, state.hasClaim ? 1 : 0)
            kills[container]?.due = nil
            lastKill[container] = now
        }
        for container in exits.keys.sorted() {
            guard let list = exits[container] else { continue }
            for index in list.indices where !list[index].isTold && list[index].due <= now {
                incidents.append(tell(list[index], container, now))
                exits[container]?[index].isTold = true
            }
        }
        return incidents
    }

    /// What waits for another source about a container is told at the next look: it lives another life already.
    mutating func hasten(_ container: String, atNanoseconds now: Int64) {
        if let due = kills[container]?.due { kills[container]?.due = min(due, now) }
        for index in exits[container]?.indices ?? 0..<0 { exits[container]?[index].due = now }
    }

    /// Forgets a container that was removed.
    mutating func forget(_ container: String) {
        kills[container] = nil
        exits[container] = nil
        lastKill[container] = nil
    }

    private func tell(_ state: Kills, _ container: String) -> Incident? {
        let total = max(state.proven, state.hasClaim ? 1 : 0)
        guard total > state.told else { return nil }
        var details: [String: String] = [:]
        if let record = state.records.last {
            details["victim"] = record.task
            details["pid"] = String(record.pid)
            details["constraint"] = record.constraint
            details["oom_memcg"] = record.limitedBy ?? ""
            details["anon_rss_kilobytes"] = state.sizes[record.pid].map(String.init)
        }
        return Incident(
            kind: .oomKill, container: container, nanoseconds: state.first.wall, count: total - state.told,
            sources: state.sources, details: details)
    }

    private func tell(_ exit: Exit, _ container: String, _ now: Int64) -> Incident {
        var details: [String: String] = [:]
        if let code = exit.code { details["exit_code"] = String(code) }
        let isKilled = lastKill[container].map { now - $0 < Self.killQuietNanoseconds } ?? false
        if isKilled { details["oom_killed"] = "true" }
        return Incident(
            kind: .exit, container: container, nanoseconds: exit.first.wall, count: 1, sources: exit.sources,
            details: details)
    }
}
