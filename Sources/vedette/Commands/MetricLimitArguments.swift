internal import ArgumentParser
internal import TSDB
internal import Telemetry

/// How much the metric store takes, and from when. What is over a limit of series is refused and counted, the rest of
/// its batch is stored.
struct MetricLimitArguments: ParsableArguments {
    @Option(name: .long, help: "The most series at once; 0 for no limit. Default: 5000000.")
    var limitSeries: Int?

    @Option(name: .long, help: "The most series of one target (job and instance) at once; 0, the default: no limit.")
    var limitSeriesPerTarget: Int?

    @Option(name: .long, help: "The most series of one metric name at once; 0, the default: no limit.")
    var limitSeriesPerMetric: Int?

    @Option(
        name: .long,
        help: "Samples further behind their target's newest go to blocks of their own, for example 1h. Default: 30m.")
    var outOfOrderWindow: String?

    @Option(name: .long, help: "The most exemplars in memory; 0 for none. Default: 100000.")
    var limitExemplars: Int?

    @Option(name: .long, help: "The oldest samples go when all take more than this, for example 100GiB.")
    var retentionSizeMetrics: String?

    /// Puts what was given into the options of the store.
    func apply(to options: inout MetricDatabaseOptions) throws {
        for (name, value) in [
            ("--limit-series", limitSeries), ("--limit-series-per-target", limitSeriesPerTarget),
            ("--limit-series-per-metric", limitSeriesPerMetric), ("--limit-exemplars", limitExemplars),
        ] {
            if let value, value < 0 { throw CommandFailure("\(name) \(value) is negative; write 0 for no limit") }
        }
        options.seriesMaximum = limitSeries ?? options.seriesMaximum
        options.seriesPerTargetMaximum = limitSeriesPerTarget ?? options.seriesPerTargetMaximum
        options.seriesPerMetricMaximum = limitSeriesPerMetric ?? options.seriesPerMetricMaximum
        options.exemplarsMaximum = limitExemplars ?? options.exemplarsMaximum
        if let text = outOfOrderWindow {
            do throws(DurationError) {
                options.behindMilliseconds = try Durations.milliseconds(prometheus: text)
            } catch {
                throw CommandFailure("--out-of-order-window: \(error)")
            }
        }
        if let text = retentionSizeMetrics {
            guard let bytes = ByteSizes.bytes(text), bytes > 0 else {
                throw CommandFailure("--retention-size-metrics \(text) is no size; write for example 100GiB")
            }
            options.retentionBytes = UInt64(bytes)
        }
    }
}
