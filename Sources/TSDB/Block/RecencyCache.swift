internal import Synchronization

/// Something that a cache keeps, and about how much memory it holds.
protocol MemoryHolding: Sendable {
    var memoryBytes: Int { get }
}

/// Keeps what was used lately within a budget of memory; the least recently used goes first.
final class RecencyCache<Key: Hashable & Sendable, Value: MemoryHolding>: Sendable {
    private struct Slot {
        var value: Value
        var lastUse: UInt64
        var bytes: Int
    }

    private struct State {
        var slots: [Key: Slot] = [:]
        var bytes = 0
        var clock: UInt64 = 0
    }

    let maximumBytes: Int
    /// One value may be so large: more would push out most of the rest.
    private let valueBytesMaximum: Int
    private let state = Mutex(State())

    /// A cache of at most `maximumBytes`, about; a value of more than `share` of that is not kept.
    init(maximumBytes: Int, share: Double = 1) {
        self.maximumBytes = maximumBytes
        valueBytesMaximum = Int(Double(maximumBytes) * share)
    }

    /// The memory held.
    var memoryBytes: Int { state.withLock { $0.bytes } }

    /// What is kept under `key`.
    func find(_ key: Key) -> Value? {
        state.withLock { state in
            guard let place = state.slots.index(forKey: key) else { return nil }
            state.clock += 1
            state.slots.values[place].lastUse = state.clock
            return state.slots.values[place].value
        }
    }

    /// Keeps `value`.
    func keep(_ value: Value, as key: Key) {
        let bytes = value.memoryBytes
        guard bytes <= valueBytesMaximum else { return }
        state.withLock { state in
            state.clock += 1
            let slot = Slot(value: value, lastUse: state.clock, bytes: bytes)
            if let old = state.slots.updateValue(slot, forKey: key) { state.bytes -= old.bytes }
            state.bytes += bytes
            if state.bytes > maximumBytes { Self.shrink(&state, to: maximumBytes / 4 * 3) }
        }
    }

    /// Notes that what is kept under `key` holds more memory than before.
    func note(_ bytes: Int, moreOf key: Key) {
        state.withLock { state in
            guard let place = state.slots.index(forKey: key) else { return }
            state.slots.values[place].bytes += bytes
            state.bytes += bytes
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

    /// Drops a quarter at a time, so that the order is looked at seldom.
    private static func shrink(_ state: inout State, to target: Int) {
        let oldest = state.slots.sorted { $0.value.lastUse < $1.value.lastUse }
        for (key, slot) in oldest where state.bytes > target {
            state.slots[key] = nil
            state.bytes -= slot.bytes
        }
    }
}
