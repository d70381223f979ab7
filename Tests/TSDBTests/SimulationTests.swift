import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import TSDB

/// A thousand lives on failing disks: nothing acknowledged is lost, nothing is doubled, nothing is made up.
struct SimulationTests {
    @Test func aDiskThatLiesAboutSyncsIsFoundOut() {
        let isFoundOut = (0..<50 as Range<UInt64>).contains { seed in
            var simulation = MetricSimulation(seed: seed, syncsAreLies: true)
            return (try? simulation.run(steps: 40)) == nil
        }
        #expect(isFoundOut, "the simulation cannot fail, so it proves nothing")
    }

    @Test func acknowledgedSamplesSurviveEveryCrash() throws {
        var coverage = MetricSimulation.Coverage()
        for seed in 0..<1000 as Range<UInt64> {
            var simulation = MetricSimulation(seed: seed)
            do {
                try simulation.run(steps: 40)
            } catch {
                let story = simulation.story.suffix(40).joined(separator: "\n")
                Issue.record("seed \(seed): \(error)\n\(story)")
                return
            }
            coverage.add(simulation.coverage)
        }
        print(
            "metric simulation: \(coverage.events.sorted { $0.key < $1.key }), crashes \(coverage.crashes.count) kinds")
        for operation in ["create", "write", "dataSync", "truncate", "rename", "remove", "syncFolder"] {
            for moment in ["before", "after"] {
                #expect(coverage.crashes["\(operation) \(moment)", default: 0] > 0, "\(operation) \(moment)")
            }
        }
        #expect(coverage.crashes["write during", default: 0] > 0)
        for event in [
            "append", "refused append", "rejected sample", "repeated delivery", "duplicate delivery", "flush",
            "backfill", "merge", "retention", "delete", "replayed sample", "clean restart", "powerCut", "kill",
            "failed open", "append while starting", "refused append while starting", "crash while starting",
            "list of series known as a whole",
        ] {
            #expect(coverage.events[event, default: 0] > 0, "\(event)")
        }
    }
}
