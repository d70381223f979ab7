internal import Glibc
internal import Synchronization
internal import Telemetry

/// The collection thread: one readiness loop over the kernel's notices and the clock. At each tick it reads all
/// collectors; at each notice it tells what happened, at once.
final class CollectionLoop {
    /// What the loop is made from.
    struct Setting: Sendable {
        var host: HostRoot
        var node: String
        var intervalMilliseconds: Int64 = 1_000
        var registry: ContainerRegistry
        var counters: EventCounters
        var hub: EventHub
        var waker: Waker
        var notices: Notices
        var wallClock: any WallClock
        var monotonicClock: any MonotonicClock
        var statistics: @Sendable () -> AgentStatistics
        /// Takes a tick's samples, or an event's urgent ones.
        var deliver: @Sendable (SampleBatch, _ isUrgent: Bool) -> Void
        var tell: @Sendable ([HostEvent]) -> Void
        var incidents: IncidentKeeper.Setting
        var limits = SelfLimits()
        /// Whether the process is the agent's alone.
        var scope = CollectionPace.Scope.process
        var textfileFolder: String?
        /// What Kubernetes says of this node; nil where it is not asked.
        var cluster: ClusterView?
        /// Takes the agent's own numbers every few seconds, for those who ask how it is.
        var report: @Sendable (AgentStatistics) -> Void = { _ in }
    }

    private let setting: Setting
    private let context: CollectionContext
    private let loop: ReadyLoop
    private let groups: GroupWatcher
    private let kernelLog: KernelLogReader?
    private let notify: Inotify?
    private let exitFiles: ExitFiles
    private var notified: [Int32: String] = [:]
    private var targets: [String: ContainerTarget] = [:]
    private var generation: UInt64 = .max
    private let hostTarget: HostTarget
    private let ownSamples: OwnSamples
    private var peaks: ServicePeaks
    private let cluster: ClusterSamples?
    private let parents: ParentGroups
    private let pace: CollectionPace
    private let keeper: IncidentKeeper
    private let hostEvents: HostEvents
    private var ticks = 0
    private var lastMilliseconds: Int64 = 0
    /// When counters are read again after the kernel said that memory ran out, monotonic.
    private var rereads: [Int64] = []
    private var metadataSent: Set<String> = []
    private var rounds = (metadata: Rhythm(every: 1_800), report: Rhythm(every: 5))
    /// Lives that began and are noted once what was seen of those before is told.
    private var lives: [Life] = []
    /// Containers that went, forgotten once what was seen of them is told.
    private var removed: [Container] = []

    /// A life of a container that began, and what is told of it.
    private struct Life {
        var container: Container
        var killsBefore: UInt64
        /// Starts and ends that are counted with it.
        var starts: UInt64 = 0
        var exits: UInt64 = 0
        var event: HostEvent?
    }

    /// So far a tick's time is moved onto the multiple of the interval it was meant for.
    private static let stampMilliseconds: Int64 = 100

    /// A kill is counted up to so many milliseconds after the notice.
    private static let rereadMilliseconds: [Int64] = [1, 3, 10, 30, 80, 200]

