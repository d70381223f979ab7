internal import Synchronization
internal import Telemetry

/// A zone's offset from UTC at one moment, and its name then.
package struct TimeZoneOffset: Hashable, Sendable {
    var seconds: Int
    /// For example CEST.
    var abbreviation: String

    static let utc = TimeZoneOffset(seconds: 0, abbreviation: "UTC")
}

/// When a time zone has which offset: a file of the time zone database (RFC 9636), read as Go's `time` reads it.
struct TimeZoneRules: Sendable {
    /// An offset and the span in which it holds, in seconds since 1970.
    struct Span {
        var offset: TimeZoneOffset
        var start: Int64
        var end: Int64
    }

    private struct Kind {
        var offset: TimeZoneOffset
        var isDaylight: Bool
    }

    private var kinds: [Kind] = []
    private var transitions: [(seconds: Int64, kind: Int)] = []
    /// For times behind the last transition.
    private var footer: TimeZoneFooter?

    /// Without a change, ever.
    static let utc = TimeZoneRules(kinds: [Kind(offset: .utc, isDaylight: false)])

    private init(kinds: [Kind]) {
        self.kinds = kinds
    }

    /// Reads a file; nil where it is none.
    init?(_ file: [UInt8]) {
        do {
            var reader = TimeZoneFileReader(file)
            let header = try reader.header()
            guard header.version >= 2 else {
                try read(&reader, header, timeBytes: 4)
                return
            }
            // The first block is for readers that know 32 bits only; the second has all.
            try reader.skip(header.byteCount(timeBytes: 4))
            try read(&reader, try reader.header(), timeBytes: 8)
            footer = TimeZoneFooter(try reader.footer())
        } catch {
            return nil
        }
    }

    private mutating func read(
        _ reader: inout TimeZoneFileReader, _ header: TimeZoneFileReader.Header, timeBytes: Int
    ) throws(TimeZoneFileReader.Damaged) {
        var times: [Int64] = []
        for _ in 0..<header.transitions { times.append(try reader.integer(timeBytes)) }
        for time in times { transitions.append((time, Int(try reader.integer(1) & 0xff))) }
        var raw: [(seconds: Int, isDaylight: Bool, name: Int)] = []
        for _ in 0..<header.kinds {
            raw.append((Int(try reader.integer(4)), try reader.integer(1) != 0, Int(try reader.integer(1) & 0xff)))
        }
        let names = try reader.bytes(header.nameBytes)
        for kind in raw {
            guard kind.name < names.count else { throw TimeZoneFileReader.Damaged() }
            let name = String(decoding: names[(names.startIndex + kind.name)...].prefix { $0 != 0 }, as: UTF8.self)
            kinds.append(
                Kind(
                    offset: TimeZoneOffset(seconds: kind.seconds, abbreviation: name), isDaylight: kind.isDaylight))
        }
        try reader.skip(header.restBytes(timeBytes: timeBytes))
        guard !kinds.isEmpty, transitions.allSatisfy({ $0.kind < kinds.count }) else {
            throw TimeZoneFileReader.Damaged()
        }
    }

    // MARK: Asking

    /// What holds at a moment.
    func span(at seconds: Int64) -> Span {
        guard let first = transitions.first, seconds >= first.seconds else {
            return Span(offset: firstKind.offset, start: .min, end: transitions.first?.seconds ?? .max)
        }
        var (low, high) = (0, transitions.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if seconds < transitions[middle].seconds { high = middle } else { low = middle }
        }
        if high == transitions.count, let span = footer?.span(at: seconds, behind: transitions[low].seconds) {
            return span
        }
        return Span(
            offset: kinds[transitions[low].kind].offset, start: transitions[low].seconds,
            end: high < transitions.count ? transitions[high].seconds : .max)
    }

