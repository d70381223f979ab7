import Glibc
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import Server

/// Heavy queries beside light ones, and equal queries at the same time.
@Suite struct QueryPoolTests {
    @Test func aLongJobKeepsNobodyWaiting() async throws {
        let pool = QueryPool(name: "test", threads: 1, waitingBytesMaximum: 1 << 20)
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
        let pool = QueryPool(name: "test", threads: 1, waitingBytesMaximum: 1 << 20)
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

    @Test func whoTakesThePlaceOfALongJobGivesWayToNobody() async throws {
        let pool = QueryPool(name: "test", threads: 1, waitingBytesMaximum: 1 << 20)
        let niceness: @Sendable () -> CInt = { getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0) }
        let (first, second) = (Gate(), Gate())
        let before = try await pool.run { niceness() }
        let heavy = Task {
            try await pool.runLeased { lease in
                first.pass()
                lease.becomeLong()
                second.pass()
                return niceness()
            }
        }
        while first.waiting == 0 { await Task.yield() }
        // It waits when the other becomes long, so that its thread is started then; the next ones come later.
        let waiting = Task { try await pool.run { niceness() } }
        while pool.load.waiting == 0 { await Task.yield() }
        first.open()
        #expect(try await waiting.value == before)
        #expect(try await pool.run { niceness() } == before)
        second.open()
        #expect(try await heavy.value > before)
        #expect(try await pool.run { niceness() } == before)
        pool.close()
    }

    @Test func longJobsTakeTurns() async throws {
        let pool = QueryPool(name: "test", threads: 1, waitingBytesMaximum: 1 << 20)
        let (gates, order) = ((0..<3).map { _ in Gate() }, PartCounter(counts: 3))
        var jobs: [Task<Void, any Error>] = []
        for number in 0..<3 {
            jobs.append(
                Task {
                    try await pool.runLeased { lease in
                        lease.becomeLong()
                        order.add(number)
                        gates[number].pass()
                        // Whoever rests goes first.
                        lease.becomeLong()
                        order.add(number)
                    }
                })
            if number == 0 { while gates[0].waiting == 0 { await Task.yield() } }
            while pool.restingCount < number { await Task.yield() }
        }
        // One works, two rest where they are, and a light one is answered.
        #expect(try await pool.run { 7 } == 7)
        #expect(order.values == [1, 0, 0])
        gates[0].open()
        while order.values != [1, 1, 0] { await Task.yield() }
        gates[1].open()
        while order.values != [1, 1, 1] { await Task.yield() }
        gates[2].open()
        for job in jobs { try await job.value }
        #expect(order.values == [2, 2, 2])
        #expect(pool.restingCount == 0)
        pool.close()
    }

    @Test func whatNobodyWantsDoesNotRest() async throws {
        let pool = QueryPool(name: "test", threads: 1, waitingBytesMaximum: 1 << 20)
        let gate = Gate()
        let first = Task {
            try await pool.runLeased { lease in
                lease.becomeLong()
                gate.pass()
            }
        }
        while gate.waiting == 0 { await Task.yield() }
        // One that is over already, and one that is ended while it rests.
        try await pool.runLeased { lease in lease.becomeLong { true } }
        let context = QueryContext(clock: ManualClock())
        let second = Task {
            try await pool.runLeased { lease in
                context.onCancel { lease.wake() }
                lease.becomeLong { context.mustEnd }
                try context.check()
            }
        }
        while pool.restingCount == 0 { await Task.yield() }
        context.cancel()
        await #expect(throws: QueryInterruption.cancelled) { try await second.value }
        gate.open()
        try await first.value
        pool.close()
    }

    @Test func whatWaitsIsBoundedByItsMemory() async throws {
        let pool = QueryPool(name: "test", threads: 1, waitingBytesMaximum: 64 << 10)
        let gate = Gate()
        let first = Task { try await pool.run { gate.pass() } }
        while gate.waiting == 0 { await Task.yield() }
        let long = Task { try await pool.runLeased(bytes: 40 << 10) { _ in } }
        while pool.load.waiting < 1 { await Task.yield() }
        await #expect(throws: QueryPool.Full.self) { try await pool.run {} }
        // The rest of an answer that has begun is never turned away.
        let rest = Task { try await pool.runLeased(isAdmitted: true) { _ in } }
        while pool.load.waiting < 2 { await Task.yield() }
        gate.open()
        for task in [first, long, rest] { try await task.value }
        // What has left the queue takes no room in it.
        try await pool.run {}
        pool.close()
    }

