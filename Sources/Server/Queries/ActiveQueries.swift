internal import Synchronization
internal import Telemetry

/// The queries that run or wait now, so that they can be listed and killed.
final class ActiveQueries: Sendable {
    /// One query.
    struct Entry: Sendable {
        var id: UInt64
        /// `promql`, `logql`, `labels` …
        var kind: String
        var text: String
        var principal: String
        var startMonotonicNanoseconds: Int64
        var startMilliseconds: Int64
        var context: QueryContext
    }

    private struct State {
        var entries: [UInt64: Entry] = [:]
        var nextID: UInt64 = 1
    }

    private let state = Mutex(State())

    /// Enters a query; `leave` it afterwards.
    func enter(
        kind: String, text: String, principal: String, monotonicNanoseconds: Int64, milliseconds: Int64,
        context: QueryContext
    ) -> UInt64 {
        state.withLock { state in
            let id = state.nextID
            state.nextID += 1
            state.entries[id] = Entry(
                id: id, kind: kind, text: text, principal: principal, startMonotonicNanoseconds: monotonicNanoseconds,
                startMilliseconds: milliseconds, context: context)
            return id
        }
    }

    func leave(_ id: UInt64) { state.withLock { $0.entries[id] = nil } }

    /// All of them, oldest first.
    var entries: [Entry] { state.withLock { state in state.entries.values.sorted { $0.id < $1.id } } }

    /// Ends a query at its next check; false when there is none of that id.
    func kill(_ id: UInt64) -> Bool {
        let entry = state.withLock { $0.entries[id] }
        entry?.context.cancel()
        return entry != nil
    }

    /// Ends all of them.
    func killAll() { for entry in entries { entry.context.cancel() } }
}
