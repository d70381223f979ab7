internal import Telemetry

/// Settles for histograms that come without a hint whether their counter was reset since the sample before.
struct ResetDetection {
    private var previous: NativeHistogram?

    mutating func apply(to buffer: inout SampleBuffer) {
        for index in buffer.histograms.indices {
            let histogram = buffer.histograms[index]
            if Sample.isStale(histogram.sum) { continue }
            if histogram.counterResetHint == .unknown, let previous {
                buffer.histograms[index].counterResetHint = histogram.isReset(since: previous) ? .reset : .notReset
            }
            // Compared as it came: a hint would settle the next comparison without looking.
            previous = histogram.hinting(histogram.counterResetHint == .gauge ? .gauge : .unknown)
        }
    }
}
