internal import Glibc
internal import Synchronization
package import Telemetry

/// What one agent declared within one epoch: id → labels, and the id its series have in the database. Thread-safe.
package final class SeriesDictionary: Sendable {
    fileprivate struct Entry {
        var labels: Labels
        /// 0 while the database gave none.
        var series: SeriesID?
    }

    /// The series of one group as its sender lists them again and again: the very same array each time.
    fileprivate struct List {
        /// As they stand in the payload.
        var encoded: [UInt8]
        var ids: [UInt64]
        var series: [SeriesReference]

        var memoryBytes: Int { encoded.count + ids.count * 8 + series.count * MemoryLayout<SeriesReference>.stride }
    }

    /// What a group is listed by: one target has another list for its events.
    fileprivate struct ListKey: Hashable {
        var target: UInt64
        var interval: UInt64
    }

    fileprivate struct State {
        var entries: [UInt64: Entry] = [:]
        var lists: [ListKey: List] = [:]
        var bytes = 0
    }

    /// An agent with more targets than this lists them all anew.
    fileprivate static let listsMaximum = 4096

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
        guard seriesIDs.contains(where: { !$0.isEmpty }) else { return }
        state.withLock { state in
            for (ids, group) in zip(declared, seriesIDs) where ids.count == group.count {
                for (id, series) in zip(ids, group) { state.entries[id]?.series = series }
            }
            state.forgetLists()
        }
    }

    /// Looks ids up for one frame, while nobody declares or learns. What is known is lent, not copied: at ten thousand
    /// agents a copy per frame would be most of the work.
    func resolving<Value: Sendable>(
        _ body: (Resolver) throws(AgentProtocolError) -> Value
    ) throws(AgentProtocolError) -> Value {
        let result = state.withLock { state -> Result<Value, AgentProtocolError> in
            var lent = State()
            swap(&lent, &state)
            let resolver = Resolver(lent)
            lent = State()
            defer { state = resolver.takeState() }
            return Result { () throws(AgentProtocolError) in try body(resolver) }
        }
        return try result.get()
    }
}

extension SeriesDictionary.State {
    /// What a series is may have changed.
    fileprivate mutating func forgetLists() {
        for list in lists.values { bytes -= list.memoryBytes }
        lists = [:]
    }

    fileprivate mutating func keep(_ list: SeriesDictionary.List, of key: SeriesDictionary.ListKey) {
        if lists.count >= SeriesDictionary.listsMaximum { forgetLists() }
        bytes += list.memoryBytes
        if let old = lists.updateValue(list, forKey: key) { bytes -= old.memoryBytes }
    }
}

extension SeriesDictionary {
    /// Looks up the ids of one frame and remembers the first one nobody declared.
    final class Resolver {
        private var state: State
        private(set) var firstUnknown: UInt64?
        /// The ids of each group of samples, in order.
        private(set) var groups: [[UInt64]] = []

        fileprivate init(_ state: State) {
            self.state = state
        }

        /// What was lent, back to where it belongs.
        fileprivate func takeState() -> State {
            var state = State()
            swap(&state, &self.state)
            return state
        }

        /// The labels of `id`, empty where it was not declared.
        func labels(of id: UInt64) -> Labels {
            if let entry = state.entries[id] { return entry.labels }
            firstUnknown = firstUnknown ?? id
            return .empty
        }

        /// Reads the ids of `count` series of a group and looks them up; `isKept` when the array is kept for the next
        /// time, as it is when the group was listed in the same bytes before.
        func readSeries(
            _ count: Int, target: UInt64, interval: UInt64, from reader: inout ByteReader
        ) throws(ByteError) -> (series: [SeriesReference], isKept: Bool) {
            let key = ListKey(target: target, interval: interval)
            if let known = state.lists[key], known.ids.count == count, reader.skip(known.encoded) {
                groups.append(known.ids)
                return (known.series, true)
            }
            var start = reader
            var list = List(encoded: [], ids: [], series: [])
            list.ids.reserveCapacity(count)
            list.series.reserveCapacity(count)
            var id: UInt64 = 0
            for _ in 0..<count {
                id = id &+ UInt64(bitPattern: try reader.signed())
                list.ids.append(id)
                list.series.append(series(id))
            }
            groups.append(list.ids)
            // What the database has no ids for yet is another list the next time.
            guard firstUnknown == nil, list.series.allSatisfy(\.isKnown) else { return (list.series, false) }
            list.encoded = Array(try start.slice(reader.offset - start.offset))
            state.keep(list, of: key)
            return (list.series, true)
        }

        /// A series by its id, with the database's own id where that is known.
        private func series(_ id: UInt64) -> SeriesReference {
            guard let entry = state.entries[id] else { return .labels(labels(of: id)) }
            return entry.series.map { .known($0, entry.labels) } ?? .labels(entry.labels)
        }
    }
}

extension SeriesReference {
    fileprivate var isKnown: Bool {
        if case .known = self { true } else { false }
    }
}

extension ByteReader {
    /// Passes over `expected`, if that is what comes next.
    fileprivate mutating func skip(_ expected: [UInt8]) -> Bool {
        var ahead = self
        guard let next = try? ahead.slice(expected.count) else { return false }
        let isSame = expected.withUnsafeBytes { expected in
            guard let left = expected.baseAddress, let right = next.baseAddress else { return true }
            return memcmp(left, right, next.count) == 0
        }
        if isSame { self = ahead }
        return isSame
    }
}
