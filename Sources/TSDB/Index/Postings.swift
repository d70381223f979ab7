internal import Telemetry

/// A set of series numbers as rising runs. Series of one group are numbered in a row, so runs stay few and set
/// operations walk runs, not series.
struct Postings: Equatable, Sendable {
    /// Rising, none empty, none touching the next.
    private(set) var runs: [Range<UInt32>]

    static let empty = Postings()

    /// The empty set.
    init() {
        runs = []
    }

    /// The series of one run.
    init(_ range: Range<UInt32>) {
        runs = range.isEmpty ? [] : [range]
    }

    /// Runs in any order, overlapping or not.
    init(joining pieces: [Range<UInt32>]) {
        runs = []
        for piece in pieces.sorted(by: { $0.lowerBound < $1.lowerBound }) where !piece.isEmpty { append(piece) }
    }

    var isEmpty: Bool { runs.isEmpty }

    /// The number of series.
    var count: Int { runs.reduce(0) { $0 + $1.count } }

    /// Adds a series above all others.
    mutating func append(_ number: UInt32) { append(number..<number + 1) }

    /// Adds series above all others.
    mutating func append(_ piece: Range<UInt32>) {
        if let last = runs.last, piece.lowerBound <= last.upperBound {
            runs[runs.count - 1] = last.lowerBound..<max(last.upperBound, piece.upperBound)
        } else {
            runs.append(piece)
        }
    }

    /// Whether `number` is in the set.
    func contains(_ number: UInt32) -> Bool {
        var low = 0
        var high = runs.count
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].upperBound <= number { low = middle + 1 } else { high = middle }
        }
        return low < runs.count && runs[low].contains(number)
    }

    /// The element that has `place` elements below it.
    func element(at place: Int) -> UInt32? {
        var below = 0
        for run in runs {
            if place < below + run.count { return run.lowerBound + UInt32(place - below) }
            below += run.count
        }
        return nil
    }

    /// Calls `body` with the places, in this set, of the elements that are in `other` too, run by run.
    func forEachPlace(of other: Postings, _ body: (Range<UInt32>) -> Void) {
        guard let first = other.runs.first, let last = other.runs.last else { return }
        var below: UInt32 = 0
        var next = 0
        for run in runs {
            if run.lowerBound >= last.upperBound { return }
            if run.upperBound > first.lowerBound {
                while other.runs[next].upperBound <= run.lowerBound { next += 1 }
                var index = next
                while index < other.runs.count, other.runs[index].lowerBound < run.upperBound {
                    let shared = run.clamped(to: other.runs[index])
                    let start = below + (shared.lowerBound - run.lowerBound)
                    if !shared.isEmpty { body(start..<start + UInt32(shared.count)) }
                    index += 1
                }
            }
            below += UInt32(run.count)
        }
    }

    /// The series of both sets.
    func intersection(_ other: Postings) -> Postings {
        var result = Postings()
        var (left, right) = (0, 0)
        while left < runs.count, right < other.runs.count {
            let shared = runs[left].clamped(to: other.runs[right])
            if !shared.isEmpty { result.append(shared) }
            if runs[left].upperBound < other.runs[right].upperBound { left += 1 } else { right += 1 }
        }
        return result
    }

    /// The series of this set that are not in the other.
    func subtracting(_ other: Postings) -> Postings {
        var result = Postings()
        var right = 0
        for run in runs {
            var start = run.lowerBound
            while right < other.runs.count, other.runs[right].upperBound <= start { right += 1 }
            var index = right
            while index < other.runs.count, other.runs[index].lowerBound < run.upperBound {
                let hole = other.runs[index]
                if hole.lowerBound > start { result.append(start..<hole.lowerBound) }
                start = max(start, hole.upperBound)
                index += 1
            }
            if start < run.upperBound { result.append(start..<run.upperBound) }
        }
        return result
    }

    /// Calls `body` for each series, rising.
    func forEach(_ body: (UInt32) throws -> Void) rethrows {
        for run in runs { for number in run { try body(number) } }
    }

    /// Appends the number of runs, then gap and length less one of each.
    func encode(into writer: inout ByteWriter) {
        writer.putVarint(UInt64(runs.count))
        var next: UInt32 = 0
        for run in runs {
            writer.putVarint(UInt64(run.lowerBound - next))
            writer.putVarint(UInt64(run.count - 1))
            next = run.upperBound
        }
    }

    /// Reads a set of numbers below `limit` that `encode` wrote.
    init(below limit: Int, from reader: inout ByteReader) throws(ByteError) {
        runs = []
        let count = try reader.count(upTo: limit, "runs of series")
        runs.reserveCapacity(min(count, reader.remaining))
        var next = 0
        for _ in 0..<count {
            let start = next + (try reader.count(upTo: limit, "gap of series"))
            next = start + (try reader.count(upTo: limit, "run of series")) + 1
            guard next <= limit else {
                throw ByteError(offset: reader.offset, reason: "series \(next - 1) is over the last, \(limit - 1)")
            }
            append(UInt32(start)..<UInt32(next))
        }
    }
}
