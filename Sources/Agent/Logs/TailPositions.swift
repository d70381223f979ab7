internal import Disk
internal import Telemetry

/// How far the server has each log: what a restart goes on from. Moves only when lines were acknowledged, and only
/// in the order in which they were read. The layout of the file is in docs/formats/agent-state.md.
struct TailPositions {
    /// A file of one log, or a log that is no file (`LineSource`).
    struct Place: Hashable {
        /// The log's key.
        var log: String
        /// All zeros for what is no file.
        var file: FileIdentity

        /// A file of a log.
        init(log: String, file: FileIdentity) {
            self.log = log
            self.file = file
        }

        /// A log that is no file.
        init(source: String) {
            self.init(log: source, file: FileIdentity(device: 0, inode: 0, birthNanoseconds: 0))
        }
    }

    /// How far a log was read.
    struct Reach: Equatable {
        var generation: UInt64
        /// In bytes of a file, in lines of what is none.
        var offset: UInt64
        /// What the file holds up to `offset`; nil for positions of version 1 and for what is no file.
        var mark: ContentMark?
        /// The source's own word for the place; empty for files.
        var cursor = ""
    }

    private struct Waiting {
        var ticket: UInt64
        var isSettled: Bool
        var reaches: [(Place, Reach)]
    }

    private(set) var reaches: [Place: Reach]
    /// What is remembered of logs, by their key.
    private(set) var logs: [String: LogDescription] = [:]
    /// Whether there was no file of positions: the first start on this host.
    let isFirstStart: Bool
    private var waiting: [Waiting] = []
    private(set) var isChanged = false

    private static let magic: [UInt8] = Array("vdtt".utf8)
    private static let version: UInt8 = 3
    private static let streamsMaximum = 16
    private static let entriesMaximum = 1 << 20
    /// Beyond this, batches that wait for acknowledgement share an entry, which then settles with the last of them.
    private static let waitingMaximum = 16_384

    /// Positions as `bytes` say; nil bytes mean a first start.
    init(decoding bytes: [UInt8]?) throws(ByteError) {
        isFirstStart = bytes == nil
        reaches = [:]
        guard let bytes else { return }
        let decoded = bytes.withUnsafeBytes { raw in
            Result { () throws(ByteError) in try Self.decode(raw) }
        }
        (reaches, logs) = try decoded.get()
    }

    /// Nothing known, and not a first start.
    static let empty = TailPositions()

    private init() {
        reaches = [:]
        isFirstStart = false
    }

    /// A batch with this ticket, once acknowledged, brings files this far. Tickets rise.
    mutating func submitted(_ ticket: UInt64, _ reaches: [(Place, Reach)]) {
        if waiting.count >= Self.waitingMaximum, let last = waiting.popLast() {
            waiting.append(Waiting(ticket: ticket, isSettled: false, reaches: last.reaches + reaches))
        } else {
            waiting.append(Waiting(ticket: ticket, isSettled: false, reaches: reaches))
        }
    }

    /// A file was begun, of which nothing is stored yet: a restart must know it by its name and by what it holds.
    mutating func discovered(_ place: Place, _ reach: Reach) {
        if let known = reaches[place], known.offset > 0 || known.mark != nil { return }
        guard reaches[place] != reach else { return }
        reaches[place] = reach
        isChanged = true
    }

    /// A log is known under these labels now.
    mutating func describe(_ key: String, _ description: LogDescription) {
        guard logs[key] != description else { return }
        logs[key] = description
        isChanged = true
    }

    /// Files were read this far without anything to send.
    mutating func submittedNothing(_ reaches: [(Place, Reach)]) {
        guard waiting.isEmpty else { return waiting[waiting.count - 1].reaches += reaches }
        for (place, reach) in reaches { self.reaches[place] = reach }
        isChanged = true
    }

    /// The batch of this ticket is stored (or its loss is).
    mutating func settled(_ ticket: UInt64) {
        guard let index = waiting.firstIndex(where: { $0.ticket == ticket }) else { return }
        waiting[index].isSettled = true
        while let first = waiting.first, first.isSettled {
            for (place, reach) in first.reaches { reaches[place] = reach }
            waiting.removeFirst()
            isChanged = true
        }
    }

    /// Forgets files that are gone, once nothing of them waits.
    mutating func forget(_ place: Place) {
        guard !waiting.contains(where: { $0.reaches.contains { $0.0 == place } }) else { return }
        guard reaches.removeValue(forKey: place) != nil else { return }
        isChanged = true
    }

