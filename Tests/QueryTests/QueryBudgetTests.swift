internal import Query
internal import Synchronization
internal import Telemetry
internal import TestSupport
internal import Testing

/// Queries made to exhaust the server: each ends with words that say what to narrow, and never holds more than it may.
struct QueryBudgetTests {
    private static let budget = 4 << 20
    private static let minute: Int64 = 60_000
    private static let start: Int64 = 1_700_000_000_000

    /// `count` series of `samples` samples, a minute apart.
    private static func store(count: Int, samples: Int) async throws -> MemorySeriesSource {
        let store = MemorySeriesSource(chunkSize: 500)
        var group = SampleGroup()
        for series in 0..<count {
            let labels = Labels(["__name__": "load_\(series % 3)", "instance": "host-\(series)"])
            for sample in 0..<samples {
                let time = start + Int64(sample) * minute
                group.append(labels, milliseconds: time, value: Double((sample * 7 + series) % 11))
            }
        }
        _ = try await store.append(SampleBatch(groups: [group]))
        return store
    }

    /// Expressions of one time that need far more than the budget.
    private static let instantAttacks = [
        #"{__name__=~".+"}[30d:1s]"#,
        #"count_over_time({__name__=~".+"}[30d:1s])"#,
        #"quantile_over_time(0.99, {__name__=~".+"}[30d:1s])"#,
        #"max_over_time(rate({__name__=~".+"}[5m])[30d:1s])"#,
        #"max_over_time(max_over_time(max_over_time({__name__=~".+"}[30d:1s])[30d:1s])[30d:1s])"#,
        #"sum_over_time(sum({__name__=~".+"})[30d:1s])"#,
        "sum_over_time(vector(1)[100y:1ms])",
        "sum_over_time(vector(1 + 1 + 1 + time())[200y:1ms])",
        "max_over_time(absent(nothing)[290y:1ms])",
        #"count_values("value", sum_over_time({__name__=~".+"}[30d:1s]))"#,
    ]

    @Test(arguments: instantAttacks)
    func anExpressionOfManyStepsIsRefused(expression: String) async throws {
        try await refuse(expression, series: 20) { engine, context in
            try engine.instant(expression, atMilliseconds: Self.start + 30 * Self.minute, in: context)
        }
    }

    /// Expressions over a range that need more than the budget with many series.
    private static let rangeAttacks = [
        #"{__name__=~".+"}"#,
        #"topk(1e9, {__name__=~".+"})"#,
        #"bottomk(1e9, rate({__name__=~".+"}[5m]))"#,
        #"limitk(1e9, {__name__=~".+"})"#,
        #"quantile(0.5, {__name__=~".+"})"#,
        #"sum by (instance) ({__name__=~".+"})"#,
        #"avg by (instance) ({__name__=~".+"})"#,
        #"stddev without () ({__name__=~".+"})"#,
        #"count_values by (instance) ("value", {__name__=~".+"})"#,
        #"{__name__=~".+"} or {__name__=~".+"}"#,
        #"{__name__=~".+"} + on (instance) group_left () {__name__=~".+"}"#,
        #"sort_by_label({__name__=~".+"}, "instance")"#,
        #"label_replace({__name__=~".+"}, "a", "$1", "instance", "(.*)")"#,
        #"sum({__name__=~".+"}) by (instance) / ignoring (a) group_left () sum({__name__=~".+"}) by (instance)"#,
    ]

    @Test(arguments: rangeAttacks)
    func anAnswerOfManyPointsIsRefused(expression: String) async throws {
        try await refuse(expression, series: 120) { engine, context in
            try engine.range(
                expression, startMilliseconds: Self.start, endMilliseconds: Self.start + 110 * Self.minute,
                stepMilliseconds: 1_000, in: context)
        }
    }

    /// Labels that double with each call.
    @Test func labelsThatGrowAreRefused() async throws {
        var replaced = "load_0"
        var joined = "load_0"
        for _ in 0..<30 {
            replaced = #"label_replace(\#(replaced), "instance", "$1$1$1$1", "instance", "(.*)")"#
            joined = #"label_join(\#(joined), "instance", ",", "instance", "instance", "instance")"#
        }
        let wide = String(repeating: "$1", count: 100_000)
        let once = #"label_replace(load_0, "a", "\#(wide)", "instance", "(.*)")"#
        for expression in [replaced, joined, #"label_replace(\#(once), "a", "\#(wide)", "a", "(.*)")"#] {
            try await refuse(expression, series: 20) { engine, context in
                try engine.instant(expression, atMilliseconds: Self.start, in: context)
            }
        }
    }

    private func refuse(
        _ expression: String, series: Int, _ evaluate: (Engine, QueryContext) throws -> QueryValue
    ) async throws {
        let engine = Engine(series: try await Self.store(count: series, samples: 100))
        let limits = QueryContext.Limits(bytes: Self.budget)
        let context = QueryContext(limits: limits, clock: ManualClock())
        let failure = #expect(throws: QueryInterruption.self, "\(expression)") { try evaluate(engine, context) }
        #expect(failure == .overBudget(bytes: Self.budget))
        #expect(failure?.description.contains("narrow its range, its selector or its grouping") == true)
        #expect(context.bytesPeak <= Self.budget)
    }

