internal import Disk
internal import Synchronization
package import Telemetry

/// The exemplars of the database: in memory to be asked, in the log until it is cut, in a file from then on.
///
/// The file is written as a whole before the log is cut, and says up to which place of the log it goes; what the log
/// has behind it is added when it is read back. docs/formats/metric-log.md has the layout.
final class ExemplarStore: Sendable {
    private struct State {
        var ring: ExemplarRing
        /// The last record in the ring.
        var through = LogPosition(0)
        /// The first record that is only in the log.
        var firstUnsaved: LogPosition?
    }

    private static let magic: UInt32 = 0xB158_4D56
    private static let version: UInt8 = 1
    private static let byteCountMaximum = 1 << 30

    let path: String
    private let storage: any FileStorage
    private let state: Mutex<State>

    /// An empty store with its file at `path`, which `load` reads.
    init(path: String, in storage: any FileStorage, maximum: Int) {
        self.path = path
        self.storage = storage
        state = Mutex(State(ring: ExemplarRing(maximum: maximum)))
    }

    /// Reads the file. Throws `BlockDamage` when it is damaged; the store then has what the log has.
    func load() throws {
        guard let bytes = try AtomicFile.read(path, in: storage, maximumBytes: Self.byteCountMaximum) else { return }
        let (exemplars, through): ([SeriesExemplars], LogPosition)
        do {
            (exemplars, through) = try Self.decode(bytes)
        } catch {
            throw BlockDamage(path: path, offset: 0, reason: "\(error)")
        }
        state.withLock { state in
            for one in exemplars { state.ring.add(one) }
            state.through = through
        }
    }

    /// Adds the exemplars of a record that is on disk, unless they are in already.
    func apply(_ exemplars: [SeriesExemplars], position: LogPosition) {
        state.withLock { state in
            guard position > state.through else { return }
            for one in exemplars { state.ring.add(one) }
            state.through = position
            if state.firstUnsaved == nil { state.firstUnsaved = position }
        }
    }

    /// The first place of the log that is still needed; nil when none is.
    var firstUnsavedPosition: LogPosition? { state.withLock { $0.firstUnsaved } }

    /// Writes the file, when there is something new. When that fails the exemplars are not kept beyond the log: a full
    /// disk needs the log cut more than it needs them.
    func save() throws(StorageError) {
        guard firstUnsavedPosition != nil else { return }
        try write(to: path)
    }

    /// Writes all exemplars to a file.
    func write(to path: String) throws(StorageError) {
        let (exemplars, through) = state.withLock { state in
            state.firstUnsaved = nil
            return (state.ring.inOrder, state.through)
        }
        try AtomicFile.write(Self.encode(exemplars, through: through), to: path, in: storage)
    }

    /// Takes out what `isGone` says, also on disk.
    func remove(where isGone: (Labels, Exemplar) -> Bool) throws(StorageError) {
        let isChanged = state.withLock { state in
            let before = state.ring.count
            state.ring.remove(where: isGone)
            return state.ring.count < before
        }
        if isChanged { try write(to: path) }
    }

    /// As the port says.
    func select(_ selectors: [[LabelMatcher]], _ range: TimeRange) -> [SeriesExemplars] {
        state.withLock { $0.ring.select(selectors, range) }
    }

    /// How many there are.
    var count: Int { state.withLock { $0.ring.count } }

    /// An estimate of the memory held.
    var memoryBytes: Int { state.withLock { $0.ring.memoryBytes } }
}

extension ExemplarStore {
    /// Magic, version, place of the log, length of what follows uncompressed, Zstandard frame, checksum.
    static func encode(_ exemplars: [SeriesExemplars], through: LogPosition) -> [UInt8] {
        let body = ExemplarRecord.encode(exemplars)
        var writer = ByteWriter()
        writer.putFixed(magic)
        writer.put(version)
        writer.putVarint(through.ordinal)
        writer.putVarint(UInt64(body.count))
        writer.put(Compression.zstd.compress(body, level: 1))
        writer.putFixed(writer.bytes.withUnsafeBytes { crc32c($0) })
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws -> ([SeriesExemplars], LogPosition) {
        try bytes.withUnsafeBytes { raw in
            guard raw.count > 9 else { throw ByteError(offset: 0, reason: "too short for exemplars") }
            var tail = ByteReader(raw, at: raw.count - 4)
            let front = UnsafeRawBufferPointer(rebasing: raw[..<(raw.count - 4)])
            guard try tail.fixed(UInt32.self) == crc32c(front) else {
                throw ByteError(offset: raw.count - 4, reason: "the checksum is wrong")
            }
            var reader = ByteReader(front)
            guard try reader.fixed(UInt32.self) == magic, try reader.byte() == version else {
                throw ByteError(offset: 0, reason: "not exemplars of version 1")
            }
            let through = LogPosition(try reader.varint())
            let count = try reader.count(upTo: byteCountMaximum, "exemplars")
            let body = try Compression.zstd.decompress(try reader.slice(reader.remaining), bytesMaximum: count)
            return (try body.withUnsafeBytes { try ExemplarRecord.decode($0) }, through)
        }
    }
}

extension MetricDatabase: ExemplarSource {
    package func exemplars(
        selectors: [[LabelMatcher]], range: TimeRange, in context: QueryContext
    ) throws -> [SeriesExemplars] {
        try checkReadable()
        try context.check()
        return exemplars.select(selectors, range)
    }
}
