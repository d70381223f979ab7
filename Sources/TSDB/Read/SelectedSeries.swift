internal import Synchronization
internal import Telemetry

/// The series of one index that satisfy some matchers, in the order of their labels.
final class SelectedSeries: Sendable {
    /// One of them.
    struct Element: Sendable {
        let labels: Labels
        /// Its number in the index.
        let number: UInt32
        /// The place of its group in the block; 0 in the head.
        let group: UInt32
    }

    let elements: [Element]
    /// An estimate of the memory held.
    let memoryBytes: Int
    /// Of the index, where it changes.
    let version: UInt64

    /// Elements in any order.
    init(_ elements: consuming [Element], version: UInt64 = 0) {
        var elements = elements
        elements.sort { $0.labels < $1.labels }
        self.elements = elements
        self.version = version
        memoryBytes = elements.reduce(64) { $0 + $1.labels.encoded.count + 32 + MemoryLayout<Element>.stride }
    }
}

/// Keeps what selectors found lately: a dashboard and a rule ask for the same series again and again, and finding and
/// ordering them costs more than reading a sample of each. Least recently used goes first.
final class SelectionCache: Sendable {
    /// Matchers on one index: that of a block by its reader's number, or the head's, which is 0.
    struct Key: Hashable, Sendable {
        var reader: UInt64
        var matchers: [LabelMatcher]
    }

    private struct Slot {
        var selected: SelectedSeries
        var lastUse: UInt64
    }

    private struct State {
        var slots: [Key: Slot] = [:]
        var bytes = 0
        var clock: UInt64 = 0
    }

    private let maximumBytes: Int
    private let state = Mutex(State())

    /// A cache of at most `maximumBytes`, about.
    init(maximumBytes: Int) {
        self.maximumBytes = maximumBytes
    }

    /// The memory held.
    var memoryBytes: Int { state.withLock { $0.bytes } }

    /// What was found for `key`.
    func find(_ key: Key) -> SelectedSeries? {
        state.withLock { state in
            guard let place = state.slots.index(forKey: key) else { return nil }
            state.clock += 1
            state.slots.values[place].lastUse = state.clock
            return state.slots.values[place].selected
        }
    }

    /// Keeps what was found, unless it alone would push out most of the rest.
    func keep(_ selected: SelectedSeries, as key: Key) {
        guard selected.memoryBytes <= maximumBytes / 4 else { return }
        state.withLock { state in
            state.clock += 1
            let slot = Slot(selected: selected, lastUse: state.clock)
            if let old = state.slots.updateValue(slot, forKey: key) { state.bytes -= old.selected.memoryBytes }
            state.bytes += selected.memoryBytes
            if state.bytes > maximumBytes { Self.shrink(&state, to: maximumBytes / 4 * 3) }
        }
    }

    /// Lets go of about `bytes`; returns what was freed.
    func release(bytes: Int) -> Int {
        state.withLock { state in
            let before = state.bytes
            Self.shrink(&state, to: max(0, before - bytes))
            return before - state.bytes
        }
    }

    private static func shrink(_ state: inout State, to target: Int) {
        let oldest = state.slots.sorted { $0.value.lastUse < $1.value.lastUse }
        for (key, slot) in oldest where state.bytes > target {
            state.slots[key] = nil
            state.bytes -= slot.selected.memoryBytes
        }
    }
}
