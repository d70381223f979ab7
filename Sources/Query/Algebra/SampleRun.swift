internal import Telemetry

/// The samples of one series that range functions look at, reused from series to series. Stale markers are left out.
///
/// Shape: `times`, `values` and, unless empty, `startTimes` are as long as each other; so are the three of histograms.
final class SampleRun {
    var times: [Int64] = []
    var values: [Double] = []
    var startTimes: [Int64] = []
    var histogramTimes: [Int64] = []
    var histograms: [NativeHistogram] = []
    var histogramStartTimes: [Int64] = []

    func removeAll() {
        times.removeAll(keepingCapacity: true)
        values.removeAll(keepingCapacity: true)
        startTimes.removeAll(keepingCapacity: true)
        histogramTimes.removeAll(keepingCapacity: true)
        histograms.removeAll(keepingCapacity: true)
        histogramStartTimes.removeAll(keepingCapacity: true)
    }

    var isEmpty: Bool { times.isEmpty && histogramTimes.isEmpty }

    /// The memory it holds, roughly.
    var bytes: Int {
        let numbers = times.capacity + values.capacity + startTimes.capacity
        guard !histograms.isEmpty else { return numbers * 8 }
        return (numbers + histogramTimes.capacity + histogramStartTimes.capacity) * 8
            + histograms.count * max(400, histograms[0].memoryBytes)
    }

    /// Adds a chunk without its stale markers.
    func append(_ buffer: SampleBuffer) {
        if !buffer.histograms.isEmpty { return appendHistograms(buffer) }
        let hasStartTimes = !buffer.startTimesMilliseconds.isEmpty
        if hasStartTimes || !startTimes.isEmpty {
            while startTimes.count < times.count { startTimes.append(0) }
        }
        let isClean = !buffer.values.withUnsafeBufferPointer { $0.contains { Sample.isStale($0) } }
        if isClean {
            times.append(contentsOf: buffer.timesMilliseconds)
            values.append(contentsOf: buffer.values)
            if hasStartTimes { startTimes.append(contentsOf: buffer.startTimesMilliseconds) }
        } else {
            for index in buffer.values.indices where !Sample.isStale(buffer.values[index]) {
                times.append(buffer.timesMilliseconds[index])
                values.append(buffer.values[index])
                if hasStartTimes { startTimes.append(buffer.startTimesMilliseconds[index]) }
            }
        }
        if !startTimes.isEmpty { while startTimes.count < times.count { startTimes.append(0) } }
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
        SameTimes.copy(times, into: &knownTimes)
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
