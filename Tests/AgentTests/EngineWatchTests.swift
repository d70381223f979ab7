import Synchronization
import Telemetry
import TestSupport
import Testing
import Wire

@testable import Agent

/// Lives of containers are known in time and in order, however late the engine answers.
@Suite struct EngineWatchTests {
    private let engine = HeldEngine()
    private let registry = ContainerRegistry()
    private let clock = ManualClock()
    private let root = ScratchFolder()
    private static let first = "2026-11-30T10:00:00.5Z"
    private static let second = "2026-11-30T10:00:01.25Z"

    private func watch(readsFiles: Bool = false) -> EngineWatch {
        let files = DockerFiles(host: HostRoot(root.path), notices: Fixture.quiet)
        return EngineWatch(
            engine: DockerEngine(socket: "/engine.sock", http: engine), registry: registry, clock: clock,
            notices: Fixture.quiet, readFile: { readsFiles ? files.container($0, in: "/engine") : nil },
            onEvent: { _ in })
    }

    private func started(_ text: String) -> Int64? { Timestamps.nanoseconds(rfc3339: text) }

    private func waits(until condition: () async -> Bool) async -> Bool {
        for _ in 0..<3_000 {
            if await condition() { return true }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return false
    }

    /// What a collection loop over the registry sends.
    private final class Sent: Sendable {
        private let batches = Mutex<[SampleBatch]>([])

        func add(_ batch: SampleBatch) { batches.withLock { $0.append(batch) } }

        func values(_ metric: String) -> [Double] {
            batches.withLock { $0 }.flatMap(\.groups).flatMap { group in
                group.values.indices.compactMap { index in
                    let labels = group.series[Int(group.seriesIndexes[index])].labels
                    return labels.metricName == metric ? group.values[index] : nil
                }
            }
        }
    }

    private func makeLoop(_ sent: Sent) throws -> CollectionLoop {
        let hub = EventHub(wallClock: clock, monotonicClock: clock, wake: {}, lastWords: { _, _ in })
        return try #require(
            CollectionLoop(
                CollectionLoop.Setting(
                    host: HostRoot(root.path), node: "n", registry: registry, counters: EventCounters(), hub: hub,
                    waker: Waker(), notices: Fixture.quiet, wallClock: clock, monotonicClock: clock,
                    statistics: { AgentStatistics() }, deliver: { batch, _ in sent.add(batch) }, tell: { _ in },
                    incidents: IncidentKeeper.Setting { _, whenDone in whenDone() })))
    }

    @Test func eachLifeIsSampledAtOnceWhileTheEngineDoesNotAnswer() async throws {
        for folder in ["engine", "engine/containers", "engine/containers/\(engine.id)"] { root.makeFolder(folder) }
        let file = "engine/containers/\(engine.id)/config.v2.json"
        let sent = Sent()
        let loop = try makeLoop(sent)
        loop.turn(clock.nowNanoseconds, isTick: true)
        let watch = watch(readsFiles: true)
        let run = Task { await watch.run() }
        engine.hold(.inspect)
        // Both lives within one tick.
        for (start, text) in [("start", Self.first), ("start", Self.second)] {
            root.write(engine.set(started: text, isRunning: true), to: file)
            engine.tell(start)
            #expect(await waits { registry.container(engine.id)?.startedNanoseconds == started(text) })
            loop.turn(clock.nowNanoseconds, isTick: false)
            root.write(engine.set(started: text, finished: text, isRunning: false), to: file)
            engine.tell("die")
            #expect(await waits { registry.container(engine.id)?.isRunning == false })
            loop.turn(clock.nowNanoseconds, isTick: false)
        }
        let expected = [Self.first, Self.second].compactMap { started($0).map { Double($0) / 1e9 } }
        #expect(Set(sent.values("container_start_time_seconds")) == Set(expected))
        #expect(await waits { engine.heldCount > 0 })
        engine.release()
        run.cancel()
        await run.value
    }

    @Test func aListThatWasUnderWayDoesNotUndoARestart() async throws {
        let watch = watch()
        engine.set(started: Self.first, isRunning: true)
        try await watch.list()
        engine.hold(.list)
        let late = Task { try await watch.list() }
        #expect(await waits { engine.heldCount == 1 })
        clock.advance(milliseconds: 1)
        let text = engine.set(started: Self.second, isRunning: true)
        let restarted = try #require(Container(engine: try JSONValue(parsing: text)))
        let now = clock.nowNanoseconds
        registry.setEngine(restarted, askedNanoseconds: now, atNanoseconds: now)
        engine.release()
        try await late.value
        #expect(registry.container(engine.id)?.startedNanoseconds == started(Self.second))
        // Nor does one bring back what was removed meanwhile.
        engine.hold(.list)
        let last = Task { try await watch.list() }
        #expect(await waits { engine.heldCount == 1 })
        clock.advance(milliseconds: 1)
        registry.removeFromEngine(engine.id, atNanoseconds: clock.nowNanoseconds)
        engine.release()
        try await last.value
        #expect(registry.container(engine.id) == nil)
    }

    @Test func anInspectionThatWasUnderWayDoesNotUndoAStart() async throws {
        let watch = watch()
        engine.set(started: "0001-01-01T00:00:00Z", isRunning: false)
        engine.hold(.inspect)
        let late = Task { try await watch.list() }
        #expect(await waits { engine.heldCount == 1 })
        clock.advance(milliseconds: 1)
        let text = engine.set(started: Self.first, isRunning: true)
        let running = try #require(Container(engine: try JSONValue(parsing: text)))
        let now = clock.nowNanoseconds
        registry.setEngine(running, askedNanoseconds: now, atNanoseconds: now)
        engine.release()
        try await late.value
        #expect(registry.container(engine.id)?.isRunning == true)
    }

    @Test func aRestartThatTheEngineDidNotDescribeIsAskedForAgain() async throws {
        let watch = watch()
        engine.set(started: Self.first, isRunning: true)
        let run = Task { await watch.run() }
        #expect(await waits { registry.container(engine.id) != nil })
        engine.fail(.inspect)
        let asked = engine.asked(.inspect)
        engine.set(started: Self.second, isRunning: true)
        engine.tell("start")
        #expect(await waits { engine.asked(.inspect) > asked })
        engine.fail(.inspect, false)
        // It was running and is running: by that alone nothing would be asked.
        #expect(
            await waits {
                clock.advance(milliseconds: 1)
                try? await watch.list()
                return registry.container(engine.id)?.startedNanoseconds == started(Self.second)
            })
        run.cancel()
        await run.value
    }

    @Test func anEndThatTheKernelSawMakesAListAskAgain() async throws {
        let watch = watch()
        engine.set(started: Self.first, isRunning: true)
        try await watch.list()
        let first = try #require(started(Self.first))
        engine.set(started: Self.second, isRunning: true)
        registry.noteEnd(of: engine.id, startedNanoseconds: first, atNanoseconds: clock.nowNanoseconds)
        clock.advance(milliseconds: 1)
        try await watch.list()
        #expect(registry.container(engine.id)?.startedNanoseconds == started(Self.second))
        #expect(registry.container(engine.id)?.isRunning == true)
    }
}
