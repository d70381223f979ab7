internal import Telemetry

/// A script language: how a script is read, how it fills a store, and whether an `eval` holds there.
protocol ScriptLanguage: Sendable {
    /// What it runs against.
    associatedtype Store: Sendable
    /// What one `load` holds.
    associatedtype Load: Sendable

    static func commands(of text: String) throws(ScriptError) -> [ScriptCommand<Load>]
    static func append(_ load: Load, to store: Store) async throws
    /// Nil when everything held, else what did not.
    static func difference(_ evaluation: ScriptEvaluation, _ store: Store, _ clock: any MonotonicClock) -> String?
}

/// The language of Prometheus' `promqltest`.
enum PromQLScript: ScriptLanguage {
    static func commands(of text: String) throws(ScriptError) -> [ScriptCommand<ScriptLoad>] {
        try ScriptParser.commands(of: text)
    }

    static func append(_ load: ScriptLoad, to store: ScriptRunner.Store) async throws {
        for batch in try ScriptSamples(load).batches { _ = try await store.append(batch) }
    }

    static func difference(
        _ evaluation: ScriptEvaluation, _ store: ScriptRunner.Store, _ clock: any MonotonicClock
    ) -> String? {
        ScriptCheck(evaluation: evaluation, store: store, clock: clock).run()
    }
}
