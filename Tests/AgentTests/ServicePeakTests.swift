import Telemetry
import Testing

@testable import Agent

/// The peaks that right-sizing needs: over what time, of what, and that they end.
@Suite struct ServicePeakTests {
    private static var context: CollectionContext { Fixture.context("v2") }
    private static let second: Int64 = 1_000_000_000

    /// The values after tick `number`, a second each; nil where nothing was due.
    private static func finish(_ peaks: inout ServicePeaks, _ number: Int) -> [String: Double]? {
        let tick = Tick(nanoseconds: 1_795_456_800 * second + Int64(number) * second, number: number)
        guard let group = peaks.finish(tick) else { return nil }
        var values: [String: Double] = [:]
        for index in group.values.indices {
            let labels = group.series[Int(group.seriesIndexes[index])].labels
            values["\(labels.metricName ?? "") \(labels["service"] ?? "")"] = group.values[index]
        }
        return values
    }

    @Test func theMostOfAnyContainerInAnyIntervalIsKeptForFiveToTenMinutes() {
        var peaks = ServicePeaks(Self.context, intervalMilliseconds: 1_000)
        var seen: [Int: [String: Double]] = [:]
        for number in 0..<1_300 {
            // Two containers that idle, and one second of work of one of them.
            let isBurst = number == 20
            peaks.add(ContainerUsage(cores: 0.01, memoryBytes: 100), of: "web")
            if number < 900 {
                peaks.add(ContainerUsage(cores: isBurst ? 3.5 : 0.02, memoryBytes: isBurst ? 900 : 200), of: "web")
            }
            if let values = Self.finish(&peaks, number) { seen[number] = values }
        }
        // An average over a minute would say 0.08.
        let afterBurst = seen.filter { (30..<300).contains($0.key) }
        #expect(!afterBurst.isEmpty)
        #expect(afterBurst.allSatisfy { $0.value["service_cpu_peak_cores web"] == 3.5 })
        #expect(afterBurst.allSatisfy { $0.value["service_memory_working_set_peak_bytes web"] == 900 })
        #expect(afterBurst.allSatisfy { $0.value["service_containers web"] == 2 })
        // Still known in the window after, and forgotten in the one behind that.
        #expect(
            seen.filter { (310..<590).contains($0.key) }.allSatisfy { $0.value["service_cpu_peak_cores web"] == 3.5 })
        #expect(
            seen.filter { $0.key > 610 && $0.key < 900 }.allSatisfy { $0.value["service_cpu_peak_cores web"] == 0.02 })
        #expect(seen.filter { $0.key > 910 }.allSatisfy { $0.value["service_containers web"] == 1 })
        // Once in fifteen seconds, not each.
        #expect(seen.count < 100)
    }

    @Test func aServiceThatIsGoneEndsAfterTwoWindows() {
        var peaks = ServicePeaks(Self.context, intervalMilliseconds: 1_000)
        peaks.add(ContainerUsage(cores: 1, memoryBytes: 5), of: "job")
        var last: [String: Double]?
        for number in 0..<700 {
            guard let values = Self.finish(&peaks, number) else { continue }
            if number > 15, number < 300 { #expect(values["service_cpu_peak_cores job"] == 1) }
            last = values
        }
        // What is left of it says that it ended.
        #expect(last?["service_cpu_peak_cores job"].map { Sample.isStale($0) } == true)
    }

    @Test func aContainersUseIsMeasuredBetweenTwoTicks() throws {
        let container = try #require(Fixture.containers("v2").first)
        let target = ContainerTarget(container, context: Fixture.context("v2"), intervalMilliseconds: 1_000)
        let ticks = (0..<2).map { Tick(nanoseconds: Int64($0 + 1) * Self.second, number: $0) }
        target.collect(ticks[0])
        let first = try #require(target.takeUsage(ticks[0]))
        #expect(first.cores == 0)
        #expect(first.memoryBytes > 0)
        target.collect(ticks[1])
        // The fixture's counters stand still.
        #expect(target.takeUsage(ticks[1])?.cores == 0)
    }
}