    /// A loop; nil where the kernel gives no readiness queue.
    init?(_ setting: Setting) {
        guard let loop = ReadyLoop() else { return nil }
        self.setting = setting
        self.loop = loop
        let layout = CgroupLayout(of: setting.host)
        context = CollectionContext(
            host: setting.host, layout: layout, node: setting.node, notices: setting.notices,
            counters: setting.counters, textfileFolder: setting.textfileFolder,
            guest: VMwareGuestLibrary(host: setting.host, notices: setting.notices)
                ?? VMwareBalloonFile(host: setting.host),
            units: setting.host.isMachine ? SystemdUnits() : nil)
        groups = GroupWatcher(
            host: setting.host, layout: layout, registry: setting.registry, clock: setting.monotonicClock)
        kernelLog = KernelLogReader(host: setting.host, notices: setting.notices)
        notify = setting.host.isMachine ? Inotify() : nil
        exitFiles = ExitFiles(host: setting.host, hub: setting.hub)
        hostTarget = HostTarget(context, intervalMilliseconds: setting.intervalMilliseconds)
        ownSamples = OwnSamples(context, intervalMilliseconds: setting.intervalMilliseconds)
        peaks = ServicePeaks(context, intervalMilliseconds: setting.intervalMilliseconds)
        parents = ParentGroups(context, intervalMilliseconds: setting.intervalMilliseconds)
        cluster = setting.cluster.map {
            ClusterSamples($0, node: setting.node, intervalMilliseconds: setting.intervalMilliseconds)
        }
        pace = CollectionPace(setting.limits, scope: setting.scope, node: setting.node, notices: setting.notices)
        // Behind whatever a run that died a moment ago has stamped, which may be a little ahead of its time.
        lastMilliseconds = setting.wallClock.nowMilliseconds + Self.stampMilliseconds
        let bootID = (setting.host.text("/proc/sys/kernel/random/boot_id") ?? "").prefix { $0 != "\n" }
        keeper = IncidentKeeper(
            setting.incidents, counters: setting.counters, kernelLog: kernelLog, bootID: String(bootID),
            agentStart: setting.wallClock.nowNanoseconds, wake: { [waker = setting.waker] in waker.wake() })
        hostEvents = HostEvents(
            context, loop: loop, wallClock: setting.wallClock, monotonicClock: setting.monotonicClock,
            intervalMilliseconds: setting.intervalMilliseconds, tell: setting.tell,
            deliver: { [deliver = setting.deliver] in deliver(SampleBatch(groups: [$0]), true) })
        setting.notices.say(
            layout.searched == nil ? .warning : .information, about: "cgroups",
            layout.searched == nil
                ? "no cgroup hierarchy is mounted: containers have no metrics, the host has"
                : "cgroups are \(layout.summary)")
    }

    /// Runs until `isStopped` says so; wake it then.
    func run(until isStopped: () -> Bool) {
        loop.add(setting.waker.descriptor) { [setting] in setting.waker.drain() }
        if groups.descriptor >= 0 { loop.add(groups.descriptor) { [groups] in groups.drain() } }
        if exitFiles.descriptor >= 0 { loop.add(exitFiles.descriptor) { [exitFiles] in exitFiles.drain() } }
        if let kernelLog {
            loop.add(kernelLog.descriptor) { [unowned self] in
                kernelLog.drain(onWarning: { hostEvents.take(kernelRecord: $0) }) { take($1) }
                keeper.kernelSequence = kernelLog.lastSequence
            }
        }
        if let notify { loop.add(notify.descriptor) { [unowned self] in drainNotices(notify) } }
        var nextTick = setting.monotonicClock.nowNanoseconds
        while !isStopped() {
            loop.wait(milliseconds: milliseconds(until: nextTick))
            let now = setting.monotonicClock.nowNanoseconds
            groups.scanIfDue()
            turn(now, isTick: now >= nextTick)
            if now >= nextTick { nextTick = now + nanosecondsToNextTick() }
        }
    }

    /// One look at everything: follow what changed, read what is to be read, write down what happened, and tell what
    /// is written down. In this order: nothing is counted or told that a crash could make happen again.
    func turn(_ now: Int64, isTick: Bool) {
        follow()
        reread(now)
        if isTick { tick() }
        takeDue()
        tellWritten()
        keeper.save(isQuiet: setting.hub.nextDeadline == nil, atNanoseconds: setting.wallClock.nowNanoseconds)
    }

    private func milliseconds(until nextTick: Int64) -> Int {
        let deadline = [nextTick, setting.hub.nextDeadline, rereads.first].compactMap(\.self).min() ?? nextTick
        let rest = deadline - setting.monotonicClock.nowNanoseconds
        // Rounded up: waking early would only mean to wait again.
        return rest <= 0 ? 0 : Int((rest + 999_999) / 1_000_000)
    }

