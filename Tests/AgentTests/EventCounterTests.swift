import Telemetry
import Testing

@testable import Agent

/// Counters of what happened to containers and services.
@Suite struct EventCounterTests {
    // cadvisor#3015, PR #3278: a counter that is born with its first event, or dies with its container, shows no rise.
    @Test func killsAreCountedFromZeroAndOutliveTheirContainer() {
        let counters = EventCounters()
        var container = Container(id: String(repeating: "a", count: 64))
        container.name = "web"
        counters.discover(container)
        let kills = EventCounters.Kind.oomKill.rawValue
        #expect(counters.services()["web"]?[kills] == 0)
        #expect(counters.count(.oomKill, of: container.id) == 0)
        counters.add(.oomKill, to: container, count: 2)
        // Nothing is sent that a crash could take back.
        #expect(counters.services()["web"]?[kills] == 0)
        counters.publish(counters.taken)
        #expect(counters.count(.oomKill, of: container.id) == 2)
        counters.forget(container: container.id)
        var next = Container(id: String(repeating: "b", count: 64))
        next.name = "web"
        counters.discover(next)
        counters.add(.oomKill, to: next)
        counters.publish(counters.taken)
        #expect(counters.services()["web"]?[kills] == 3)
    }
}
