import Testing

@testable import Agent

/// An idle container costs one reading a tick; one that runs is read whole at once.
@Suite struct IdleContainerTests {
    private let id = String(repeating: "c", count: 64)
    private let root = ScratchFolder()

    private func prepare() -> ContainerTarget {
        for folder in ["proc", "proc/self", "sys", "sys/fs", "sys/fs/cgroup", "sys/fs/cgroup/docker"] {
            root.makeFolder(folder)
        }
        root.makeFolder("sys/fs/cgroup/docker/\(id)")
        root.write("cpu memory\n", to: "sys/fs/cgroup/cgroup.controllers")
        root.write("29 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", to: "proc/self/mountinfo")
        setTime(1_000)
        setMemory(10)
        return target()
    }

    private func target() -> ContainerTarget {
        let host = HostRoot(root.path)
        let context = CollectionContext(
            host: host, layout: CgroupLayout(of: host), node: "n", notices: Fixture.quiet, counters: EventCounters())
        var container = Container(id: id)
        container.cgroup = "/docker/\(id)"
        container.isRunning = true
        return ContainerTarget(container, context: context, intervalMilliseconds: 1_000)
    }

    private func setTime(_ microseconds: Int) {
        root.write(
            "usage_usec \(microseconds)\nuser_usec 1\nsystem_usec 1\n", to: "sys/fs/cgroup/docker/\(id)/cpu.stat")
    }

    private func setMemory(_ bytes: Int) {
        root.write("\(bytes)\n", to: "sys/fs/cgroup/docker/\(id)/memory.current")
    }

    private func collected(_ target: ContainerTarget, _ number: Int) -> [String] {
        target.collect(Tick(nanoseconds: Int64(number + 1) * 1_000_000_000, number: number))
        return Fixture.text([target.samples.group])
    }

    private func memory(_ target: ContainerTarget, _ number: Int) -> Double? {
        let line = collected(target, number).first { $0.contains("container_memory_usage_bytes") }
        return line?.split(separator: " ").last.flatMap { Double($0) }
    }

    /// A runtime makes a container's group in one v1 hierarchy after the other; it is noticed by the first.
    @Test func whatComesToFurtherHierarchiesALittleLaterIsRead() {
        for folder in ["proc", "proc/self", "sys", "sys/fs", "sys/fs/cgroup"] { root.makeFolder(folder) }
        for controller in ["memory", "pids"] {
            root.makeFolder("sys/fs/cgroup/\(controller)")
            root.makeFolder("sys/fs/cgroup/\(controller)/docker")
        }
        root.write(
            "30 22 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                + "31 22 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n", to: "proc/self/mountinfo")
        root.makeFolder("sys/fs/cgroup/memory/docker/\(id)")
        root.write("10\n", to: "sys/fs/cgroup/memory/docker/\(id)/memory.usage_in_bytes")
        let target = target()
        func hasThreads(_ number: Int) -> Bool {
            collected(target, number).contains { $0.contains("container_threads") }
        }
        #expect(memory(target, 0) == 10 && !hasThreads(1))
        root.makeFolder("sys/fs/cgroup/pids/docker/\(id)")
        root.write("3\n", to: "sys/fs/cgroup/pids/docker/\(id)/pids.current")
        #expect(hasThreads(2))
        #expect(memory(target, 3) == 10 && hasThreads(4))
    }

    @Test func whatRunsIsReadAtOnceAndWhatIdlesWithinFiveTicks() {
        let target = prepare()
        #expect(memory(target, 0) == 10)
        setTime(2_000)
        setMemory(20)
        #expect(memory(target, 1) == 20)
        // Changed by somebody else: the container itself did nothing.
        setMemory(30)
        let seen = (2..<7).map { memory(target, $0) }
        #expect(seen.contains(20) && seen.last == 30)
        setTime(2_001)
        setMemory(40)
        #expect(memory(target, 7) == 40)
    }

    @Test func anIdleTickHasTheSameSeriesAndEndsNone() {
        let target = prepare()
        let names = { (lines: [String]) in lines.map { $0.split(separator: "}").first ?? "" } }
        let first = names(collected(target, 0))
        for number in 1..<12 {
            let lines = collected(target, number)
            #expect(names(lines) == first)
            #expect(!lines.contains { $0.hasSuffix("nan") })
        }
        #expect(Set(first).count == first.count)
    }
}
