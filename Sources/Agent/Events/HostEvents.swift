internal import Telemetry

/// What the kernel and systemd tell beside the lives of containers: pressure, failed units, kernel warnings. Each
/// becomes an event, at once, and counts in a metric. Belongs to the collection thread.
final class HostEvents {
    /// What happens is told here, and counters between ticks.
    private let tell: ([HostEvent]) -> Void
    private let deliver: (SampleGroup) -> Void
    private let context: CollectionContext
    private let loop: ReadyLoop
    private let wallClock: any WallClock
    private let monotonicClock: any MonotonicClock
    private let samples: TargetSamples
    private var counts: [Labels: (slot: TargetSamples.Slot, value: Double)] = [:]
    private var told: [String: (atNanoseconds: Int64, sinceThen: Int)] = [:]
    private var hostTriggers: [PressureTrigger] = []
    private var triggers: [String: (life: ContainerWatch.Life, triggers: [PressureTrigger])] = [:]
    private var unitWatches: [any UnitFailureWatch] = []
    private var unitsTold: [String: Int64] = [:]

    private static let pressure = Metric.counter(
        "container_pressure_events_total", "Times the kernel told that tasks of the container waited for long.")
    private static let hostPressure = Metric.counter(
        "node_pressure_events_total", "Times the kernel told that tasks of the host waited for long.")
    private static let unitFailures = Metric.counter(
        "node_systemd_unit_failures_total", "Failures of systemd units.")
    private static let warnings = Metric.counter(
        "node_kernel_warnings_total", "Warnings in the kernel's log, by kind.")
    /// Of one kind about one subject one event is told in so long; the others are counted.
    private static let quietNanoseconds: Int64 = 60_000_000_000
    private static let seriesMaximum = 4_096
    private static let sameFailureNanoseconds: Int64 = 1_000_000_000

    /// The host's own triggers and watches, where the kernel and systemd give them.
    init(
        _ context: CollectionContext, loop: ReadyLoop, wallClock: any WallClock, monotonicClock: any MonotonicClock,
        intervalMilliseconds: Int64, tell: @escaping ([HostEvent]) -> Void, deliver: @escaping (SampleGroup) -> Void
    ) {
        self.context = context
        self.loop = loop
        self.wallClock = wallClock
        self.monotonicClock = monotonicClock
        self.tell = tell
        self.deliver = deliver
        let base: [(name: String, value: String)] = [
            ("job", "vedette-agent-events"), ("instance", context.node), ("node", context.node),
        ]
        samples = TargetSamples(base: base, target: Labels(base), intervalMilliseconds: intervalMilliseconds)
        for kind in KernelWarning.allCases { declare(Self.warnings, ("kind", kind.rawValue)) }
        guard context.host.isMachine else { return }
        watchHost()
        watchUnits()
    }

    /// The counters at a tick.
    func collect(_ tick: Tick) -> SampleGroup? {
        samples.begin(milliseconds: tick.milliseconds)
        for count in counts.values { samples.set(count.slot, count.value) }
        samples.finish()
        return counts.isEmpty ? nil : samples.group
    }

    /// What is to be said about the metrics.
    func takeMetadata() -> [MetricMetadata] { samples.takeMetadata() }

    /// Watches the pressure of a container that runs, and of no other life of it.
    func follow(_ container: Container) {
        let life = ContainerWatch.life(of: container)
        guard container.isRunning, let group = container.cgroup else {
            triggers[container.id] = nil
            return
        }
        guard triggers[container.id]?.life != life, context.host.isMachine, let unified = context.layout.unified else {
            return
        }
        let made = PressureTrigger.Resource.allCases.compactMap { resource -> PressureTrigger? in
            guard let path = unified.path(group, "\(resource.rawValue).pressure") else { return nil }
            declare(Self.pressure, labels(container, resource))
            return PressureTrigger(resource, path: context.host.path(path), loop: loop) { [unowned self] in
                pressed(container, resource)
            }
        }
        triggers[container.id] = (life, made)
    }

    /// A container was removed.
    func forget(_ id: String) { triggers[id] = nil }

    /// A record of the kernel's log that tells of no OOM kill.
    func take(kernelRecord record: Substring) {
        guard let (kind, text) = KernelWarning.find(in: record) else { return }
        happened(
            Self.warnings, [("kind", kind.rawValue)], about: "kernel \(kind.rawValue)",
            HostEvent(
                .kernelWarning, nanoseconds: wallClock.nowNanoseconds, source: "kmsg",
                subject: Labels(["node": context.node]), details: Labels(["kind": kind.rawValue]),
                text: "the kernel warns: \(text.prefix(512))"))
    }

    private func watchHost() {
        hostTriggers = PressureTrigger.Resource.allCases.compactMap { resource in
            let made = PressureTrigger(
                resource, path: context.host.path("/proc/pressure/\(resource.rawValue)"), loop: loop
            ) { [unowned self] in hostPressed(resource) }
            if made != nil { declare(Self.hostPressure, ("resource", resource.rawValue)) }
            return made
        }
        guard hostTriggers.isEmpty else { return }
        context.notices.say(
            .information, about: "pressure triggers",
            """
            the kernel gives no pressure triggers (it needs CONFIG_PSI and psi=1, and root): pressure is read at each \
            tick and not told as an event
            """)
    }

