internal import TestSupport
internal import Testing

/// A short run of each fuzzer of this room; `make fuzz` runs them for longer.
@Suite struct FuzzSmokeTests {
    @Test func damagedLogsKeepWhatHolds() throws {
        try SegmentedLogFuzzer.runFromTable()
    }

    @Test func theCanaryFails() {
        #expect(throws: FuzzFinding.self) { try SegmentedLogCanary.run(seed: 1, events: 500) }
    }
}
