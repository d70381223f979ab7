internal import Disk
internal import Telemetry

/// What was deleted but may still stand in blocks: hidden from every answer, left out when blocks are merged.
struct Tombstone: Sendable {
    /// It concerns blocks up to this number; samples that came later are not hidden.
    var throughSequence: UInt64
    var matchers: [LabelMatcher]
    var range: TimeRange
}

/// The file that keeps the tombstones; written as a whole. docs/formats/metric-block.md has the layout.
struct TombstoneFile {
    private static let magic: UInt32 = 0xB154_4D56
    private static let version: UInt8 = 1
    private static let byteCountMaximum = 16 << 20

    let path: String
    let storage: any FileStorage

    /// The tombstones on disk; nil when there is no file. A damaged file throws `BlockDamage`.
    func read() throws -> [Tombstone]? {
        guard let bytes = try AtomicFile.read(path, in: storage, maximumBytes: Self.byteCountMaximum) else {
            return nil
        }
        do {
            return try Self.decode(bytes)
        } catch {
            throw BlockDamage(path: path, offset: 0, reason: "\(error)")
        }
    }

    /// Replaces the tombstones on disk.
    func write(_ tombstones: [Tombstone]) throws(StorageError) {
        try AtomicFile.write(Self.encode(tombstones), to: path, in: storage)
    }

    /// Magic, version, count, tombstones, checksum.
    static func encode(_ tombstones: [Tombstone]) -> [UInt8] {
        var writer = ByteWriter()
        writer.putFixed(magic)
        writer.put(version)
        writer.putVarint(UInt64(tombstones.count))
        for tombstone in tombstones {
            writer.putVarint(tombstone.throughSequence)
            writer.putSigned(tombstone.range.startMilliseconds)
            writer.putSigned(tombstone.range.endMilliseconds)
            writer.putVarint(UInt64(tombstone.matchers.count))
            for matcher in tombstone.matchers {
                writer.putString(matcher.name)
                writer.putString(matcher.operation.rawValue)
                writer.putString(matcher.value)
            }
        }
        writer.putFixed(writer.bytes.withUnsafeBytes { crc32c($0) })
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws -> [Tombstone] {
        try bytes.withUnsafeBytes { raw in
            guard raw.count > 9 else { throw ByteError(offset: 0, reason: "too short for tombstones") }
            var tail = ByteReader(raw, at: raw.count - 4)
            let body = UnsafeRawBufferPointer(rebasing: raw[..<(raw.count - 4)])
            guard try tail.fixed(UInt32.self) == crc32c(body) else {
                throw ByteError(offset: raw.count - 4, reason: "the checksum is wrong")
            }
            var reader = ByteReader(body)
            guard try reader.fixed(UInt32.self) == magic, try reader.byte() == version else {
                throw ByteError(offset: 0, reason: "not tombstones of version 1")
            }
            var tombstones: [Tombstone] = []
            for _ in 0..<(try reader.count(upTo: reader.remaining, "tombstones")) {
                let sequence = try reader.varint()
                let start = try reader.signed()
                let range = TimeRange(startMilliseconds: start, endMilliseconds: try reader.signed())
                var matchers: [LabelMatcher] = []
                for _ in 0..<(try reader.count(upTo: reader.remaining, "matchers")) {
                    let name = try reader.string()
                    guard let operation = LabelMatcher.Operation(rawValue: try reader.string()) else {
                        throw ByteError(offset: reader.offset, reason: "matcher of an unknown kind")
                    }
                    matchers.append(try LabelMatcher(name, operation, try reader.string()))
                }
                tombstones.append(Tombstone(throughSequence: sequence, matchers: matchers, range: range))
            }
            return tombstones
        }
    }
}