    /// Both ways where both are there: whoever tells first is believed.
    private func watchUnits() {
        if let bus = BusUnitWatch() { watch(bus) }
        var reason = ""
        do {
            let journal = try JournalUnitWatch()
            if journal.descriptor >= 0 { watch(journal) }
        } catch {
            reason = "\(error)"
        }
        guard unitWatches.isEmpty else { return }
        context.notices.say(
            .information, about: "unit failures",
            """
            failures of systemd units are not told: systemd is not on the bus, and its journal cannot be read \
            \(reason)
            """
        )
    }

    private func watch(_ units: any UnitFailureWatch) {
        unitWatches.append(units)
        let descriptor = units.descriptor
        loop.add(descriptor) { [unowned self] in
            guard let failures = units.take() else { return loop.remove(descriptor) }
            for failure in failures { tell(failure) }
        }
    }

    /// A unit that failed; the same failure is told by a job, by two sources, or both.
    func tell(_ failure: UnitFailure) {
        let now = monotonicClock.nowNanoseconds
        guard now - (unitsTold[failure.unit] ?? .min / 2) > Self.sameFailureNanoseconds else { return }
        if unitsTold.count > 1_024 { unitsTold.removeAll() }
        unitsTold[failure.unit] = now
        let result = failure.result.isEmpty ? "" : " with result \(failure.result)"
        let code = failure.unit.hasSuffix(".service") ? context.units?.exitCode(of: failure.unit) : nil
        happened(
            Self.unitFailures, [("unit", failure.unit)], about: "unit \(failure.unit)",
            HostEvent(
                .unitFailed, nanoseconds: wallClock.nowNanoseconds, source: failure.source,
                subject: Labels(["node": context.node, "unit": failure.unit, "service": failure.unit]),
                details: Labels(["result": failure.result, "exit_code": code.map { "\($0)" } ?? ""]),
                text: "unit \(failure.unit) failed\(result)\(code.map { " with exit code \($0)" } ?? "")"),
            everyTime: true)
    }

    private func hostPressed(_ resource: PressureTrigger.Resource) {
        happened(
            Self.hostPressure, [("resource", resource.rawValue)], about: "pressure \(resource.rawValue)",
            HostEvent(
                .pressure, nanoseconds: wallClock.nowNanoseconds, source: "psi",
                subject: Labels(["node": context.node]), details: Labels(["resource": resource.rawValue]),
                text: "tasks of the host wait for \(resource.words)"))
    }

    private func pressed(_ container: Container, _ resource: PressureTrigger.Resource) {
        happened(
            Self.pressure, labels(container, resource), about: "pressure \(container.id) \(resource.rawValue)",
            HostEvent(
                .pressure, nanoseconds: wallClock.nowNanoseconds, source: "psi",
                subject: container.identity(node: context.node), details: Labels(["resource": resource.rawValue]),
                text: "tasks of container \(container.name) wait for \(resource.words)"))
    }

    private func labels(_ container: Container, _ resource: PressureTrigger.Resource) -> [(String, String)] {
        [
            ("container", container.containerName), ("name", container.name), ("service", container.service),
            ("resource", resource.rawValue),
        ]
    }

    private func declare(_ metric: Metric, _ labels: (String, String)...) { declare(metric, labels) }

    private func declare(_ metric: Metric, _ labels: [(String, String)]) {
        let key = Self.key(metric, labels)
        guard counts[key] == nil, counts.count < Self.seriesMaximum else { return }
        counts[key] = (samples.slot(metric, labels), 0)
    }

    private static func key(_ metric: Metric, _ labels: [(String, String)]) -> Labels {
        Labels(labels.map { (name: $0.0, value: $0.1) } + [(name: Labels.metricNameLabel, value: metric.name)])
    }

    /// Counts, and tells unless the same was told a moment ago; what was not told is in the next event's count.
    private func happened(
        _ metric: Metric, _ labels: [(String, String)], about subject: String, _ event: HostEvent,
        everyTime: Bool = false
    ) {
        declare(metric, labels)
        let key = Self.key(metric, labels)
        counts[key]?.value += 1
        let now = monotonicClock.nowNanoseconds
        if !everyTime, var before = told[subject], now - before.atNanoseconds < Self.quietNanoseconds {
            before.sinceThen += 1
            told[subject] = before
            return
        }
        var event = event
        if let before = told[subject], before.sinceThen > 0 {
            event.details = event.details.setting("count", to: String(before.sinceThen + 1))
        }
        if told.count >= Self.seriesMaximum { told.removeAll() }
        told[subject] = (now, 0)
        tell([event])
        guard let count = counts[key] else { return }
        samples.beginEvent(milliseconds: wallClock.nowMilliseconds)
        samples.set(count.slot, count.value)
        deliver(samples.compact)
    }
}

extension PressureTrigger.Resource {
    /// For people.
    fileprivate var words: String {
        switch self {
        case .cpu: "processors"
        case .memory: "memory"
        case .io: "disks"
        }
    }
}
