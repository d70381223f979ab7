internal import Glibc

/// Series that are scraped together have the same times, so what was found for one holds for the next.
enum SameTimes {
    /// Whether the times are the same, in one array or in two.
    static func hold(_ left: [Int64], _ right: [Int64]) -> Bool {
        left.withUnsafeBytes { left in
            right.withUnsafeBytes { right in
                guard left.count == right.count else { return false }
                guard let a = left.baseAddress, let b = right.baseAddress, a != b else { return true }
                return memcmp(a, b, left.count) == 0
            }
        }
    }

    /// Whether two arrays share their memory.
    static func areOne(_ left: [Int64], _ right: [Int64]) -> Bool {
        left.count == right.count && place(of: left) == place(of: right)
    }

    /// Where an array is; as long as somebody holds it nothing else is there.
    static func place(of times: [Int64]) -> UnsafeRawPointer? { times.withUnsafeBytes { $0.baseAddress } }
}

/// What was found for the times of series, array by array: each target has one, and targets take turns.
struct FoundByTimes<Found> {
    private struct Known {
        let times: [Int64]
        let found: Found
    }

    private var known: [UnsafeRawPointer: Known] = [:]
    private var last: Known?
    private var bytes = 0
    /// Little beside what a query may hold. Where targets are more than fit, all is found anew.
    private static var bytesMaximum: Int { 4 << 20 }

    /// What was found for `times`, or what `find` finds, which takes so many bytes.
    mutating func found(for times: [Int64], bytes added: Int, _ find: () -> Found) -> Found {
        if let last, SameTimes.hold(last.times, times) { return last.found }
        guard let place = SameTimes.place(of: times) else { return find() }
        if let same = known[place], same.times.count == times.count {
            last = same
            return same.found
        }
        if bytes > Self.bytesMaximum {
            known.removeAll(keepingCapacity: true)
            bytes = 0
        }
        // The times are held too, so that no others come to be at their place.
        let new = Known(times: times, found: find())
        known[place] = new
        last = new
        bytes += added + 128
        return new.found
    }
}
