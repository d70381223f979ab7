package import Telemetry

/// Runs scripts of PromQL or LogQL against a store: the upstream suites, and plain-text tests of our own.
///
/// Every `eval` counts as one test. As upstream, an instant one of PromQL must hold too with `@ <its time>` on all
/// selectors whenever it is evaluated, and as the middle step of a range query.
package struct ScriptRunner: Sendable {
    /// A store that takes samples and answers queries.
    package typealias Store = any SampleAppender & SeriesSource
    /// A store that takes lines and answers queries.
    package typealias LogStore = any LogAppender & LogSource

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

    /// Runs a script under the name that its failures carry.
    private let runScript: @Sendable (_ text: String, _ file: String) async throws -> Outcome

    /// A runner of PromQL scripts that asks for an empty store at the beginning of each script and at each `clear`.
    package init(clock: any MonotonicClock, makeStore: @escaping @Sendable () async throws -> Store) {
        self.init(PromQLScript.self, clock, makeStore)
    }

    /// A runner of LogQL scripts that asks for an empty store at the beginning of each script and at each `clear`.
    package static func logQL(
        clock: any MonotonicClock, makeStore: @escaping @Sendable () async throws -> LogStore
    ) -> ScriptRunner {
        ScriptRunner(LogQLScript.self, clock, makeStore)
    }

    private init<Language: ScriptLanguage>(
        _ language: Language.Type, _ clock: any MonotonicClock,
        _ makeStore: @escaping @Sendable () async throws -> Language.Store
    ) {
        runScript = { text, file in
            var outcome = Outcome()
            let commands: [ScriptCommand<Language.Load>]
            do throws(ScriptError) {
                commands = try Language.commands(of: text)
            } catch {
                outcome.failures.append(Failure(file: file, line: error.line, query: "", reason: error.message))
                return outcome
            }
            var store = try await makeStore()
            for command in commands {
                switch command {
                case .clear: store = try await makeStore()
                case .load(let load): try await Language.append(load, to: store)
                case .evaluate(let evaluation):
                    if let reason = Language.difference(evaluation, store, clock) {
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

    /// Runs one script; `file` is the name that failures carry. Throws what the store throws.
    package func run(_ text: String, file: String) async throws -> Outcome { try await runScript(text, file) }
}
