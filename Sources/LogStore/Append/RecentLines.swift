internal import Telemetry

/// The lines without an origin that came lately, so that one which a sender repeats is stored once. Decided before a
/// batch is logged: what the log holds is never judged again by the clock, so a replay gives the same answer at any
/// time.
struct RecentLines: Sendable {
    /// A line as far as repeating it goes: stream, time, bytes and structured metadata. Hashes are keyed anew in each
    /// process, so nobody can look for two lines that share one; and lines of different times are never taken for one.
    struct Key: Hashable, Sendable {
        fileprivate let hash: UInt64
        fileprivate let nanoseconds: Int64

        private static let secret = UInt64.random(in: .min ... .max)

        /// The key of a line; `stream` is the hash of its labels.
        init(stream: Int, nanoseconds: Int64, line: UnsafeRawBufferPointer, metadata: Labels? = nil) {
            self.nanoseconds = nanoseconds
            var place = UInt64(bitPattern: Int64(stream)) ^ UInt64(bitPattern: nanoseconds) &* 0x9e37_79b9_7f4a_7c15
            if let metadata { place = WordHash.mix(place ^ UInt64(bitPattern: Int64(metadata.hashValue))) }
            // Zero is a free place of the table.
            hash = max(1, WordHash.mix(WordHash.hash(line, seed: Key.secret ^ WordHash.mix(place))))
        }
    }

    /// The keys of all lines of one stream.
    static func keys(of lines: LogLines) -> [Key] {
        let stream = lines.labels.hashValue
        return lines.bytes.withUnsafeBytes { bytes in
            var start = 0
            var next = 0
            return lines.lineEnds.indices.map { index in
                let line = UnsafeRawBufferPointer(rebasing: bytes[start..<lines.lineEnds[index]])
                start = lines.lineEnds[index]
                var metadata: Labels?
                if next < lines.metadata.count, lines.metadata[next].lineIndex == index {
                    metadata = lines.metadata[next].labels
                    next += 1
                }
                return Key(
                    stream: stream, nanoseconds: lines.timesNanoseconds[index], line: line, metadata: metadata)
            }
        }
    }

    /// What is known of a line that comes.
    enum Standing {
        case new
        /// It is stored.
        case stored
        /// It is on its way to the log; whether it gets there shows only when this one does.
        case underway
    }

    /// A line that is known, in 16 bytes: they are most of what remembering costs. Places of the table are never moved
    /// but when it grows.
    private struct Entry: Sendable {
        var hash: UInt64 = 0
        /// The time of arrival in units of 2^16 nanoseconds, then 17 bits of the line's own time, then the standing.
        private var field: UInt64 = 0

        static let arrivalShift: UInt64 = 16
        private static let timeMask: UInt64 = (1 << 17 - 1) << 2

        init() {}

        init(_ key: Key, arrival: Int64, standing: Place) {
            hash = key.hash
            let units = UInt64(bitPattern: max(0, arrival)) >> Entry.arrivalShift
            field = units << 19 | Entry.timeBits(key.nanoseconds) | UInt64(standing.rawValue)
        }

        /// Bits that tell times apart which the hash does not: of neighbouring times all are different.
        @inline(__always)
        private static func timeBits(_ nanoseconds: Int64) -> UInt64 {
            UInt64(bitPattern: nanoseconds) << 2 & timeMask
        }

        /// Whether it is the line of `key`.
        @inline(__always)
        func isOf(_ key: Key) -> Bool {
            hash == key.hash && field & Entry.timeMask == Entry.timeBits(key.nanoseconds)
        }

        /// Whether it came within `units` of time before `now`, both in units of 2^16 nanoseconds.
        func isWithin(_ units: Int64, of now: Int64) -> Bool { now - Int64(field >> 19) <= units }

        var standing: Place {
            get { Place(rawValue: UInt8(truncatingIfNeeded: field & 3)) ?? .free }
            set { field = field & ~3 | UInt64(newValue.rawValue) }
        }
    }

    private enum Place: UInt8 {
        case free = 0
        case underway = 1
        case stored = 2
        /// Known no more; the place is taken again by the same line alone.
        case withdrawn = 3
    }

    /// An open-addressing table.
    private struct Table: Sendable {
        var entries = [Entry](repeating: Entry(), count: 1024)
        var count = 0

        /// The place of a line, or the free one where it would be.
        @inline(__always)
        func place(of key: Key) -> Int {
            let mask = entries.count - 1
            var place = Int(truncatingIfNeeded: key.hash) & mask
            while entries[place].hash != 0 {
                if entries[place].isOf(key) { break }
                place = (place + 1) & mask
            }
            return place
        }

