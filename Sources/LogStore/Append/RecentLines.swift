internal import Telemetry

/// The lines without an origin that came lately, so that one which a sender repeats is stored once. Decided before a
/// batch is logged: what the log holds is never judged again by the clock, so a replay gives the same answer at any
/// time.
struct RecentLines: Sendable {
    /// A line as far as repeating it goes: stream, time and bytes. Hashes are keyed anew in each process, so nobody
    /// can look for two lines that share one.
    struct Key: Hashable {
        private let stream: Int
        private let nanoseconds: Int64
        private let line: Int

        /// The key of a line; `stream` is the hash of its labels.
        init(stream: Int, nanoseconds: Int64, line: UnsafeRawBufferPointer) {
            self.stream = stream
            self.nanoseconds = nanoseconds
            var hasher = Hasher()
            hasher.combine(bytes: line)
            self.line = hasher.finalize()
        }
    }

    /// The keys of all lines of one stream.
    static func keys(of lines: LogLines) -> [Key] {
        let stream = lines.labels.hashValue
        return lines.bytes.withUnsafeBytes { bytes in
            (0..<lines.count).map { index in
                let start = index == 0 ? 0 : lines.lineEnds[index - 1]
                let line = UnsafeRawBufferPointer(rebasing: bytes[start..<lines.lineEnds[index]])
                return Key(stream: stream, nanoseconds: lines.timesNanoseconds[index], line: line)
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

    private struct Arrival {
        var nanoseconds: Int64
        var isStored: Bool
    }

    private let windowNanoseconds: Int64
    private let linesMaximum: Int
    private var arrivals: [Key: Arrival] = [:]
    /// The keys in order of arrival, from `first` on; some may be gone from `arrivals`.
    private var order: [Key] = []
    private var first = 0

    /// Remembers lines for a while, but not more than `linesMaximum`.
    init(windowMilliseconds: Int64, linesMaximum: Int) {
        windowNanoseconds = windowMilliseconds * 1_000_000
        self.linesMaximum = linesMaximum
    }

    /// The number of lines that are remembered.
    var count: Int { arrivals.count }

    /// Looks up a line that comes at `now`, and notes it as underway when it is new.
    mutating func admit(_ key: Key, now: Int64) -> Standing {
        if let known = arrivals[key] {
            if !known.isStored { return .underway }
            if now - known.nanoseconds <= windowNanoseconds { return .stored }
        }
        forget(before: now - windowNanoseconds)
        if arrivals.updateValue(Arrival(nanoseconds: now, isStored: false), forKey: key) == nil { order.append(key) }
        return .new
    }

    /// Notes that a line is stored. Returns whether it already was.
    mutating func settle(_ key: Key, arrival: Int64) -> Bool {
        if arrivals[key]?.isStored == true { return true }
        if arrivals.updateValue(Arrival(nanoseconds: arrival, isStored: true), forKey: key) == nil { order.append(key) }
        return false
    }

    /// Forgets lines that did not get to the log.
    mutating func withdraw(_ keys: [Key]) {
        for key in keys where arrivals[key]?.isStored == false { arrivals[key] = nil }
    }

    private mutating func forget(before nanoseconds: Int64) {
        while first < order.count {
            if let arrival = arrivals[order[first]] {
                let isOver = arrival.nanoseconds < nanoseconds || order.count - first >= linesMaximum
                guard isOver, arrival.isStored else { break }
                arrivals[order[first]] = nil
            }
            first += 1
        }
        if first > 4096, first > order.count / 2 {
            order.removeFirst(first)
            first = 0
        }
    }
}