    /// What holds before the first transition: as Go chooses it.
    private var firstKind: Kind {
        guard let first = transitions.first?.kind, transitions.contains(where: { $0.kind == 0 }) else {
            return kinds[0]
        }
        if kinds[first].isDaylight, let standard = kinds[..<first].last(where: { !$0.isDaylight }) { return standard }
        return kinds.first { !$0.isDaylight } ?? kinds[0]
    }

    /// The moment at which clocks of the zone show `local`, seconds since 1970 as if it were UTC. Where they show it
    /// twice or never it is one of two, as in Go.
    func seconds(ofLocal local: Int64) -> Int64 {
        let guess = span(at: local)
        let moment = local - Int64(guess.offset.seconds)
        if moment >= guess.start, moment < guess.end { return moment }
        return local - Int64(span(at: moment).offset.seconds)
    }

    /// The offset that goes by a name such as CEST.
    func offset(named name: String) -> Int? { kinds.last { $0.offset.abbreviation == name }?.offset.seconds }

    // MARK: Finding

    private static let known = Mutex<[String: TimeZoneRules]>([:])

    /// The rules of the zone `name`; nil where this machine knows none. Read once.
    static func named(_ name: String) -> TimeZoneRules? {
        if ["", "UTC", "Local", "GMT", "Z"].contains(name) { return .utc }
        if let rules = known.withLock({ $0[name] }) { return rules }
        guard let rules = SystemTimeZones.file(of: name).flatMap({ TimeZoneRules($0) }) else { return nil }
        known.withLock { $0[name] = rules }
        return rules
    }
}

/// Walks over a file of the time zone database.
struct TimeZoneFileReader {
    /// The file is no such file.
    struct Damaged: Error {}

    /// What a block has.
    struct Header {
        var version: Int
        var isUTC: Int
        var isStandard: Int
        var leaps: Int
        var transitions: Int
        var kinds: Int
        var nameBytes: Int

        func byteCount(timeBytes: Int) -> Int {
            transitions * (timeBytes + 1) + kinds * 6 + nameBytes + restBytes(timeBytes: timeBytes)
        }

        /// Behind the names: leap seconds, and how the rules were written.
        func restBytes(timeBytes: Int) -> Int { leaps * (timeBytes + 4) + isStandard + isUTC }
    }

    private static let countMaximum = 1 << 16
    private let file: [UInt8]
    private var place = 0

    init(_ file: [UInt8]) {
        self.file = file
    }

    mutating func header() throws(Damaged) -> Header {
        guard try bytes(4).elementsEqual(Array("TZif".utf8)) else { throw Damaged() }
        let version = Int(try integer(1)) - Int(UInt8(ascii: "0"))
        try skip(15)
        var counts: [Int] = []
        for _ in 0..<6 {
            let count = Int(try integer(4))
            guard (0...TimeZoneFileReader.countMaximum).contains(count) else { throw Damaged() }
            counts.append(count)
        }
        return Header(
            version: version, isUTC: counts[0], isStandard: counts[1], leaps: counts[2], transitions: counts[3],
            kinds: counts[4], nameBytes: counts[5])
    }

    /// A signed number, the high byte first.
    mutating func integer(_ count: Int) throws(Damaged) -> Int64 {
        let run = try bytes(count)
        var value = count == 1 ? 0 : Int64(Int8(bitPattern: run[run.startIndex]) < 0 ? -1 : 0)
        for byte in run { value = value << 8 | Int64(byte) }
        return value
    }

    mutating func bytes(_ count: Int) throws(Damaged) -> ArraySlice<UInt8> {
        guard count >= 0, count <= file.count - place else { throw Damaged() }
        defer { place += count }
        return file[place..<place + count]
    }

    mutating func skip(_ count: Int) throws(Damaged) { _ = try bytes(count) }

    /// The line behind the last block.
    mutating func footer() throws(Damaged) -> String {
        guard try integer(1) == 0x0a else { throw Damaged() }
        return String(decoding: file[place...].prefix { $0 != 0x0a }, as: UTF8.self)
    }
}
