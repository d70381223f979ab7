internal import Synchronization
internal import Telemetry

/// Opened blocks and filters of the recent queries, up to a number of bytes; what was used longest ago goes first.
final class BlockCache: Sendable {
    private struct Key: Hashable {
        var owner: ObjectIdentifier
        var offset: UInt64
    }

    private struct Entry {
        var block: OpenBlock?
        var filter: WordFilter?
        /// Keeps the identity of the owner from being given to another object.
        var owner: AnyObject
        var bytes: Int
        var lastUse: UInt64
    }

    /// Owners are immutable and `Sendable`, but stand here for their identity alone.
    private struct State: @unchecked Sendable {
        var entries: [Key: Entry] = [:]
        var bytes = 0
        var uses: UInt64 = 0
    }

    private let bytesMaximum: Int
    private let state = Mutex(State())

    /// A cache of about `bytesMaximum` bytes.
    init(bytesMaximum: Int) {
        self.bytesMaximum = bytesMaximum
    }

    /// How often something was asked for.
    var uses: UInt64 { state.withLock { $0.uses } }

    /// The bytes that are held.
    var bytes: Int { state.withLock { $0.bytes } }

    /// Opens a block, or finds it open.
    func open(_ block: StoredBlock) throws -> OpenBlock { try opened(block).block }

    /// Opens a block, or finds it open, and says whether it had to be read.
    func opened(_ block: StoredBlock) throws -> (block: OpenBlock, wasRead: Bool) {
        let key = BlockCache.key(block)
        if let known = state.withLock({ BlockCache.use(key, &$0)?.block }) { return (known, false) }
        let open = try block.open()
        keep(block, key) { $0.block = open }
        return (open, block.isInPart)
    }

    /// The filter of a block; nil when it has none.
    func filter(_ block: StoredBlock) throws -> WordFilter? {
        guard block.summary.filterBytes > 0 else { return nil }
        let key = BlockCache.key(block)
        if let known = state.withLock({ BlockCache.use(key, &$0)?.filter }) { return known }
        let filter = try block.filter()
        keep(block, key) { $0.filter = filter }
        return filter
    }

    /// Gives everything back; returns how many bytes that were.
    func removeAll() -> Int {
        state.withLock { state in
            defer { state = State(uses: state.uses) }
            return state.bytes
        }
    }

    private static func key(_ block: StoredBlock) -> Key {
        Key(owner: ObjectIdentifier(block.owner), offset: block.summary.offset)
    }

    private static func use(_ key: Key, _ state: inout State) -> Entry? {
        guard let found = state.entries[key] else { return nil }
        state.uses += 1
        state.entries[key]?.lastUse = state.uses
        // What an open block has restored since is counted when it is met again.
        let bytes = weigh(found)
        state.bytes += bytes - found.bytes
        state.entries[key]?.bytes = bytes
        return found
    }

    private static func weigh(_ entry: Entry) -> Int {
        200 + (entry.block?.memoryBytes ?? 0) + (entry.filter?.bytes ?? 0)
    }

    private func keep(_ block: StoredBlock, _ key: Key, _ change: (inout sending Entry) -> Void) {
        state.withLock { state in
            state.uses += 1
            var entry = state.entries[key] ?? Entry(owner: block.owner, bytes: 0, lastUse: state.uses)
            change(&entry)
            entry.lastUse = state.uses
            let bytes = BlockCache.weigh(entry)
            state.bytes += bytes - entry.bytes
            entry.bytes = bytes
            state.entries[key] = entry
            if state.bytes > bytesMaximum { evict(&state) }
        }
    }

    /// Drops what was used longest ago until a quarter of the room is free.
    private func evict(_ state: inout State) {
        let order = state.entries.sorted { $0.value.lastUse < $1.value.lastUse }
        for (key, entry) in order.dropLast() where state.bytes > bytesMaximum / 4 * 3 {
            state.entries[key] = nil
            state.bytes -= entry.bytes
        }
    }
}
