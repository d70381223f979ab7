import Disk
import Synchronization
import Telemetry
import TestSupport
import Testing
import Wire

@testable import Agent

/// Kills, ends and starts are counted and told once, wherever the agent dies: the collection loop, the memory of
/// incidents and the spool on a disk that crashes at each of its operations.
@Suite struct ExactlyOnceTests {
    @Test(arguments: SimulatedStorage.Ending.allCases)
    func aCrashAtAnyOperationOfTheDisk(ending: SimulatedStorage.Ending) throws {
        let undisturbed = IncidentWorld()
        undisturbed.play()
        try undisturbed.check("without a crash")
        let operations = undisturbed.storage.operations
        #expect(operations > 100)
        for operation in (undisturbed.operationsOfFirstStep + 1)...operations {
            for moment in SimulatedStorage.Moment.allCases {
                var plan = SimulatedStorage.Plan()
                plan.crashAtOperation = operation
                plan.crashMoment = moment
                let world = IncidentWorld(plan: plan, ending: ending)
                world.play()
                #expect(world.crashes == 1, "operation \(operation), \(moment)")
                try world.check("\(ending) \(moment) operation \(operation)")
            }
        }
    }

    @Test func nothingIsSentThatIsNotWrittenDown() throws {
        let world = IncidentWorld()
        world.step(0)
        world.holdsWrites = true
        world.step(1)
        for _ in 0..<3 { world.settle() }
        #expect(world.heldWrites.count == 1)
        #expect(try world.sent().counts["container_oom_events_total"] == 0)
        #expect(try world.sent().events == [])
        world.holdsWrites = false
        world.settle()
        world.settle()
        #expect(try world.sent().counts["container_oom_events_total"] == 1)
        #expect(try world.sent().events.count == 1)
    }
}

/// One container on a host of files, an agent's collection loop over it, and its disk. The container is killed, ends,
/// is started again, is killed again, and is restarted at once.
private final class IncidentWorld {
    static let id = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

    /// The parts that die with the agent.
    private struct Life {
        var loop: CollectionLoop
        var hub: EventHub
        var registry: ContainerRegistry
        var stage: SpoolStage
    }

    /// What waits for the disk's thread: memories, and whom to tell.
    final class HeldWrites: Sendable {
        typealias Write = (memory: IncidentMemory, whenDone: @Sendable () -> Void)

        private let writes = Mutex<[Write]>([])

        var count: Int { writes.withLock { $0.count } }

        func add(_ write: Write) { writes.withLock { $0.append(write) } }

        func take() -> [Write] {
            writes.withLock { writes in
                defer { writes = [] }
                return writes
            }
        }
    }

    private let root = ScratchFolder()
    private let clock = ManualClock()
    private let ending: SimulatedStorage.Ending
    private(set) var storage: SimulatedStorage
    private(set) var crashes = 0
    private(set) var operationsOfFirstStep = 0
    private var life: Life?
    private var container = Container(id: IncidentWorld.id)
    var holdsWrites = false
    let heldWrites = HeldWrites()

    private var group: String { "system.slice/docker-\(Self.id).scope" }

    init(plan: SimulatedStorage.Plan = SimulatedStorage.Plan(), ending: SimulatedStorage.Ending = .kill) {
        self.ending = ending
        storage = SimulatedStorage(seed: 7, plan: plan)
        for folder in ["proc", "proc/self", "sys", "sys/fs", "sys/fs/cgroup", "sys/fs/cgroup/system.slice"] {
            root.makeFolder(folder)
        }
        root.makeFolder("sys/fs/cgroup/\(group)")
        root.write("cpu memory\n", to: "sys/fs/cgroup/cgroup.controllers")
        root.write("7\n", to: "sys/fs/cgroup/\(group)/cgroup.procs")
        root.write(
            "29 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", to: "proc/self/mountinfo")
        setKills(0)
        container.name = "job"
        container.isRunning = true
        container.startedNanoseconds = clock.nowNanoseconds - 1_000_000_000
    }

    private func setKills(_ count: Int) {
        root.write("oom \(count)\noom_kill \(count)\n", to: "sys/fs/cgroup/\(group)/memory.events")
    }

    // MARK: - The story

    static let steps = 6

    func play() {
        for number in 0..<Self.steps {
            step(number)
            if number == 0 { operationsOfFirstStep = storage.operations }
            settle()
        }
        for _ in 0..<2 { settle() }
    }

    func step(_ number: Int) {
        var sighting: IncidentCorrelator.Sighting?
        let past = clock.nowNanoseconds - 1_000_000
        switch number {
        case 1: setKills(1)
        case 2:
            container.isRunning = false
            container.isOutOfMemory = true
            container.exitCode = 137
            container.finishedNanoseconds = past
            sighting = .exit(code: 137)
        case 3: startAgain(past)
        case 4: setKills(1)
        case 5:
            startAgain(past)
            sighting = .exit(code: nil)
        default: break
        }
        ensureLife()
        // The engine's word of the end and of the new start can come in one.
        if let sighting { life?.hub.saw(sighting, of: Self.id, by: .process) }
        settle()
    }

    private func startAgain(_ nanoseconds: Int64) {
        setKills(0)
        container.isRunning = true
        container.isOutOfMemory = false
        container.exitCode = nil
        container.finishedNanoseconds = 0
        container.startedNanoseconds = nanoseconds
    }

