import Synchronization
import Telemetry
import Testing

@testable import Server

/// Heavy queries beside light ones, and equal queries at the same time.
@Suite struct QueryPoolTests {
    @Test func aLongJobKeepsNobodyWaiting() async throws {
        let pool = QueryPool(name: "test", threads: 1, waitingMaximum: 8)
        let gate = Gate()
        let heavy = Task {
            try await pool.runLeased { lease in
                lease.becomeLong()
                lease.becomeLong()
                gate.pass()
                return 1
            }
        }
        while gate.waiting == 0 { await Task.yield() }
        // The only thread is taken, and the light ones are answered all the same.
        for light in 0..<40 { #expect(try await pool.run { light } == light) }
        gate.open()
        #expect(try await heavy.value == 1)
        pool.close()
    }

    @Test func aJobThatBecomesLongLetsThoseThatWaitGo() async throws {
        let pool = QueryPool(name: "test", threads: 1, waitingMaximum: 8)
        let (first, second) = (Gate(), Gate())
        let heavy = Task {
            try await pool.runLeased { lease in
                first.pass()
                lease.becomeLong()
                second.pass()
            }
        }
        while first.waiting == 0 { await Task.yield() }
        let light = Task { try await pool.run { 7 } }
        while pool.load.waiting == 0 { await Task.yield() }
        first.open()
        #expect(try await light.value == 7)
        second.open()
        try await heavy.value
        pool.close()
    }

    @Test func longJobsAreBounded() async throws {
        let pool = QueryPool(name: "test", threads: 1, waitingMaximum: 8)
        let gate = Gate()
        let heavy = (0..<4).map { _ in
            Task {
                try await pool.runLeased { lease in
                    lease.becomeLong()
                    gate.pass()
                }
            }
        }
        // One thread, and two for jobs that take long; the fourth waits.
        while gate.waiting < 3 || pool.load.waiting < 1 { await Task.yield() }
        #expect(pool.load.running == 3)
        gate.open()
        for task in heavy { try await task.value }
        pool.close()
    }

    @Test func theParallelPoolDoesEveryPartOnce() async throws {
        let parallel = ParallelPool(threads: 2)
        let done = PartCounter(counts: 500)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 { group.addTask { parallel.perform(500) { done.add($0) } } }
        }
        #expect(done.values == [Int](repeating: 8, count: 500))
        parallel.close()
    }

    // MARK: Equal queries

    @Test func equalQueriesShareOneEvaluation() async throws {
        let flights = QueryFlights<Int>()
        let begun = Counter()
        let gate = AsyncGate()
        try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<5 {
                group.addTask {
                    try await flights.answer("a") {
                        begun.add()
                        await gate.pass()
                        return 42
                    }
                }
            }
            while flights.waiters(of: "a") < 5 { await Task.yield() }
            await gate.open()
            for try await answer in group { #expect(answer == 42) }
        }
        #expect(begun.value == 1)
        #expect(flights.sharedCount == 4)
        #expect(try await flights.answer("a") { 43 } == 43)
    }

    @Test func whoLeavesLeavesAlone() async throws {
        let flights = QueryFlights<Int>()
        let gate = AsyncGate()
        let work: @Sendable () async throws -> Int = {
            await gate.pass()
            try Task.checkCancellation()
            return 42
        }
        let first = Task { try await flights.answer("a", work) }
        while flights.waiters(of: "a") < 1 { await Task.yield() }
        let second = Task { try await flights.answer("a", work) }
        while flights.waiters(of: "a") < 2 { await Task.yield() }
        // The one that began it leaves, and is told at once.
        first.cancel()
        await #expect(throws: CancellationError.self) { try await first.value }
        #expect(flights.waiters(of: "a") == 1)
        await gate.open()
        #expect(try await second.value == 42)
    }

    @Test func theLastToLeaveEndsTheWork() async throws {
        let flights = QueryFlights<Int>()
        let ended = Counter()
        let waiter = Task {
            try await flights.answer("a") {
                do {
                    try await Task.sleep(for: .seconds(3_600))
                } catch {
                    ended.add()
                    throw error
                }
                return 1
            }
        }
        while flights.waiters(of: "a") < 1 { await Task.yield() }
        waiter.cancel()
        await #expect(throws: CancellationError.self) { try await waiter.value }
        while ended.value == 0 { await Task.yield() }
        #expect(flights.waiters(of: "a") == 0)
    }
}

/// Counts from any thread.
private final class Counter: Sendable {
    private let count = Atomic<Int>(0)

    var value: Int { count.load(ordering: .acquiring) }

    func add() { count.add(1, ordering: .releasing) }
}

/// Counts how often each part was done.
private final class PartCounter: Sendable {
    private let counts: Mutex<[Int]>

    init(counts: Int) {
        self.counts = Mutex([Int](repeating: 0, count: counts))
    }

    func add(_ part: Int) { counts.withLock { $0[part] += 1 } }

    var values: [Int] { counts.withLock { $0 } }
}

/// Holds tasks back until it is opened, without holding their threads.
private actor AsyncGate {
    private var isOpen = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    func pass() async {
        if isOpen { return }
        await withCheckedContinuation { waiting.append($0) }
    }

    func open() {
        isOpen = true
        for continuation in waiting { continuation.resume() }
        waiting = []
    }
}
