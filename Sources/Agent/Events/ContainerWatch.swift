internal import Glibc
internal import Telemetry

/// Lets the kernel tell what happens to one running container: kills by its cgroup's counter, its end by an empty
/// cgroup and by its main process' descriptor. Belongs to the collection thread.
final class ContainerWatch {
    /// What a watch belongs to; a restarted container gets a new one.
    struct Life: Equatable {
        var cgroup: String?
        var processIdentifier: Int32
        var startedNanoseconds: Int64
    }

    let container: String
    let life: Life
    private let tellsEnd: Bool
    private let context: CollectionContext
    private let loop: ReadyLoop
    private let hub: EventHub
    /// Told when the main process ended, with the start of the life that is over.
    private let onEnd: (Int64) -> Void
    private let counter: KernelFile?
    private let members: KernelFile?
    private let peak: KernelFile?
    private let time: KernelFile?
    private let isLegacyTime: Bool
    private var times = KeyedFields(["usage_usec"])
    private var fields = KeyedFields(["oom_kill"])
    private var population = KeyedFields(["populated"])
    private var lastCount: UInt64
    /// Kills that were no news when the watch began.
    private(set) var killsBefore: UInt64 = 0
    private var eventDescriptor: Int32 = -1
    private var processDescriptor: Int32 = -1
    private var wasPopulated = false

    /// Watches `container`. Kills that its cgroup has counted and `baseline` covers are no news.
    init(
        _ container: Container, baseline: KillBaseline, context: CollectionContext, loop: ReadyLoop, hub: EventHub,
        onEnd: @escaping (Int64) -> Void
    ) {
        self.onEnd = onEnd
        self.container = container.id
        // Services end as a matter of course: a timer's every day.
        tellsEnd = container.runtime != .systemd
        life = Self.life(of: container)
        self.context = context
        self.loop = loop
        self.hub = hub
        let files = ContainerContext(container: container, collection: context)
        counter = files.legacy(.memory, "memory.oom_control") ?? files.unified("memory.events")
        members = files.unified("cgroup.events")
        peak = files.legacy(.memory, "memory.max_usage_in_bytes") ?? files.unified("memory.peak")
        let legacyTime = files.legacy(.cpuacct, "cpuacct.usage")
        isLegacyTime = legacyTime != nil
        time = legacyTime ?? files.unified("cpu.stat")
        lastCount = 0
        let current = count() ?? 0
        switch baseline {
        case .past: lastCount = current
        case .told(let told): lastCount = min(told, current)
        }
        killsBefore = lastCount
        guard context.host.isMachine else { return }
        readUsage()
        watchKills(files)
        watchProcess(container.processIdentifier)
    }

    deinit {
        for descriptor in [eventDescriptor, processDescriptor] where descriptor >= 0 {
            loop.remove(descriptor)
            close(descriptor)
        }
    }

    /// What a watch of `container` would belong to.
    static func life(of container: Container) -> Life {
        Life(
            cgroup: container.cgroup, processIdentifier: container.processIdentifier,
            startedNanoseconds: container.startedNanoseconds)
    }

    /// The host paths whose changes should lead to `look` (v2 files that notify).
    func notifyingPaths() -> [String] {
        guard let group = life.cgroup, let unified = context.layout.unified else { return [] }
        return ["memory.events", "cgroup.events"].compactMap { unified.path(group, $0) }.map { context.host.path($0) }
    }

    /// Reads the counters and reports what changed.
    func look() {
        if let now = count(), now > lastCount {
            let rise = now - lastCount
            lastCount = now
            hub.saw(.killCount(rise), of: container, by: .cgroup)
        }
        if isAwaitingCode {
            looksForCode += 1
            let code = LinuxCalls.exitCode(ofProcess: processDescriptor)
            if let code { hub.learned(exitCode: code, of: container) }
            isAwaitingCode = code == nil && looksForCode < Self.looksForCodeMaximum
        }
        guard let members, context.read(members, { population.parse($0) }) != nil, population.has(0) else { return }
        let isPopulated = population.values[0] > 0
        if wasPopulated, !isPopulated { readUsage() }
        if wasPopulated, !isPopulated, tellsEnd { hub.saw(.exit(code: nil), of: container, by: .cgroup) }
        wasPopulated = isPopulated
    }

    /// Reads what this life took so far, while its files are there.
    private func readUsage() {
        var reading = LastReadings.Reading()
        reading.memoryPeakBytes = peak.flatMap { context.number($0) }
        if let time, isLegacyTime {
            reading.cpuSeconds = context.number(time).map { Double($0) / 1e9 }
        } else if let time, context.read(time, { times.parse($0) }) != nil, times.has(0) {
            reading.cpuSeconds = Double(times.values[0]) / 1e6
        }
        context.lastReadings.note(reading, of: container)
    }

    private func count() -> UInt64? {
        guard let counter, context.read(counter, { fields.parse($0) }) != nil, fields.has(0) else { return nil }
        return fields.values[0]
    }

    /// v1: an eventfd that the kernel signals when the group runs out of memory
    /// (Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control").
    private func watchKills(_ files: ContainerContext) {
        guard let group = files.group, let hierarchy = context.layout.legacy(.memory),
            let control = hierarchy.path(group, "memory.oom_control"),
            let registration = hierarchy.path(group, "cgroup.event_control")
        else { return }
        let controlDescriptor = open(context.host.path(control), O_RDONLY | O_CLOEXEC)
        guard controlDescriptor >= 0 else { return }
        defer { close(controlDescriptor) }
        let event = LinuxCalls.eventDescriptor()
        guard event >= 0 else { return }
        let file = open(context.host.path(registration), O_WRONLY | O_CLOEXEC)
        let line = Array("\(event) \(controlDescriptor)".utf8)
        let isRegistered = file >= 0 && write(file, line, line.count) == line.count
        if file >= 0 { close(file) }
        guard isRegistered else {
            close(event)
            context.notices.say(
                .warning, about: "cgroup.event_control",
                """
                OOM notifications cannot be registered in \(registration) (root is needed): OOM kills are still \
                noticed by the counters every second and by the kernel's log
                """)
            return
        }
        eventDescriptor = event
        loop.add(event) { [weak self] in
            var value: UInt64 = 0
            _ = read(event, &value, 8)
            self?.look()
            self?.isExpectingKill = true
        }
    }

    /// Set when the kernel said that memory ran out or that the main process ended; the kill itself is counted, and the
    /// exit code known, a moment later.
    var isExpectingKill = false
    /// Whether the main process ended, and its parent has not taken note of that yet.
    private(set) var isAwaitingCode = false
    private var looksForCode = 0
    /// Kernels that do not tell never will.
    private static let looksForCodeMaximum = 8

    private func watchProcess(_ pid: Int32) {
        guard pid > 0 else { return }
        let descriptor = LinuxCalls.openProcess(pid)
        guard descriptor >= 0 else { return }
        processDescriptor = descriptor
        loop.add(descriptor) { [weak self] in
            guard let self else { return }
            // Readable for ever from now on: once is enough.
            loop.remove(descriptor)
            readUsage()
            let code = LinuxCalls.exitCode(ofProcess: descriptor)
            hub.saw(.exit(code: nil), of: container, by: .process)
            if let code { hub.learned(exitCode: code, of: container) }
            // Its parent takes note of it a moment later.
            isAwaitingCode = code == nil
            isExpectingKill = isExpectingKill || isAwaitingCode
            onEnd(life.startedNanoseconds)
            look()
        }
    }
}