    /// A tick, the disk, and what is due behind it; a new agent where the disk crashed.
    func settle() {
        ensureLife()
        guard let life else { return }
        life.registry.setEngine([container], atNanoseconds: clock.nowNanoseconds)
        life.registry.setGroups(
            ["\(Self.id)": ContainerGroup(path: "/\(group)", facts: facts)], atNanoseconds: clock.nowNanoseconds)
        for milliseconds in [1, 90, 909] as [Int64] {
            clock.advance(milliseconds: milliseconds)
            // The samples of a tick are on disk before the memory is, as a slow disk would have it.
            life.loop.turn(clock.nowNanoseconds, isTick: true)
            life.stage.worker.turn()
            if !holdsWrites { writeHeld() }
            life.loop.turn(clock.nowNanoseconds, isTick: false)
            life.stage.worker.turn()
            if storage.crash != nil { return ensureLife() }
        }
    }

    private var facts: ContainerPath {
        guard let facts = ContainerPath("/\(group)") else { preconditionFailure("a group that is none") }
        return facts
    }

    private func writeHeld() {
        for write in heldWrites.take() {
            try? AtomicFile.write(write.memory.encoded, to: "incidents", in: storage)
            write.whenDone()
        }
    }

    private func ensureLife() {
        if storage.crash != nil {
            crashes += 1
            life = nil
            _ = heldWrites.take()
            storage = storage.survivors(of: ending)
        }
        if life == nil { life = makeLife() }
    }

    private func makeLife() -> Life? {
        guard let stage = try? SpoolStage(storage, clock) else { return nil }
        let bytes = try? AtomicFile.read("incidents", in: storage, maximumBytes: 1 << 20)
        let memory = bytes.flatMap { try? IncidentMemory(decoding: $0) } ?? IncidentMemory()
        let (registry, counters, waker) = (ContainerRegistry(), EventCounters(), Waker())
        counters.restore(memory)
        let hub = EventHub(wallClock: clock, monotonicClock: clock, wake: {}, lastWords: { _, _ in })
        let spool = stage.spool
        let setting = CollectionLoop.Setting(
            host: HostRoot(root.path), node: "n", registry: registry, counters: counters, hub: hub, waker: waker,
            notices: Fixture.quiet, wallClock: clock, monotonicClock: clock, statistics: { AgentStatistics() },
            deliver: { spool.submit($0, isUrgent: $1) }, tell: { spool.submit($0) },
            incidents: IncidentKeeper.Setting(memory: memory) { [heldWrites] memory, whenDone in
                heldWrites.add((memory, whenDone))
            })
        return CollectionLoop(setting).map { Life(loop: $0, hub: hub, registry: registry, stage: stage) }
    }

    // MARK: - What the server has in the end

    /// The rise of each counter, resets counted as a reader of the series would, and the different events.
    func sent() throws -> (counts: [String: Double], events: [String]) {
        var values: [String: [Int64: Double]] = [:]
        var events: Set<String> = []
        for queue in [DeliveryQueue.samples, .events] {
            while let stage = life?.stage, let entry = stage.next(queue) {
                switch try stage.signal(of: entry, in: queue) {
                case .samples(let batch, _): IncidentWorld.collect(batch, &values)
                case .events(let told): for event in told { events.insert("\(event.nanoseconds) \(event.text)") }
                default: break
                }
                stage.spool.stored(entry, in: queue, DeliveryMarks(synced: entry.sequence, archived: 0))
            }
        }
        collected.merge(values) { $0.merging($1) { $1 } }
        told.formUnion(events)
        var counts: [String: Double] = [:]
        for (name, samples) in collected {
            var last = 0.0
            for (_, value) in samples.sorted(by: { $0.key < $1.key }) {
                counts[name, default: 0] += value < last ? value : value - last
                last = value
            }
        }
        return (counts, told.sorted())
    }

    private var collected: [String: [Int64: Double]] = [:]
    private var told: Set<String> = []

    private static func collect(_ batch: SampleBatch, _ values: inout [String: [Int64: Double]]) {
        for group in batch.groups {
            for index in group.values.indices {
                let name = group.series[Int(group.seriesIndexes[index])].labels.metricName ?? ""
                guard name.hasSuffix("_events_total") || name.hasSuffix("_restarts_total") else { continue }
                values[name, default: [:]][group.timesMilliseconds[index]] = group.values[index]
            }
        }
    }

    /// The samples of a series at which its value changed, for messages.
    private func changes(_ name: String) -> String {
        var last: Double?
        return (collected[name] ?? [:]).sorted { $0.key < $1.key }.compactMap { time, value in
            defer { last = value }
            return value == last ? nil : "\(value)@\(time % 1_000_000)"
        }.joined(separator: " ")
    }

    func check(_ situation: String) throws {
        let (counts, events) = try sent()
        for of in ["container", "service"] {
            #expect(
                counts["\(of)_oom_events_total"] == 2, "\(situation): \(changes("\(of)_oom_events_total"))")
            #expect(counts["\(of)_exit_events_total"] == 2, "\(situation)")
            #expect(counts["\(of)_restarts_total"] == 2, "\(situation)")
        }
        for (words, count) in [("OOM-killed", 2), ("ended", 2), ("started again", 2)] {
            #expect(events.count { $0.contains(words) } == count, "\(situation): \(events)")
        }
    }
}
