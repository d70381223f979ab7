internal import Synchronization
package import Telemetry

/// Remembers the series that foreign senders write, so that a known series costs one comparison instead of a hash: a
/// sender repeats its series in the same order, so each series knows which one followed it the last time. The
/// comparison reads the request as it came; its labels are not even copied.
///
/// Shared by all requests. Bounded: when more series than `seriesMaximum` are known, those not seen since the last time
/// it was full are forgotten.
package final class SeriesMemory: Sendable {
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

    /// Resolves the series of one request while nobody else does.
    func resolving<Value: Sendable>(
        _ body: (inout Resolution) throws(ByteError) -> Value
    ) throws(ByteError) -> Value {
        let result = state.withLock { state -> Result<Value, ByteError> in
            var lent = State()
            swap(&lent, &state)
            var resolution = Resolution(lent, seriesMaximum: seriesMaximum)
            lent = State()
            defer { state = resolution.takeState() }
            return Result { () throws(ByteError) in try body(&resolution) }
        }
        return try result.get()
    }

    /// Takes over the ids that an append returned for the series of one request, in their order; none where it knew
    /// them all.
    package func learn(_ ids: [SeriesID], at places: Places) {
        if ids.isEmpty { return }
        state.withLock { state in
            guard places.generation == state.generation, ids.count == places.places.count else { return }
            for (place, id) in zip(places.places, ids) where place >= 0 {
                state.entries[Int(place)].id = id
            }
        }
    }

    /// Forgets everything; what is written next is learned anew. Returns how many series were forgotten.
    @discardableResult
    package func removeAll() -> Int {
        state.withLock { state in
            let count = state.entries.count
            state.entries = []
            state.places = LabelTable()
            state.generation += 1
            return count
        }
    }

    /// Series known, and how often the successor was the right one and how often not.
    package var statistics: (series: Int, hits: UInt64, misses: UInt64) {
        state.withLock { ($0.entries.count, $0.hits, $0.misses) }
    }
}

extension SeriesMemory {
    /// A series and what is known of it.
    fileprivate struct Entry {
        let labels: Labels
        /// The database's, 0 before the first append told it.
        var id = SeriesID(rawValue: 0)
        /// The entry that followed this one last time.
        var successor: Int32 = -1
        var isRecent = true

        var reference: SeriesReference { id.rawValue == 0 ? .labels(labels) : .known(id, labels) }
    }

    fileprivate struct State {
        var entries: [Entry] = []
        var places = LabelTable()
        /// Rises when entries move, so that places noted before mean nothing any more.
        var generation: UInt64 = 0
        var hits: UInt64 = 0
        var misses: UInt64 = 0
    }

    /// The series of one request, one after the other.
    struct Resolution {
        private var state: State
        private let seriesMaximum: Int
        private(set) var references: [SeriesReference] = []
        private(set) var places = Places()
        private var previous: Int32 = -1
        private var guess: Int32 = -1
        private var foreseen = SeriesReference.labels(.empty)

        fileprivate init(_ state: State, seriesMaximum: Int) {
            self.state = state
            self.seriesMaximum = seriesMaximum
            places.generation = state.generation
        }

        /// What was lent, back to where it belongs.
        fileprivate mutating func takeState() -> State {
            var state = State()
            swap(&state, &self.state)
            return state
        }

        /// Makes room for so many series.
        mutating func reserve(_ count: Int) {
            references.reserveCapacity(count)
            places.places.reserveCapacity(count)
        }

        /// The length of the labels that `message`, a `TimeSeries`, begins with, when they are those of the series that
        /// came behind the one before the last time; 0 when they are not.
        @inline(__always)
        mutating func foresee(_ message: UnsafeRawBufferPointer) -> Int {
            guard previous >= 0 else { return 0 }
            guess = state.entries[Int(previous)].successor
            guard guess >= 0 else { return 0 }
            foreseen = state.entries[Int(guess)].reference
            return EncodedLabels.length(of: foreseen.labels, in: message)
        }

        /// Takes the series that was foreseen.
        @inline(__always)
        mutating func takeForeseen() {
            if !state.entries[Int(guess)].isRecent { state.entries[Int(guess)].isRecent = true }
            references.append(foreseen)
            places.places.append(guess)
            previous = guess
            state.hits += 1
        }

        /// Takes a series by its canonical labels; false when those are no text or have an empty name.
        mutating func take(_ encoded: UnsafeRawBufferPointer) -> Bool {
            state.misses += 1
            guard let labels = Labels(validating: encoded) else { return false }
            let place: Int32
            let hash = LabelTable.hash(labels)
            if let known = state.places.find(hash, isSame: { state.entries[$0].labels == labels }) {
                place = Int32(known)
            } else {
                if state.entries.count >= seriesMaximum { forget() }
                place = Int32(state.entries.count)
                // One per series: doubling would leave half of it empty.
                let count = state.entries.count
                if count == state.entries.capacity { state.entries.reserveCapacity(count + count / 8 + 64) }
                state.entries.append(Entry(labels: labels))
                state.places.add(Int(place), hash)
            }
            state.entries[Int(place)].isRecent = true
            if previous >= 0 { state.entries[Int(previous)].successor = place }
            references.append(state.entries[Int(place)].reference)
            places.places.append(place)
            previous = place
            return true
        }

        /// Keeps what was seen since the last time, or nothing when that is too much as well.
        private mutating func forget() {
            var kept = state.entries.filter(\.isRecent)
            if kept.count > state.entries.count / 2 { kept = [] }
            for index in kept.indices {
                kept[index].isRecent = false
                kept[index].successor = -1
            }
            state.entries = kept
            state.places = LabelTable()
            for (place, entry) in kept.enumerated() { state.places.add(place, LabelTable.hash(entry.labels)) }
            state.generation += 1
            // What this request has noted so far is nowhere any more.
            places = Places(generation: state.generation, places: places.places.map { _ in -1 })
            previous = -1
        }
    }
}
