internal import CKernels
internal import Telemetry

/// Where the windows of a call lie in the times of some series.
final class WindowPlan {
    let windows: WindowBounds
    private let times: [Int64]
    private let ends: StepTimes
    private let lengthMilliseconds: Int64
    private var knownEdges: WindowEdges?

    /// The windows over rising times.
    init(_ times: [Int64], windowEnds: StepTimes, length: Int64) {
        var windows = WindowBounds()
        windows.find(times, windowEnds: windowEnds, length: length)
        self.windows = windows
        (self.times, ends, lengthMilliseconds) = (times, windowEnds, length)
    }

    /// What rates need to know of the windows.
    var edges: WindowEdges {
        if let knownEdges { return knownEdges }
        let edges = WindowEdges(times, windows, ends: ends, length: lengthMilliseconds)
        knownEdges = edges
        return edges
    }
}

/// What the windows of `rate`, `increase` and `delta` need to know of their samples' times, found once for all series
/// that are scraped together.
///
/// Source: `extrapolatedRate` in Prometheus 3.14's `promql/functions.go`; only the zero point of a counter depends on
/// values.
struct WindowEdges {
    /// The first and the last sample of each window, or -1 where it has fewer than two.
    private var first: [Int32]
    private var last: [Int32]
    /// Seconds to the window's edges, and between the samples.
    private var toStart: [Double]
    private var toEnd: [Double]
    private var sampled: [Double]

    /// The edges of windows over rising times.
    init(_ times: [Int64], _ windows: WindowBounds, ends: StepTimes, length: Int64) {
        first = [Int32](repeating: -1, count: ends.count)
        last = first
        toStart = [Double](repeating: 0, count: ends.count)
        toEnd = toStart
        sampled = toStart
        for step in 0..<ends.count {
            let window = windows[step]
            guard window.count > 1 else { continue }
            let (from, through) = (times[window.lowerBound], times[window.upperBound - 1])
            first[step] = Int32(truncatingIfNeeded: window.lowerBound)
            last[step] = Int32(truncatingIfNeeded: window.upperBound - 1)
            var start = Double(from &- (ends[step] &- length)) / 1000
            var end = Double(ends[step] &- through) / 1000
            sampled[step] = Double(through &- from) / 1000
            let spacing = sampled[step] / Double(window.count - 1)
            let threshold = spacing * 1.1
            // A sample would be expected nearer to the edge: the series began or ended about half a spacing from it.
            if start >= threshold { start = spacing / 2 }
            if end >= threshold { end = spacing / 2 }
            (toStart[step], toEnd[step]) = (start, end)
        }
    }

    /// Puts the change of each window, carried to its edges and divided, into `results`. `changes` are given where
    /// they are more than the last value less the first.
    func extrapolate(
        _ values: [Double], _ changes: [Double]?, isCounter: Bool, divisor: Double, into results: inout [Double]
    ) {
        guard results.count == first.count else { return }
        func run(_ changes: UnsafePointer<Double>?) {
            first.withUnsafeBufferPointer { first in
                last.withUnsafeBufferPointer { last in
                    toStart.withUnsafeBufferPointer { toStart in
                        toEnd.withUnsafeBufferPointer { toEnd in
                            sampled.withUnsafeBufferPointer { sampled in
                                var windows = vedette_windows(
                                    first: first.baseAddress, last: last.baseAddress, to_start: toStart.baseAddress,
                                    to_end: toEnd.baseAddress, sampled: sampled.baseAddress, divisor: divisor,
                                    is_counter: isCounter ? 1 : 0, count: results.count)
                                _ = vedette_extrapolate(&windows, values, changes, &results)
                            }
                        }
                    }
                }
            }
        }
        if let changes { changes.withUnsafeBufferPointer { run($0.baseAddress) } } else { run(nil) }
    }
}
