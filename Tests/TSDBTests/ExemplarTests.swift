import Disk
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import TSDB

/// Exemplars are kept like samples, up to a number, and are found by the series they belong to.
struct ExemplarTests {
    private func batch(_ name: String, _ values: [(trace: String, milliseconds: Int64)]) -> SampleBatch {
        var group = SampleGroup()
        group.append(.series(name), milliseconds: values.last?.milliseconds ?? 0, value: 1)
        for value in values {
            group.exemplars.append(
                ExemplarSample(
                    seriesIndex: 0, milliseconds: value.milliseconds, value: 0.5,
                    labels: Labels(["trace_id": value.trace])))
        }
        return SampleBatch(groups: [group])
    }

    private func traces(
        _ harness: DatabaseHarness, _ names: [String] = ["a", "b"], range: TimeRange = .all
    ) throws -> [String: [String]] {
        let selectors = names.map { [LabelMatcher.equal("__name__", $0)] }
        let found = try harness.database.exemplars(selectors: selectors, range: range, in: harness.context)
        var traces: [String: [String]] = [:]
        for one in found { traces[one.labels.metricName ?? ""] = one.exemplars.compactMap { $0.labels["trace_id"] } }
        return traces
    }

    @Test func theySurviveRestartsAndSealsAndAreFoundBySelectorAndTime() throws {
        var harness = try DatabaseHarness()
        let now = harness.clock.nowMilliseconds
        _ = try harness.append(batch("a", [("1", now - 10), ("2", now)]))
        _ = try harness.append(batch("b", [("3", now)]))
        let all = ["a": ["1", "2"], "b": ["3"]]
        #expect(try traces(harness) == all)
        try harness.restart()
        #expect(try traces(harness) == all)
        try harness.database.seal()
        try harness.restart()
        #expect(try traces(harness) == all)
        _ = try harness.append(batch("a", [("2", now), ("4", now + 1000)]))
        try harness.restart()
        #expect(try traces(harness, ["a"]) == ["a": ["1", "2", "4"]])
        let range = TimeRange(startMilliseconds: now, endMilliseconds: now)
        #expect(try traces(harness, range: range) == ["a": ["2"], "b": ["3"]])
        #expect(try traces(harness, ["c"]) == [:])
    }

    @Test func theOldestGoWhenThereAreTooMany() throws {
        var harness = try DatabaseHarness()
        harness.options.exemplarsMaximum = 3
        try harness.restart()
        let now = harness.clock.nowMilliseconds
        _ = try harness.append(batch("b", [("0", now)]))
        for number in 1..<6 { _ = try harness.append(batch("a", [("\(number)", now + Int64(number))])) }
        #expect(try traces(harness) == ["a": ["3", "4", "5"]])
        try harness.restart()
        try harness.database.seal()
        try harness.restart()
        #expect(try traces(harness) == ["a": ["3", "4", "5"]])
    }

    @Test func messagesInPlaceOfPointersAreLeftOutAndCounted() throws {
        let harness = try DatabaseHarness()
        let now = harness.clock.nowMilliseconds
        let long = String(repeating: "x", count: 121)
        #expect(try harness.append(batch("a", [(long, now), ("1", now)])).accepted == 1)
        #expect(try traces(harness) == ["a": ["1"]])
        #expect(harness.database.counters.exemplarsDropped.load(ordering: .relaxed) == 1)
    }

    @Test func deletedOnesStayDeletedAndADamagedFileIsTold() throws {
        var harness = try DatabaseHarness()
        let now = harness.clock.nowMilliseconds
        _ = try harness.append(batch("a", [("1", now)]))
        _ = try harness.append(batch("b", [("2", now)]))
        _ = try harness.database.delete(matching: [.equal("__name__", "a")], range: .all)
        #expect(try traces(harness) == ["b": ["2"]])
        try harness.restart()
        #expect(try traces(harness) == ["b": ["2"]])
        harness.storage.flipBit(1, ofByte: 9, in: "\(DatabaseHarness.folder)/exemplars")
        try harness.restart()
        #expect(try traces(harness) == [:])
        #expect(harness.database.quarantine.contains { $0.reason.contains("exemplars") })
        #expect(try harness.samples()[.series("b")]?.count == 1)
    }
}
