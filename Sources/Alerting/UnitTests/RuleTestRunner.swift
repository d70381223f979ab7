internal import Query
package import Telemetry

/// Runs rule unit tests through the evaluator, the alert state machine and the query engine that the server uses.
///
/// As promtool: samples become visible as time goes on, all groups are evaluated at each step of the evaluation
/// interval, and alerts are looked at in the last step at or before the time of the case.
package struct RuleTestRunner: Sendable {
    /// A store that takes samples and answers queries.
    package typealias Store = any SampleAppender & SeriesSource

    /// What became of one file.
    package struct Outcome: Sendable {
        package var passed = 0
        package var failed = 0
        /// What failed: place, what was expected, what came.
        package var failures: [String] = []
        /// Where a running server does otherwise than the format's rules say.
        package var notes: [String] = []
    }

    private let clock: any MonotonicClock
    private let makeStore: @Sendable () async throws -> Store

    /// A runner that asks for an empty store for each group of tests.
    package init(clock: any MonotonicClock, makeStore: @escaping @Sendable () async throws -> Store) {
        self.clock = clock
        self.makeStore = makeStore
    }

    /// Runs all tests of a file over the rule groups its patterns name. Throws what the store throws.
    package func run(_ file: RuleTestFile, rules: [RuleGroup]) async throws -> Outcome {
        var outcome = Outcome()
        let places = Dictionary(file.groupOrder.enumerated().map { ($1, $0) }) { first, _ in first }
        // Stable: groups that the file does not order keep their own order behind the others.
        let ordered = rules.enumerated().sorted { left, right in
            let (a, b) = (places[left.element.name] ?? .max, places[right.element.name] ?? .max)
            return a == b ? left.offset < right.offset : a < b
        }.map(\.element)
        for group in file.groups {
            let store = try await makeStore()
            var run = RuleTestRun(file: file, group: group, rules: ordered, store: store, clock: clock)
            try await run.perform()
            outcome.passed += run.passed
            outcome.failed += run.failed
            outcome.failures += run.failures
            outcome.notes += run.notes
        }
        return outcome
    }
}