    @Test func whatIsFoldedNeedsNoMemoryPerSeries() async throws {
        let engine = Engine(series: try await Self.store(count: 400, samples: 100))
        for expression in [
            #"sum(rate({__name__=~".+"}[5m]))"#, #"count({__name__=~".+"})"#, #"absent({__name__=~".+"})"#,
        ] {
            let context = QueryContext(limits: QueryContext.Limits(bytes: Self.budget), clock: ManualClock())
            _ = try engine.range(
                expression, startMilliseconds: Self.start, endMilliseconds: Self.start + 110 * Self.minute,
                stepMilliseconds: 1_000, in: context)
            // 400 columns of 6,601 steps would be 21 MB.
            #expect(context.bytesPeak < 1 << 20)
        }
    }

    @Test func theSampleLimitSpeaksAsPrometheus() async throws {
        let engine = Engine(series: try await Self.store(count: 20, samples: 10))
        let context = QueryContext(limits: QueryContext.Limits(samples: 10), clock: ManualClock())
        let failure = #expect(throws: QueryInterruption.self) {
            try engine.instant(#"{__name__=~".+"}"#, atMilliseconds: Self.start, in: context)
        }
        #expect(
            failure?.description == "query processing would load too many samples into memory in query execution")
    }

    @Test func queriesShareABudget() throws {
        let shared = SharedQueryBudget(maximumBytes: 1_000)
        let first = QueryContext(clock: ManualClock(), shared: shared)
        try first.reserve(700)
        do {
            let second = QueryContext(clock: ManualClock(), shared: shared)
            try second.reserve(175)
            #expect(throws: QueryInterruption.overSharedBudget(bytes: 1_000)) { try second.reserve(1) }
            // An eighth is left for small ones.
            let small = QueryContext(clock: ManualClock(), shared: shared)
            try small.reserve(15)
            #expect(throws: QueryInterruption.overSharedBudget(bytes: 1_000)) { try small.reserve(1) }
        }
        // Two are gone, and what they held.
        #expect(shared.bytesInUse == 700)
        first.release(100)
        #expect(shared.bytesInUse == 600)
    }

    @Test func aQueryEndsWithTheReasonItWasGiven() throws {
        let context = QueryContext(clock: ManualClock())
        let told = Mutex(0)
        context.onCancel { told.withLock { $0 += 1 } }
        context.cancel(.overProcessMemory(bytes: 5))
        context.cancel()
        #expect(throws: QueryInterruption.overProcessMemory(bytes: 5)) { try context.check() }
        #expect(told.withLock { $0 } == 1)
        context.onCancel { told.withLock { $0 += 10 } }
        #expect(told.withLock { $0 } == 11)
    }

    @Test func aLongQueryIsAskedAgainAndAgain() throws {
        let clock = ManualClock()
        let context = QueryContext(clock: clock)
        let told = Mutex(0)
        context.whenStillRunning(afterNanoseconds: 10_000_000) { _ in
            told.withLock { $0 += 1 }
            return 5_000_000
        }
        for (milliseconds, expected) in [(9, 0), (2, 1), (5, 1), (1, 2), (60, 3)] {
            clock.advance(milliseconds: Int64(milliseconds))
            try context.check()
            #expect(told.withLock { $0 } == expected)
        }
    }

    @Test func whoseAnswerHasBegunHasMoreTime() throws {
        let clock = ManualClock()
        let limits = QueryContext.Limits(deadlineNanoseconds: clock.nowNanoseconds + 10, timeoutMilliseconds: 3)
        let context = QueryContext(limits: limits, clock: clock)
        clock.advance(milliseconds: 1)
        #expect(context.mustEnd)
        #expect(throws: QueryInterruption.timedOut(milliseconds: 3)) { try context.check() }
        context.extendDeadline(toNanoseconds: clock.nowNanoseconds + 10)
        try context.check()
    }

    // MARK: Cancellation

    /// Expressions whose work lies in one series, in folding, in ordering, in joining.
    private static let longExpressions = [
        "stddev_over_time(load_0[1d])", "quantile_over_time(0.5, load_0[1d])", "mad_over_time(load_0[1d])",
        "avg_over_time(load_0[1d])", "ts_of_max_over_time(load_0[1d])", "deriv(load_0[1d])", "rate(load_0[1d])",
        "double_exponential_smoothing(load_0[1d], 0.5, 0.5)",
    ]

    @Test(arguments: longExpressions)
    func longLoopsNoticeThatTheClientLeft(expression: String) async throws {
        let engine = Engine(series: try await Self.store(count: 1, samples: 3_000))
        let clock = LeavingClock(afterReads: 8)
        let limits = QueryContext.Limits(deadlineNanoseconds: .max - 1)
        let context = QueryContext(limits: limits, clock: clock)
        clock.leave = { context.cancel() }
        #expect(throws: QueryInterruption.cancelled) {
            try engine.range(
                expression, startMilliseconds: Self.start + 1_500 * Self.minute,
                endMilliseconds: Self.start + 2_500 * Self.minute, stepMilliseconds: 6_000, in: context)
        }
        // Every look at the clock is a check; the first one after the client left ends the query.
        #expect(clock.reads == 8)
    }
}

/// A clock that stands still and says after some reads that the client left.
private final class LeavingClock: MonotonicClock {
    private struct State {
        var reads = 0
        var leave: @Sendable () -> Void = {}
    }

    private let state = Mutex(State())
    private let afterReads: Int

    init(afterReads: Int) {
        self.afterReads = afterReads
    }

    var reads: Int { state.withLock { $0.reads } }

    var leave: @Sendable () -> Void {
        get { state.withLock { $0.leave } }
        set { state.withLock { $0.leave = newValue } }
    }

    var nowNanoseconds: Int64 {
        let leave = state.withLock { state in
            state.reads += 1
            return state.reads == afterReads ? state.leave : nil
        }
        leave?()
        return 0
    }
}
