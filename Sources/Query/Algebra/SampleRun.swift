internal import CKernels
internal import Telemetry

/// The samples of one series that range functions look at, reused from series to series. Stale markers are left out.
///
/// Shape: `times`, `values` and, unless empty, `startTimes` are as long as each other; so are the three of histograms.
/// Series that are scraped together come with the same arrays of times: those are looked at once, not copied.
final class SampleRun {
    private(set) var values: [Double] = []
    var startTimes: [Int64] = []
    var histogramTimes: [Int64] = []
    var histograms: [NativeHistogram] = []
    var histogramStartTimes: [Int64] = []
    private var joinedTimes: [Int64] = []
    /// The chunks' times, as long as all of them are taken as they came.
    private var pieces: [[Int64]] = []
    /// How many pieces this series has; those of the series before are the same so far, unless `isDifferent`.
    private var pieceCount = 0
    private var isDifferent = false
    private var isJoined = true
    private var isOfPieces = true
    /// What pieces were joined to, by their first: series of several targets take turns.
    private var joinedBefore: [UnsafeRawPointer: (pieces: [[Int64]], times: [Int64])] = [:]
    private static let joinedMaximum = 64

    var times: [Int64] {
        if !isJoined { join() }
        return joinedTimes
    }

    func removeAll() {
        if !isOfPieces {
            joinedTimes = []
            isOfPieces = true
            values.removeAll(keepingCapacity: true)
        }
        pieceCount = 0
        isJoined = false
        if !startTimes.isEmpty { startTimes.removeAll(keepingCapacity: true) }
        guard !histograms.isEmpty else { return }
        histogramTimes.removeAll(keepingCapacity: true)
        histograms.removeAll(keepingCapacity: true)
        histogramStartTimes.removeAll(keepingCapacity: true)
    }

    var isEmpty: Bool { (isOfPieces ? pieceCount == 0 : joinedTimes.isEmpty) && histogramTimes.isEmpty }

    /// The memory it holds, roughly.
    var bytes: Int {
        let numbers = joinedTimes.capacity + values.capacity + startTimes.capacity
        guard !histograms.isEmpty else { return numbers * 8 }
        return (numbers + histogramTimes.capacity + histogramStartTimes.capacity) * 8
            + histograms.count * max(400, histograms[0].memoryBytes)
    }

    /// Adds a chunk without its stale markers. The buffer's values may be swapped for others.
    func append(_ buffer: inout SampleBuffer) {
        if !buffer.histograms.isEmpty { return appendHistograms(buffer) }
        let hasStartTimes = !buffer.startTimesMilliseconds.isEmpty
        let isClean = vedette_any_equal(buffer.values, buffer.values.count, Sample.staleBits) == 0
        if isOfPieces, isClean, !hasStartTimes, startTimes.isEmpty {
            if !buffer.values.isEmpty { appendPiece(&buffer) }
            return
        }
        endPieces()
        if hasStartTimes || !startTimes.isEmpty {
            while startTimes.count < joinedTimes.count { startTimes.append(0) }
        }
        if isClean {
            joinedTimes.append(contentsOf: buffer.timesMilliseconds)
            values.append(contentsOf: buffer.values)
            if hasStartTimes { startTimes.append(contentsOf: buffer.startTimesMilliseconds) }
        } else {
            for index in buffer.values.indices where !Sample.isStale(buffer.values[index]) {
                append(buffer.timesMilliseconds[index], buffer.values[index])
                if hasStartTimes { startTimes.append(buffer.startTimesMilliseconds[index]) }
            }
        }
        if !startTimes.isEmpty { while startTimes.count < joinedTimes.count { startTimes.append(0) } }
    }

    /// Adds one sample.
    func append(_ milliseconds: Int64, _ value: Double) {
        endPieces()
        joinedTimes.append(milliseconds)
        values.append(value)
    }

    private func appendPiece(_ buffer: inout SampleBuffer) {
        if pieceCount == 0 {
            swap(&values, &buffer.values)
        } else {
            values.append(contentsOf: buffer.values)
        }
        let isKnown =
            !isDifferent && pieceCount < pieces.count
            && SameTimes.areOne(pieces[pieceCount], buffer.timesMilliseconds)
        if !isKnown {
            isDifferent = true
            pieces.removeSubrange(pieceCount...)
            pieces.append(buffer.timesMilliseconds)
        }
        pieceCount += 1
        isJoined = false
    }

    /// The times of this series' pieces; nothing is to be done where they are those of the series before.
    private func join() {
        isJoined = true
        guard isOfPieces, isDifferent || pieceCount != pieces.count || pieceCount == 0 else { return }
        isDifferent = false
        pieces.removeSubrange(pieceCount...)
        if pieceCount == 0 { values.removeAll(keepingCapacity: true) }
        joinedTimes = pieces.count == 1 ? pieces[0] : joinedPieces()
    }

    private func joinedPieces() -> [Int64] {
        guard let first = pieces.first, let place = SameTimes.place(of: first) else { return [] }
        if let known = joinedBefore[place], known.pieces.count == pieces.count,
            zip(known.pieces, pieces).allSatisfy({ SameTimes.areOne($0, $1) })
        {
            return known.times
        }
        if joinedBefore.count >= Self.joinedMaximum { joinedBefore.removeAll(keepingCapacity: true) }
        var joined: [Int64] = []
        joined.reserveCapacity(pieces.reduce(0) { $0 + $1.count })
        for piece in pieces { joined.append(contentsOf: piece) }
        joinedBefore[place] = (pieces, joined)
        return joined
    }

    /// From here on the times are this series' own.
    private func endPieces() {
        guard isOfPieces else { return }
        join()
        isOfPieces = false
        pieces = []
    }

    private func appendHistograms(_ buffer: SampleBuffer) {
        for index in buffer.histograms.indices where !Sample.isStale(buffer.histograms[index].sum) {
            histogramTimes.append(buffer.timesMilliseconds[index])
            histograms.append(buffer.histograms[index])
            histogramStartTimes.append(
                buffer.startTimesMilliseconds.isEmpty ? 0 : buffer.startTimesMilliseconds[index])
        }
    }
}

/// Which samples of a run lie in the window of each step: `starts[step]..<ends[step]`.
struct WindowBounds {
    private(set) var starts: [Int] = []
    private(set) var ends: [Int] = []
    private var knownTimes: [Int64] = []
    private var knownEnds: StepTimes?
    private var knownLength: Int64 = 0

    /// Finds the windows `(end - length, end]` that end at each of `windowEnds`; left-open, as since Prometheus 3.
    /// Series that are scraped together have the same ones.
    mutating func find(_ times: [Int64], windowEnds: StepTimes, length: Int64) {
        if knownEnds == windowEnds, knownLength == length, SameTimes.hold(knownTimes, times) { return }
        knownTimes = times
        (knownEnds, knownLength) = (windowEnds, length)
        starts.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        times.withUnsafeBufferPointer { times in
            var low = 0
            var high = 0
            for step in 0..<windowEnds.count {
                let end = windowEnds[step]
                while high < times.count, times[high] <= end { high += 1 }
                while low < high, times[low] <= end &- length { low += 1 }
                starts.append(low)
                ends.append(high)
            }
        }
    }

    subscript(step: Int) -> Range<Int> { starts[step]..<ends[step] }
}
