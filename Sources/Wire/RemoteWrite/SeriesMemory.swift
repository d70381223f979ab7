internal import Synchronization
package import Telemetry

/// Remembers the series that foreign senders write, so that a known series costs one comparison instead of a hash: a
/// sender repeats its series in the same order, so each series knows which one followed it the last time.
///
/// Shared by all requests. Bounded: when more series than `seriesMaximum` are known, those not seen since the last time
/// it was full are forgotten.
package final class SeriesMemory: Sendable {
    /// A series and what is known of it.
    private struct Entry {
        var labels: Labels
        /// The database's id; nil until the first append told it.
        var id: SeriesID?
        /// The entry that followed this one last time.
        var successor: Int32
        var isRecent: Bool
    }

    private struct State {
        var entries: [Entry] = []
        var places: [Labels: Int32] = [:]
        /// Rises when entries move, so that places noted before mean nothing any more.
        var generation: UInt64 = 0
        var hits: UInt64 = 0
        var misses: UInt64 = 0
    }

    /// Where the series of one request are kept, to be completed with the ids its append returned.
    package struct Places: Sendable {
        fileprivate var generation: UInt64 = 0
        fileprivate var places: [Int32] = []
    }

    private let state = Mutex(State())
    private let seriesMaximum: Int

    /// A memory of at most `seriesMaximum` series.
    package init(seriesMaximum: Int = 4_000_000) {
        self.seriesMaximum = max(1, seriesMaximum)
    }

    /// Resolves canonical labels (`Labels.encoded`) that lie one behind the other in `encoded`, series i ending at
    /// `ends[i]`. Returns a reference for each, where they are kept, and those that are no text or have empty names.
    func resolve(
        _ encoded: UnsafeRawBufferPointer, ends: [Int]
    ) -> (references: [SeriesReference], places: Places, invalid: Set<Int>) {
        state.withLock { state in
            if state.entries.count + ends.count > seriesMaximum { SeriesMemory.forget(&state) }
            var references: [SeriesReference] = []
            references.reserveCapacity(ends.count)
            var places = Places(generation: state.generation)
            places.places.reserveCapacity(ends.count)
            var previous: Int32 = -1
            var start = 0
            var invalid: Set<Int> = []
            for (number, end) in ends.enumerated() {
                let bytes = UnsafeRawBufferPointer(rebasing: encoded[start..<end])
                start = end
                guard let place = SeriesMemory.place(of: bytes, after: previous, in: &state) else {
                    invalid.insert(number)
                    references.append(.labels(.empty))
                    places.places.append(-1)
                    continue
                }
                let index = Int(place)
                state.entries[index].isRecent = true
                let entry = state.entries[index]
                references.append(entry.id.map { .known($0, entry.labels) } ?? .labels(entry.labels))
                places.places.append(place)
                previous = place
            }
            return (references, places, invalid)
        }
    }

    /// Takes over the ids that an append returned for the series of one request, in their order.
    package func learn(_ ids: [SeriesID], at places: Places) {
        state.withLock { state in
            guard places.generation == state.generation, ids.count == places.places.count else { return }
            for (place, id) in zip(places.places, ids) where place >= 0 { state.entries[Int(place)].id = id }
        }
    }

    /// Forgets everything; what is written next is learned anew. Returns how many series were forgotten.
    @discardableResult
    package func removeAll() -> Int {
        state.withLock { state in
            let count = state.entries.count
            state.entries = []
            state.places = [:]
            state.generation += 1
            return count
        }
    }

    /// Series known, and how often the successor was the right one and how often not.
    package var statistics: (series: Int, hits: UInt64, misses: UInt64) {
        state.withLock { ($0.entries.count, $0.hits, $0.misses) }
    }

    private static func place(
        of bytes: UnsafeRawBufferPointer, after previous: Int32, in state: inout State
    ) -> Int32? {
        if previous >= 0 {
            let guess = state.entries[Int(previous)].successor
            if guess >= 0, isEqual(state.entries[Int(guess)].labels, bytes) {
                state.hits += 1
                return guess
            }
        }
        state.misses += 1
        guard let labels = Labels(validating: bytes) else { return nil }
        let place: Int32
        if let known = state.places[labels] {
            place = known
        } else {
            place = Int32(state.entries.count)
            state.entries.append(Entry(labels: labels, id: nil, successor: -1, isRecent: true))
            state.places[labels] = place
        }
        if previous >= 0 { state.entries[Int(previous)].successor = place }
        return place
    }

    private static func isEqual(_ labels: Labels, _ bytes: UnsafeRawBufferPointer) -> Bool {
        labels.encoded.withUnsafeBytes { $0.isSame(as: bytes) }
    }

    /// Keeps what was seen since the last time, or nothing when that is too much as well.
    private static func forget(_ state: inout State) {
        var kept = state.entries.filter(\.isRecent)
        if kept.count > state.entries.count / 2 { kept = [] }
        for index in kept.indices {
            kept[index].isRecent = false
            kept[index].successor = -1
        }
        state.entries = kept
        state.places = Dictionary(uniqueKeysWithValues: kept.enumerated().map { ($1.labels, Int32($0)) })
        state.generation += 1
    }
}
