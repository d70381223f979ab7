internal import Synchronization

/// Keeps what was read and checked lately, of all blocks together, within a budget; the least recently used goes first.
final class PageCache: Sendable {
    /// Something kept: a page's payload, or a strip header in the form it is used in, with columns that were decoded.
    enum Entry: Sendable {
        case page(PaddedBytes)
        case strip(Strip)

        var memoryBytes: Int {
            switch self {
            case .page(let bytes): bytes.count
            case .strip(let strip): strip.memoryBytes
            }
        }
    }

    /// A place in a block.
    struct Key: Hashable, Sendable {
        /// The reader's number, so that a file of the same name later is not mistaken.
        var reader: UInt64
        var offset: UInt64
    }

    private struct Slot {
        var entry: Entry
        var lastUse: UInt64
        var bytes: Int
    }

    private struct State {
        var slots: [Key: Slot] = [:]
        var bytes = 0
        var clock: UInt64 = 0
    }

    let maximumBytes: Int
    private let state = Mutex(State())

    /// A cache of at most `maximumBytes`, about.
    init(maximumBytes: Int) {
        self.maximumBytes = maximumBytes
    }

    /// The memory held.
    var memoryBytes: Int { state.withLock { $0.bytes } }

    /// What is kept under `key`.
    func find(_ key: Key) -> Entry? {
        state.withLock { state in
            guard let place = state.slots.index(forKey: key) else { return nil }
            state.clock += 1
            state.slots.values[place].lastUse = state.clock
            return state.slots.values[place].entry
        }
    }

    /// Keeps `entry`.
    func keep(_ entry: Entry, as key: Key) {
        state.withLock { state in
            state.clock += 1
            let bytes = entry.memoryBytes
            if let old = state.slots.updateValue(Slot(entry: entry, lastUse: state.clock, bytes: bytes), forKey: key) {
                state.bytes -= old.bytes
            }
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
