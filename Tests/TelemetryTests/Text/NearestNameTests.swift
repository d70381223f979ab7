internal import Testing

@testable import Telemetry

@Suite struct NearestNameTests {
    private let names = ["node_load1", "node_load5", "node_memory_MemFree_bytes", "up"]

    @Test func aSlipOfTheHandIsForgiven() {
        #expect(NearestName.of("node_laod1", among: names) == ["node_load1", "node_load5"])
        #expect(NearestName.of("expr", among: ["exprr"]) == ["exprr"])
    }

    @Test func partOfANameFindsIt() {
        #expect(NearestName.of("memfree", among: names) == ["node_memory_MemFree_bytes"])
    }

    @Test func whatIsFarAwayIsNotNamed() {
        #expect(NearestName.of("http_requests_total", among: names).isEmpty)
    }

    @Test func noMoreThanAskedFor() {
        #expect(NearestName.of("node_load", among: names, maximum: 1) == ["node_load1"])
        #expect(NearestName.of("", among: []).isEmpty)
    }
}
