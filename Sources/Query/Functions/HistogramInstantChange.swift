internal import Telemetry

/// `irate` and `idelta` where native histograms are among the last two samples of a window.
struct HistogramInstantChange {
    let input: WindowInput
    let isRate: Bool

    /// One of the last two samples.
    private struct Newest {
        var time: Int64
        /// An index into the histograms, nil for a number.
        var histogram: Int?
    }

    func put(_ step: Int, into column: inout SeriesColumn) {
        let run = input.run
        let numbers = input.windows[step].suffix(2).map { Newest(time: run.times[$0], histogram: nil) }
        let histograms = input.histogramWindows[step].suffix(2).map {
            Newest(time: run.histogramTimes[$0], histogram: $0)
        }
        let newest = (numbers + histograms).sorted { $0.time < $1.time }.suffix(2)
        guard let first = newest.first, let last = newest.last, newest.count == 2 else { return }
        let windows = HistogramWindows(input: input)
        guard let before = first.histogram, let now = last.histogram else {
            input.evaluator.warn(
                "encountered a mix of histograms and floats for metric name \(GoText.quoted(input.metricName))",
                at: input.call.arguments[0].span)
            return
        }
        guard last.time != first.time else { return }
        let (earlier, later) = (run.histograms[before], run.histograms[now])
        let areGauges = earlier.counterResetHint == .gauge && later.counterResetHint == .gauge
        let hasGauge = earlier.counterResetHint == .gauge || later.counterResetHint == .gauge
        if isRate, hasGauge { windows.warnNotCounter() }
        if !isRate, !areGauges { windows.warnNotGauge() }
        var change = later
        if !isRate || !(input.histogramStartedAnew(at: now) || later.isReset(since: earlier)) {
            do throws(HistogramMismatch) {
                if try change.subtract(earlier).hasReconciledBounds {
                    windows.inform(ofReconciledBoundsIn: "subtraction")
                }
            } catch {
                return windows.warnOfMixedSchemas()
            }
        }
        change = change.hinting(.gauge).compacted
        let seconds = Double(last.time - first.time) / 1000
        column.set(isRate ? change.divided(by: seconds) : change, at: step)
    }
}