    @Test func oneClientLeavesAThreadToOthers() async throws {
        let pool = QueryPool(name: "test", threads: 2, waitingBytesMaximum: 1 << 20)
        let (gate, done) = (Gate(), PartCounter(counts: 20))
        // Twenty jobs of one client that are not known to take long, and nothing tells them apart from others.
        let many = (0..<20).map { number in
            Task {
                try await pool.runLeased(of: "many") { _ in
                    gate.pass()
                    done.add(number)
                }
            }
        }
        while pool.load.waiting < 19 { await Task.yield() }
        #expect(try await pool.runLeased(of: "one") { _ in 7 } == 7)
        #expect(pool.load.waiting == 19 && done.values == [Int](repeating: 0, count: 20))
        gate.open()
        for job in many { try await job.value }
        #expect(done.values == [Int](repeating: 1, count: 20))
        pool.close()
    }

    @Test func turnsGoToWhoHasFewer() {
        let turns = QueryTurns(maximum: 2)
        let order = PartCounter(counts: 1)
        let names = Mutex<[String]>([])
        for _ in 0..<2 {
            let hasTurn = turns.take(QueryTurns.Rest(of: "a"), unless: { false })
            #expect(hasTurn)
        }
        for (number, client) in ["a", "a", "b"].enumerated() {
            DedicatedThread.start(name: "turn") {
                if turns.take(QueryTurns.Rest(of: client), unless: { false }) {
                    names.withLock { $0.append(client) }
                    order.add(0)
                }
            }
            while turns.restingCount <= number { sched_yield() }
        }
        // The last to come has no turn yet, the others' client has two.
        for count in 1...3 {
            turns.give(of: count == 3 ? "b" : "a")
            while order.values[0] < count { sched_yield() }
        }
        #expect(names.withLock { $0 } == ["b", "a", "a"])
    }

    @Test func aFairQueueServesClientsInTurn() {
        var queue = FairQueue<Int>()
        for number in 0..<6 { queue.append(number, of: number < 4 ? "a" : "b") }
        let removed = [queue.remove(of: "a") { $0 == 1 }, queue.remove(of: "c") { _ in true }]
        #expect(removed == [1, nil])
        // Equal ones in turn, whoever has less at work first, and nobody at the maximum.
        var taken: [String] = []
        for (maximum, atWork) in [(9, [:]), (9, [:]), (9, ["a": 1]), (1, ["a": 1])] as [(Int, [String: Int])] {
            let next = queue.popFirst(below: maximum, atWork: atWork)
            taken.append(next.map { "\($0.element)\($0.client)" } ?? "none")
        }
        #expect(taken == ["0a", "4b", "5b", "none"])
        let rest = (queue.count, queue.removeAll())
        #expect(rest.0 == 2 && rest.1 == [2, 3] && queue.isEmpty)
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
        let number = Counter()
        let gate = AsyncGate()
        try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<5 {
                group.addTask {
                    try await flights.answer(
                        "a",
                        begun {
                            number.add()
                            await gate.pass()
                            return 42
                        })
                }
            }
            while flights.waiters(of: "a") < 5 { await Task.yield() }
            await gate.open()
            for try await answer in group { #expect(answer == 42) }
        }
        #expect(number.value == 1)
        #expect(flights.sharedCount == 4)
        #expect(try await flights.answer("a", begun { 43 }) == 43)
    }

    @Test func whoLeavesLeavesAlone() async throws {
        let flights = QueryFlights<Int>()
        let gate = AsyncGate()
        let work: @Sendable () async throws -> Int = {
            await gate.pass()
            try Task.checkCancellation()
            return 42
        }
        let first = Task { try await flights.answer("a", begun(work)) }
        while flights.waiters(of: "a") < 1 { await Task.yield() }
        let second = Task { try await flights.answer("a", begun(work)) }
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
            try await flights.answer(
                "a",
                begun {
                    do {
                        try await Task.sleep(for: .seconds(3_600))
                    } catch {
                        ended.add()
                        throw error
                    }
                    return 1
                })
        }
        while flights.waiters(of: "a") < 1 { await Task.yield() }
        waiter.cancel()
        await #expect(throws: CancellationError.self) { try await waiter.value }
        while ended.value == 0 { await Task.yield() }
        #expect(flights.waiters(of: "a") == 0)
    }
}

/// Begins work as a task of its own.
private func begun(_ work: @escaping @Sendable () async throws -> Int) -> QueryFlights<Int>.Beginning {
    { done in
        let task = Task {
            do { done(.success(try await work())) } catch { done(.failure(error)) }
        }
        return { task.cancel() }
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