    /// Ticks fall on whole multiples of the interval, so that all agents' samples share their times.
    private func nanosecondsToNextTick() -> Int64 {
        let interval = setting.intervalMilliseconds * Int64(pace.factor) * 1_000_000
        let rest = interval - setting.wallClock.nowNanoseconds % interval
        return rest < interval / 4 ? rest + interval : rest
    }

    /// The wall clock, moved onto the tick it was meant for when it is close.
    private func stamp() -> Int64 {
        let interval = setting.intervalMilliseconds * Int64(pace.factor)
        let now = setting.wallClock.nowMilliseconds
        let nearest = (now + interval / 2) / interval * interval
        return abs(now - nearest) <= min(Self.stampMilliseconds, interval / 4) ? nearest : now
    }
}

extension CollectionLoop {
    /// Reads everything once and hands it on.
    func tick() {
        var milliseconds = stamp()
        // Never twice the same time; a clock that jumped far back is followed.
        if milliseconds <= lastMilliseconds, lastMilliseconds - milliseconds < 10 * setting.intervalMilliseconds {
            milliseconds = lastMilliseconds + 1
        }
        lastMilliseconds = milliseconds
        let tick = Tick(nanoseconds: milliseconds * 1_000_000, number: ticks)
        let began = setting.monotonicClock.nowNanoseconds
        ticks += pace.factor
        var batch = SampleBatch(groups: hostTarget.collect(tick))
        var metadata = hostTarget.takeMetadata()
        for target in targets.values {
            target.watch?.look()
            batch.groups += target.collect(tick)
            metadata += target.takeMetadata()
            if let usage = target.takeUsage(tick) { peaks.add(usage, of: target.service) }
        }
        if let group = peaks.finish(tick) { batch.groups.append(group) }
        metadata += peaks.samples.takeMetadata()
        batch.groups += parents.follow(
            groups.above.paths, generation: groups.above.generation, setting.registry.snapshot,
            milliseconds: milliseconds)
        batch.groups += parents.collect(tick)
        metadata += parents.takeMetadata()
        if let cluster {
            batch.groups += cluster.collect(tick)
            metadata += cluster.takeMetadata()
        }
        if let group = hostEvents.collect(tick) { batch.groups.append(group) }
        metadata += hostEvents.takeMetadata()
        let now = setting.monotonicClock.nowNanoseconds
        let statistics = statistics(collectionNanoseconds: now - began, samples: batch.sampleCount)
        if rounds.report.isDue(at: tick.number) { setting.report(statistics) }
        ownSamples.collect(tick, statistics, services: setting.counters.services())
        batch.groups.append(ownSamples.samples.group)
        metadata += ownSamples.samples.takeMetadata()
        // Once per run, and now and then for a server that lost it.
        if rounds.metadata.isDue(at: tick.number) { metadataSent = [] }
        batch.metadata = metadata.filter { metadataSent.insert($0.metricName).inserted }
        setting.deliver(batch, false)
        let event = pace.judge(
            cpuSeconds: statistics.cpuSeconds, memoryBytes: statistics.residentBytes,
            intervalMilliseconds: setting.intervalMilliseconds, clock: setting.wallClock, atNanoseconds: now)
        if let event { setting.tell([event]) }
    }

    private func statistics(collectionNanoseconds: Int64, samples: Int) -> AgentStatistics {
        var statistics = setting.statistics()
        statistics.samples = samples
        statistics.collectionSeconds = Double(collectionNanoseconds) / 1e9
        statistics.intervalSeconds = Double(setting.intervalMilliseconds * Int64(pace.factor)) / 1e3
        statistics.step = pace.step
        statistics.degradations = pace.degradations
        return statistics
    }

