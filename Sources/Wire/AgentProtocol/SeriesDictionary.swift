internal import Synchronization
package import Telemetry

/// What one agent declared within one epoch: id → labels, and the id its series have in the database. Thread-safe.
package final class SeriesDictionary: Sendable {
    fileprivate struct Entry {
        var labels: Labels
        /// 0 while the database gave none.
        var series: SeriesID?
    }

    private struct State {
        var entries: [UInt64: Entry] = [:]
        var bytes = 0
    }

    private let state = Mutex(State())

    /// A dictionary that knows nothing.
    package init() {}

    /// About how much memory it holds.
    package var memoryBytes: Int { state.withLock { $0.bytes } }

    /// The number of label sets.
    package var count: Int { state.withLock { $0.entries.count } }

    /// Learns a label set. False when `id` stands for other labels already.
    package func declare(_ id: UInt64, _ labels: Labels) -> Bool {
        state.withLock { state in
            if let known = state.entries[id] { return known.labels == labels }
            state.entries[id] = Entry(labels: labels, series: nil)
            state.bytes += labels.encoded.count + 96
            return true
        }
    }

    /// Remembers which series the database made of the groups of a decoded batch, so that the next one names them.
    /// Ids that are not known any more are passed over.
    package func learn(_ seriesIDs: [[SeriesID]], of declared: [[UInt64]]) {
        state.withLock { state in
            for (ids, group) in zip(declared, seriesIDs) where ids.count == group.count {
                for (id, series) in zip(ids, group) { state.entries[id]?.series = series }
            }
        }
    }

    /// Looks ids up for one frame, while nobody declares or learns. The entries are lent, not copied: at ten thousand
    /// agents a copy per frame would be most of the work.
    func resolving<Value: Sendable>(
        _ body: (Resolver) throws(AgentProtocolError) -> Value
    ) throws(AgentProtocolError) -> Value {
        let result = state.withLock { state -> Result<Value, AgentProtocolError> in
            var entries: [UInt64: Entry] = [:]
            swap(&entries, &state.entries)
            let resolver = Resolver(entries)
            entries = [:]
            defer { state.entries = resolver.takeEntries() }
            return Result { () throws(AgentProtocolError) in try body(resolver) }
        }
        return try result.get()
    }
}

extension SeriesDictionary {
    /// Looks up the ids of one frame and remembers the first one nobody declared.
    final class Resolver {
        private var entries: [UInt64: Entry]
        private(set) var firstUnknown: UInt64?
        /// The ids of each group of samples, in order.
        private(set) var groups: [[UInt64]] = []

        fileprivate init(_ entries: [UInt64: Entry]) {
            self.entries = entries
        }

        /// The entries, back to where they belong.
        fileprivate func takeEntries() -> [UInt64: Entry] {
            defer { entries = [:] }
            return entries
        }

        /// The labels of `id`, empty where it was not declared.
        func labels(of id: UInt64) -> Labels {
            if let entry = entries[id] { return entry.labels }
            firstUnknown = firstUnknown ?? id
            return .empty
        }

        /// A series by its id, with the database's own id where that is known.
        func series(_ id: UInt64) -> SeriesReference {
            guard let entry = entries[id] else { return .labels(labels(of: id)) }
            return entry.series.map { .known($0, entry.labels) } ?? .labels(entry.labels)
        }

        /// Notes the ids of a group.
        func note(group: [UInt64]) { groups.append(group) }
    }
}