    /// The files known of a log.
    func files(of log: String) -> [FileIdentity] { reaches.keys.filter { $0.log == log }.map(\.file) }

    /// The bytes to write down, if anything changed since the last time.
    mutating func takeChanges() -> [UInt8]? {
        guard isChanged else { return nil }
        isChanged = false
        return encoded
    }

    /// The positions as bytes.
    var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.put(Self.magic)
        writer.put(Self.version)
        writer.putVarint(UInt64(reaches.count))
        let ordered = reaches.sorted { left, right in
            (left.key.log, left.key.file.inode, left.key.file.birthNanoseconds)
                < (right.key.log, right.key.file.inode, right.key.file.birthNanoseconds)
        }
        for (place, reach) in ordered {
            writer.putString(place.log)
            writer.putVarint(place.file.device)
            writer.putVarint(place.file.inode)
            writer.putSigned(place.file.birthNanoseconds)
            writer.putVarint(reach.generation)
            writer.putVarint(reach.offset)
            writer.putVarint(UInt64(reach.mark?.headLength ?? 0))
            writer.putFixed(reach.mark?.head ?? 0)
            writer.putFixed(reach.mark?.tail ?? 0)
            writer.putString(reach.cursor)
        }
        // Only of logs that have a place.
        let places = Set(reaches.keys.map(\.log))
        let described = logs.filter { places.contains($0.key) }.sorted { $0.key < $1.key }
        writer.putVarint(UInt64(described.count))
        for (key, log) in described {
            for text in [key, log.path, log.format] { writer.putString(text) }
            writer.putVarint(UInt64(log.labels.count))
            for labels in log.labels {
                let pairs = labels.pairs
                writer.putVarint(UInt64(pairs.count))
                for (name, value) in pairs {
                    writer.putString(name)
                    writer.putString(value)
                }
            }
        }
        writer.putFixed(writer.bytes.withUnsafeBytes { crc32c($0) })
        return writer.bytes
    }

    private static func decodeLogs(_ reader: inout ByteReader) throws(ByteError) -> [String: LogDescription] {
        var logs: [String: LogDescription] = [:]
        for _ in 0..<(try reader.count(upTo: entriesMaximum)) {
            let key = try reader.string()
            var log = LogDescription(path: try reader.string(), format: try reader.string(), labels: [])
            for _ in 0..<(try reader.count(upTo: streamsMaximum)) {
                var pairs: [(name: String, value: String)] = []
                for _ in 0..<(try reader.count(upTo: entriesMaximum)) {
                    pairs.append((try reader.string(), try reader.string()))
                }
                log.labels.append(Labels(pairs))
            }
            logs[key] = log
        }
        return logs
    }

    private static func decode(
        _ raw: UnsafeRawBufferPointer
    ) throws(ByteError) -> (reaches: [Place: Reach], logs: [String: LogDescription]) {
        guard raw.count >= magic.count + 6, raw.starts(with: magic) else {
            throw ByteError(offset: 0, reason: "not a file of tail positions")
        }
        let written = raw[magic.count]
        guard (1...version).contains(written) else {
            throw ByteError(
                offset: magic.count, reason: "positions of version \(written), this reads 1 to \(version)")
        }
        let body = UnsafeRawBufferPointer(rebasing: raw[..<(raw.count - 4)])
        guard raw.loadUnaligned(fromByteOffset: body.count, as: UInt32.self) == crc32c(body).littleEndian else {
            throw ByteError(offset: body.count, reason: "checksum does not hold")
        }
        var reader = ByteReader(body, at: magic.count + 1)
        var reaches: [Place: Reach] = [:]
        for _ in 0..<(try reader.count(upTo: entriesMaximum)) {
            let log = try reader.string()
            let file = FileIdentity(
                device: try reader.varint(), inode: try reader.varint(), birthNanoseconds: try reader.signed())
            var reach = Reach(generation: try reader.varint(), offset: try reader.varint())
            if written > 1 {
                let length = UInt16(try reader.count(upTo: ContentMark.headBytes, "length of a mark"))
                let mark = ContentMark(headLength: length, head: try reader.fixed(), tail: try reader.fixed())
                if length > 0 { reach.mark = mark }
                reach.cursor = try reader.string()
            }
            reaches[Place(log: log, file: file)] = reach
        }
        return (reaches, written > 2 ? try decodeLogs(&reader) : [:])
    }
}