    /// Follows the registry: new containers get collectors and a watch, removed ones end.
    private func follow() {
        let snapshot = setting.registry.snapshot
        guard snapshot.generation != generation else { return }
        generation = snapshot.generation
        let milliseconds = setting.wallClock.nowMilliseconds
        var ended: [SampleGroup] = []
        var begun: [String] = []
        for (id, container) in snapshot.containers {
            let known = targets[id]?.container
            if container.startedNanoseconds > 0, container.startedNanoseconds != known?.startedNanoseconds {
                begun.append(id)
            }
            if known?.processIdentifier != container.processIdentifier { exitFiles.follow(container) }
            if let target = targets[id] {
                ended += target.adopt(container, milliseconds: milliseconds)
            } else {
                setting.counters.discover(container)
                targets[id] = ContainerTarget(
                    container, context: context, intervalMilliseconds: setting.intervalMilliseconds)
            }
            var life = Life(container: container, killsBefore: 0)
            lookBack(container, &life)
            if let known, Self.isRestart(known, container) { startedAgain(known, container, &life) }
            targets[id]?.watch(
                loop: loop, hub: setting.hub, baseline: keeper.killsTold(container),
                onEnd: { [setting] started in
                    setting.registry.noteEnd(
                        of: id, startedNanoseconds: started, atNanoseconds: setting.monotonicClock.nowNanoseconds)
                }, prepare: { subscribe($0) })
            life.killsBefore = targets[id]?.watch?.killsBefore ?? 0
            hostEvents.follow(container)
            if life.event != nil || keeper.isAnew(container) {
                setting.hub.hasten(id)
                lives.append(life)
            } else {
                keeper.note(container, killsBefore: life.killsBefore)
            }
        }
        for (id, target) in targets where snapshot.containers[id] == nil {
            ended += target.end(milliseconds: milliseconds)
            targets[id] = nil
            hostEvents.forget(id)
            // What was seen of it is still told, and counts for its service.
            setting.hub.hasten(id)
            removed.append(target.container)
        }
        if !ended.isEmpty { setting.deliver(SampleBatch(groups: ended), false) }
        // A life may be over before the next tick. (The first tick follows at once.)
        if ticks > 0 { sendEvents(of: begun) }
    }

    /// Sends the starts and the counters of some containers now.
    private func sendEvents(of containers: some Collection<String>) {
        guard !containers.isEmpty else { return }
        let tick = eventTick()
        let groups = containers.sorted().compactMap { targets[$0]?.collectEvents(tick) }
        if !groups.isEmpty { setting.deliver(SampleBatch(groups: groups), true) }
    }

    private func subscribe(_ watch: ContainerWatch) {
        guard let notify else { return }
        for path in watch.notifyingPaths() {
            if let number = notify.watch(path, [.modified]) { notified[number] = watch.container }
        }
    }

    private func drainNotices(_ notify: Inotify) {
        var changed: Set<String> = []
        notify.drain { watch, events in
            if events.contains(.overflow) { changed.formUnion(targets.keys) }
            if let id = notified[watch] { changed.insert(id) }
            if events.contains(.gone) { notified[watch] = nil }
        }
        for id in changed { targets[id]?.watch?.look() }
    }

    /// The kernel's log told of a kill.
    private func take(_ record: KernelRecord) {
        switch record {
        case .oomKill(let kill):
            guard let id = ContainerPath(kill.group)?.id else {
                return setting.tell([kill.hostEvent(setting.node, setting.wallClock)])
            }
            setting.hub.saw(.killRecord(kill), of: id, by: .kernelLog)
            targets[id]?.watch?.isExpectingKill = true
        case .killed(let pid, _, let kilobytes):
            if let kilobytes { setting.hub.sawVictim(pid, anonymousKilobytes: kilobytes) }
        case .taskKilled(let group, let limit):
            guard let id = ContainerPath(group)?.id else { return }
            let kill = KernelRecord.OOMKill(
                constraint: "CONSTRAINT_MEMCG", limitedBy: limit, group: group, task: "", pid: 0)
            setting.hub.saw(.killRecord(kill), of: id, by: .kernelLog)
        }
    }

    /// After a notice that memory ran out, the counters are read until the kill is counted.
    private func reread(_ now: Int64) {
        for target in targets.values {
            guard let watch = target.watch, watch.isExpectingKill else { continue }
            watch.isExpectingKill = false
            rereads += Self.rereadMilliseconds.map { now + $0 * 1_000_000 }
        }
        guard let first = rereads.min(), first <= now else { return rereads.sort() }
        rereads.removeAll { $0 <= now }
        rereads.sort()
        for target in targets.values { target.watch?.look() }
    }

