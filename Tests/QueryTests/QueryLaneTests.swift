internal import Query
internal import Telemetry
internal import TestSupport
internal import Testing

/// Large queries are evaluated in parts by several threads: nobody can tell from the answer.
struct QueryLaneTests {
    /// Does the parts from the last to the first, as threads might.
    private struct Backwards: ParallelPerforming {
        func perform(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
            for part in (0..<count).reversed() { body(part) }
        }
    }

    private static let start: Int64 = 1_700_000_000_000

    /// Enough series that queries over them fall into parts.
    private static func store() async throws -> MemorySeriesSource {
        let store = MemorySeriesSource()
        var group = SampleGroup()
        for series in 0..<1_200 {
            let labels = Labels(["__name__": "load_total", "group": "\(series % 7)", "instance": "host-\(series)"])
            for sample in 0..<4 {
                group.append(
                    labels, milliseconds: start + Int64(sample) * 60_000,
                    value: Double(sample * (series % 13 + 1)) * 1.1)
            }
        }
        _ = try await store.append(SampleBatch(groups: [group]))
        return store
    }

    private static func answer(_ expression: String, _ engine: Engine, isParallel: Bool) throws -> [SeriesPoints] {
        let context = QueryContext(clock: ManualClock(), parallel: isParallel ? Backwards() : nil)
        let value = try engine.range(
            expression, startMilliseconds: start, endMilliseconds: start + 600_000, stepMilliseconds: 500, in: context)
        guard case .matrix(let series) = value else { throw QueryError(.execution, "\(value.typeName)") }
        return series
    }

    @Test func theOrderOfThePartsDoesNotShow() async throws {
        let engine = Engine(series: try await Self.store())
        for expression in [
            "sum by (group) (load_total)", "avg by (group) (load_total)", "stddev by (group) (load_total)",
            "count(load_total > 3)", "min by (group) (-load_total)", "max(rate(load_total[2m]))",
            "topk(3, load_total)", "group without (instance) (load_total)", "quantile(0.3, load_total)",
            "scalar(sum(load_total)) + absent(load_total)",
        ] {
            let alone = try Self.answer(expression, engine, isParallel: false)
            let isParallel = try Self.answer(expression, engine, isParallel: true)
            #expect(!alone.isEmpty || expression.hasPrefix("scalar"))
            #expect(alone.map(\.labels) == isParallel.map(\.labels), "\(expression)")
            #expect(alone.map { $0.values.map(\.bitPattern) } == isParallel.map { $0.values.map(\.bitPattern) })
        }
    }

    @Test func partsFoldToTheWhole() async throws {
        let engine = Engine(series: try await Self.store())
        let counted = try Self.answer("count by (group) (load_total)", engine, isParallel: true)
        #expect(counted.map { $0.values[0] } == [172, 172, 172, 171, 171, 171, 171])
        // The mean of parts against the sum of all by their number.
        let difference = try Self.answer(
            "abs(avg(load_total) - sum(load_total) / count(load_total)) > 1e-9", engine, isParallel: true)
        #expect(difference.isEmpty)
        let spread = try Self.answer(
            "abs(stdvar(load_total) - (avg(load_total * load_total) - avg(load_total) ^ 2)) > 1e-6", engine,
            isParallel: true)
        #expect(spread.isEmpty)
    }

    @Test func aPartThatFailsFailsTheQuery() async throws {
        let engine = Engine(series: try await Self.store())
        let limits = QueryContext.Limits(bytes: 1 << 20)
        let context = QueryContext(limits: limits, clock: ManualClock(), parallel: Backwards())
        #expect(throws: QueryInterruption.overBudget(bytes: 1 << 20)) {
            try engine.range(
                "load_total", startMilliseconds: Self.start, endMilliseconds: Self.start + 600_000,
                stepMilliseconds: 500, in: context)
        }
    }
}

/// What a query tells of its own evaluation.
struct QueryProfileTests {
    @Test func thePlanNamesItsSteps() async throws {
        let store = MemorySeriesSource()
        var group = SampleGroup()
        for minute in 0..<10 {
            for job in ["a", "b"] {
                group.append(
                    Labels(["__name__": "requests_total", "job": job]), milliseconds: Int64(minute) * 60_000,
                    value: Double(minute))
            }
        }
        _ = try await store.append(SampleBatch(groups: [group]))
        var engine = Engine(series: store)
        let profile = QueryProfile()
        engine.profile = profile
        _ = try engine.range(
            "sum by (job) (rate(requests_total[2m])) > 1 + max(-requests_total)", startMilliseconds: 240_000,
            endMilliseconds: 300_000, stepMilliseconds: 60_000, in: QueryContext(clock: ManualClock()))
        #expect(
            profile.steps.map { String(repeating: " ", count: $0.depth) + $0.text } == [
                "… > …", " sum by (job) (…)", "  rate(requests_total[2m])", " … + …", "  max(…)", "   -…",
                "    requests_total",
            ])
        #expect(profile.steps.map(\.isStreamed) == [false, false, true, false, false, true, true])
        #expect(profile.steps[1].samplesDecoded > 0)
        #expect(profile.steps[2].series == 2)
        // At each time two windows of two samples, and two samples looked up.
        #expect(profile.samplesByTime.map(\.count) == [6, 6])
        #expect(profile.samplesByTime.map(\.milliseconds) == [240_000, 300_000])
    }
}
