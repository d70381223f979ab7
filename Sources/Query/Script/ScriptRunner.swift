package import Telemetry

/// Runs PromQL scripts against a store: the upstream suite, and plain-text tests of our own.
///
/// Every `eval` counts as one test. As upstream, an instant one must hold too with `@ <its time>` on all selectors
/// whenever it is evaluated, and as the middle step of a range query.
package struct ScriptRunner: Sendable {
    /// A store that takes samples and answers queries.
    package typealias Store = any SampleAppender & SeriesSource

    /// What became of one script.
    package struct Outcome: Sendable {
        package var passed = 0
        package var failures: [Failure] = []

        package var failed: Int { failures.count }
    }

    /// An `eval` that did not hold, or a line that could not be read.
    package struct Failure: Sendable, CustomStringConvertible {
        package var file: String
        package var line: Int
        package var query: String
        /// What was expected and what came.
        package var reason: String

        package var description: String {
            query.isEmpty ? "\(file):\(line): \(reason)" : "\(file):\(line): \(query)\n    \(reason)"
        }
    }

    private let clock: any MonotonicClock
    private let makeStore: @Sendable () async throws -> Store

    /// A runner that asks for an empty store at the beginning of each script and at each `clear`.
    package init(clock: any MonotonicClock, makeStore: @escaping @Sendable () async throws -> Store) {
        self.clock = clock
        self.makeStore = makeStore
    }

    /// Runs one script; `file` is the name that failures carry. Throws what the store throws.
    package func run(_ text: String, file: String) async throws -> Outcome {
        var outcome = Outcome()
        let commands: [ScriptCommand]
        do throws(ScriptError) {
            commands = try ScriptParser.commands(of: text)
        } catch {
            outcome.failures.append(Failure(file: file, line: error.line, query: "", reason: error.message))
            return outcome
        }
        var store = try await makeStore()
        for command in commands {
            switch command {
            case .clear: store = try await makeStore()
            case .load(let load):
                for batch in try ScriptSamples(load).batches { _ = try await store.append(batch) }
            case .evaluate(let evaluation):
                if let reason = ScriptCheck(evaluation: evaluation, store: store, clock: clock).run() {
                    outcome.failures.append(
                        Failure(file: file, line: evaluation.line, query: evaluation.query, reason: reason))
                } else {
                    outcome.passed += 1
                }
            }
        }
        return outcome
    }
}