    private static func isRestart(_ before: Container, _ after: Container) -> Bool {
        before.startedNanoseconds > 0 && after.startedNanoseconds > before.startedNanoseconds
    }

    /// A container that is watched began another life.
    private func startedAgain(_ before: Container, _ after: Container, _ life: inout Life) {
        life.starts += 1
        let details = Labels([
            "previous_started_at": Timestamps.rfc3339(nanoseconds: before.startedNanoseconds),
            "started_at": Timestamps.rfc3339(nanoseconds: after.startedNanoseconds),
        ])
        life.event = HostEvent(
            .restart, nanoseconds: setting.wallClock.nowNanoseconds, source: "agent",
            subject: after.identity(node: setting.node), details: details,
            text: "container \(after.name) was started again")
    }

    /// Reports what happened to a container while no agent ran; its counters are sent as they were before, so that
    /// their rise is seen.
    private func lookBack(_ container: Container, _ life: inout Life) {
        guard let (sightings, starts) = keeper.examine(container), !sightings.isEmpty || starts > 0 else { return }
        if let group = targets[container.id]?.collectEvents(eventTick()) {
            setting.deliver(SampleBatch(groups: [group]), true)
        }
        let finished = container.finishedNanoseconds > 0 ? container.finishedNanoseconds : nil
        for (sighting, source) in sightings {
            setting.hub.saw(sighting, of: container.id, by: source, atNanoseconds: finished)
        }
        guard starts > 0 else { return }
        life.starts += starts
        // The last end is among the sightings; those between were seen by nobody.
        life.exits += starts - 1
        let details = Labels(["started_at": Timestamps.rfc3339(nanoseconds: container.startedNanoseconds)])
        life.event = HostEvent(
            .restart, nanoseconds: container.startedNanoseconds, source: "agent",
            subject: container.identity(node: setting.node), details: details,
            text: "container \(container.name) was started again while no agent ran")
    }

    /// A time for samples between two ticks.
    private func eventTick() -> Tick {
        lastMilliseconds = max(lastMilliseconds + 1, setting.wallClock.nowMilliseconds)
        return Tick(nanoseconds: lastMilliseconds * 1_000_000, number: ticks)
    }

    /// Counts what is due, and has it written down.
    private func takeDue() {
        var report = IncidentKeeper.Report()
        for incident in setting.hub.takeDue(atNanoseconds: setting.monotonicClock.nowNanoseconds) {
            let container =
                setting.registry.container(incident.container)
                ?? removed.first { $0.id == incident.container } ?? groups.gone[incident.container]
                ?? Container(id: incident.container)
            keeper.told(incident, of: container)
            setting.counters.add(
                incident.kind == .oomKill ? .oomKill : .exit, to: container, count: incident.count)
            let usage = incident.kind == .exit ? context.lastReadings.take(container.id) : [:]
            report.events.append(incident.event(of: container, node: setting.node, usage: usage))
            report.containers.insert(container.id)
        }
        for life in lives {
            keeper.note(life.container, killsBefore: life.killsBefore)
            if life.starts > 0 { setting.counters.add(.start, to: life.container, count: life.starts) }
            if life.exits > 0 { setting.counters.add(.exit, to: life.container, count: life.exits) }
            guard let event = life.event else { continue }
            report.events.append(event)
            report.containers.insert(life.container.id)
        }
        lives = []
        for container in removed where setting.registry.container(container.id) == nil {
            setting.counters.forget(container: container.id)
            setting.hub.forget(container.id)
            context.lastReadings.forget(container.id)
            keeper.forget(container.id)
        }
        removed = []
        if !report.isEmpty { keeper.report(report, atNanoseconds: setting.wallClock.nowNanoseconds) }
    }

    /// Tells what is on disk: events, and the counters that rose.
    private func tellWritten() {
        guard let report = keeper.takeWritten(), !report.isEmpty else { return }
        if !report.events.isEmpty { setting.tell(report.events) }
        sendEvents(of: report.containers)
    }
}
