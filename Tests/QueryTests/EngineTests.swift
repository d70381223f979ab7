internal import Query
internal import Telemetry
internal import TestSupport
internal import Testing

/// The engine's surface: what callers see of answers, errors and limits.
struct EngineTests {
    private let store = MemorySeriesSource()
    private let context = QueryContext(clock: ManualClock())

    /// Two counters of four samples, a minute apart.
    private func load() async throws {
        var group = SampleGroup()
        for minute in 0..<4 {
            for job in ["a", "b"] {
                let labels = Labels(["__name__": "requests_total", "job": job])
                let value = Double(minute) * (job == "a" ? 60 : 120)
                group.append(labels, milliseconds: Int64(minute) * 60_000, value: value)
            }
        }
        _ = try await store.append(SampleBatch(groups: [group]))
    }

    @Test func anInstantSelectorAnswersTheLastSample() async throws {
        try await load()
        let value = try Engine(series: store).instant("requests_total", atMilliseconds: 150_000, in: context)
        guard case .vector(let points) = value else { throw QueryError(.execution, "\(value.typeName)") }
        #expect(points.map(\.value) == [120, 240])
        #expect(points.map(\.milliseconds) == [150_000, 150_000])
    }

    @Test(
        arguments: ["requests_total[5m] anchored", "requests_total[5m] smoothed", "requests_total smoothed"],
        [Int64.min, .min + 300_000, .max, .max - 300_000])
    func timesAtTheEndsOfTheScaleAreAnswered(_ query: String, _ time: Int64) async throws {
        try await load()
        let value = try Engine(series: store).instant(query, atMilliseconds: time, in: context)
        switch value {
        case .vector(let points): #expect(points.isEmpty)
        case .matrix(let series): #expect(series.isEmpty)
        default: Issue.record("\(value.typeName)")
        }
    }

    @Test func aRangeQueryAnswersPointsPerSeries() async throws {
        try await load()
        let value = try Engine(series: store).range(
            "sum(rate(requests_total[2m]))", startMilliseconds: 120_000, endMilliseconds: 180_000,
            stepMilliseconds: 30_000, in: context)
        guard case .matrix(let series) = value else { throw QueryError(.execution, "\(value.typeName)") }
        #expect(series.count == 1)
        #expect(series[0].timesMilliseconds == [120_000, 150_000, 180_000])
        #expect(series[0].values.allSatisfy { abs($0 - 3) < 1e-9 })
    }

    @Test func tooManyStepsAreRefusedInTheWordsOfPrometheus() throws {
        let error = #expect(throws: QueryError.self) {
            try Engine(series: store).range(
                "up", startMilliseconds: 0, endMilliseconds: 11_001_000, stepMilliseconds: 1000, in: context)
        }
        #expect(
            error?.description
                == "exceeded maximum resolution of 11,000 points per timeseries. "
                + "Try decreasing the query resolution (?step=XX)")
    }

    @Test func whatIsSaidOfSeveralPlacesIsSaidOnceOfTheLast() async throws {
        try await load()
        _ = try Engine(series: store).range(
            "sort(abs(sort(requests_total)))", startMilliseconds: 0, endMilliseconds: 60_000, stepMilliseconds: 1_000,
            in: context)
        #expect(
            context.warnings == [
                "PromQL warning: sort is ineffective for range queries since results are always ordered by labels (1:1)"
            ])
    }

    @Test func remarksOnASubqueryPointToTheStartOfTheQuery() async throws {
        try await load()
        let engine = Engine(series: store)
        for (query, place) in [("abs(rate(up[1m]))", "(1:10)"), ("abs(rate(up[1m:1s]))", "(1:1)")] {
            var group = SampleGroup()
            group.append(.init(["__name__": "up"]), milliseconds: 10_000, value: 1)
            group.append(.init(["__name__": "up"]), milliseconds: 20_000, value: 1)
            _ = try await store.append(SampleBatch(groups: [group]))
            let context = QueryContext(clock: ManualClock())
            _ = try engine.instant(query, atMilliseconds: 30_000, in: context)
            #expect(context.infos.count == 1 && context.infos.allSatisfy { $0.hasSuffix(place) }, "\(context.infos)")
        }
    }

    @Test func aDurationThatTurnsOutWrongIsAFaultOfTheRequest() {
        let error = #expect(throws: QueryError.self) {
            try Engine(series: store).instant("sum_over_time(a[step()])", atMilliseconds: 0, in: context)
        }
        #expect(error?.kind == .parameters && error?.message == "16:22: duration must be greater than 0")
    }

    @Test func aQueryThatIsCancelledStops() async throws {
        try await load()
        context.cancel()
        #expect(throws: QueryInterruption.cancelled) {
            try Engine(series: store).instant("requests_total", atMilliseconds: 0, in: context)
        }
    }

    @Test func aQueryBeyondItsMemoryIsRefused() async throws {
        try await load()
        let small = QueryContext(limits: QueryContext.Limits(bytes: 100), clock: ManualClock())
        #expect(throws: QueryInterruption.overBudget(bytes: 100)) {
            try Engine(series: store).instant("requests_total", atMilliseconds: 0, in: small)
        }
    }

    @Test func selectorsOfAQueryAreListed() throws {
        let selectors = try Engine.selectors(in: "rate(a{x=\"1\"}[5m]) / on() group_left b")
        #expect(selectors.map { $0.map(\.description) } == [["x=\"1\"", "__name__=\"a\""], ["__name__=\"b\""]])
    }
}
