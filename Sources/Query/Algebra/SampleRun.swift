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

    var bytes: Int { (times.capacity + values.capacity + startTimes.capacity) * 8 + histograms.count * 400 }

    /// Adds a chunk without its stale markers.
    func append(_ buffer: SampleBuffer) {
        if !buffer.histograms.isEmpty { return appendHistograms(buffer) }
        let hasStartTimes = !buffer.startTimesMilliseconds.isEmpty
        if hasStartTimes || !startTimes.isEmpty {
            while startTimes.count < times.count { startTimes.append(0) }
        }
        let isClean = !buffer.values.contains { Sample.isStale($0) }
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

    /// Finds the windows `(end - length, end]` that end at each of `windowEnds`; left-open, as since Prometheus 3.
    mutating func find(_ times: [Int64], windowEnds: StepTimes, length: Int64) {
        starts.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
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

    subscript(step: Int) -> Range<Int> { starts[step]..<ends[step] }
}