        mutating func set(_ key: Key, _ standing: Place, arrival: Int64, at place: Int) {
            let isNew = entries[place].hash == 0
            entries[place] = Entry(key, arrival: arrival, standing: standing)
            if isNew { noteNew() }
        }

        /// Takes an entry of another table over.
        mutating func take(_ entry: Entry) {
            let mask = entries.count - 1
            var place = Int(truncatingIfNeeded: entry.hash) & mask
            while entries[place].hash != 0 { place = (place + 1) & mask }
            entries[place] = entry
            noteNew()
        }

        /// A table is full to three quarters at most.
        private mutating func noteNew() {
            count += 1
            if count * 4 > entries.count * 3 { grow() }
        }

        private mutating func grow() {
            let old = entries
            entries = [Entry](repeating: Entry(), count: old.count * 2)
            let mask = entries.count - 1
            for entry in old where entry.hash != 0 {
                var place = Int(truncatingIfNeeded: entry.hash) & mask
                while entries[place].hash != 0 { place = (place + 1) & mask }
                entries[place] = entry
            }
        }
    }

    private let windowNanoseconds: Int64
    /// The window in the units of entries, rounded up: a line is known for a moment too long rather than too short.
    private var windowUnits: Int64 { windowNanoseconds >> Int64(Entry.arrivalShift) + 1 }
    private let linesMaximum: Int
    /// What came lately, and what came before that; the older table is dropped as a whole.
    private var current = Table()
    private var previous = Table()
    private var currentBegan: Int64?

    /// Remembers lines for a while, but not more than `linesMaximum`.
    init(windowMilliseconds: Int64, linesMaximum: Int) {
        windowNanoseconds = windowMilliseconds * 1_000_000
        self.linesMaximum = linesMaximum
    }

    /// The number of lines that are remembered.
    var count: Int { current.count + previous.count }

    /// How many lines' places are fetched before the first of them is looked up.
    static let fetchedTogether = 16
    /// Keeps the fetching of places from being left out.
    private var fetched: UInt64 = 0

    /// Brings the places of lines that will be looked up next into the processor's cache, all at once: the table is
    /// large, and every look-up by itself waits for memory.
    mutating func fetch(_ keys: ArraySlice<Key>) {
        let mask = current.entries.count - 1
        var sum: UInt64 = 0
        current.entries.withUnsafeBufferPointer { entries in
            for key in keys { sum &+= entries[Int(truncatingIfNeeded: key.hash) & mask].hash }
        }
        fetched = sum
    }

    /// Looks up a line that comes at `now`, and notes it as underway when it is new.
    mutating func admit(_ key: Key, now: Int64) -> Standing {
        let place = current.place(of: key)
        var known = current.entries[place]
        if known.hash == 0 { known = previous.entries[previous.place(of: key)] }
        switch known.standing {
        case .underway: return .underway
        case .stored: if known.isWithin(windowUnits, of: now >> Int64(Entry.arrivalShift)) { return .stored }
        case .free, .withdrawn: break
        }
        current.set(key, .underway, arrival: now, at: place)
        turnIfDue(now)
        return .new
    }

    /// Notes that a line is stored. Returns whether it already was.
    mutating func settle(_ key: Key, arrival: Int64) -> Bool {
        let place = current.place(of: key)
        let known = current.entries[place]
        if known.standing == .stored { return true }
        if known.hash == 0 {
            let older = previous.place(of: key)
            if previous.entries[older].standing == .stored { return true }
            if previous.entries[older].standing == .underway {
                previous.set(key, .stored, arrival: arrival, at: older)
                return false
            }
        }
        current.set(key, .stored, arrival: arrival, at: place)
        turnIfDue(arrival)
        return false
    }

    /// Forgets lines that did not get to the log.
    mutating func withdraw(_ keys: [Key]) {
        for key in keys {
            let place = current.place(of: key)
            if current.entries[place].standing == .underway { current.entries[place].standing = .withdrawn }
            let older = previous.place(of: key)
            if previous.entries[older].standing == .underway { previous.entries[older].standing = .withdrawn }
        }
    }

    /// Drops the older table when all of it is behind the window or room is needed. What is still underway stays.
    private mutating func turnIfDue(_ now: Int64) {
        let began = currentBegan ?? now
        currentBegan = began
        guard now - began > windowNanoseconds || current.count >= max(1, linesMaximum / 2) else { return }
        let underway = previous.entries.filter { $0.standing == .underway }
        previous = current
        current = Table()
        currentBegan = now
        for entry in underway { current.take(entry) }
    }
}
