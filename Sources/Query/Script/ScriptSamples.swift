internal import Telemetry

/// The samples of a `load` as batches, in the order of time.
struct ScriptSamples {
    private let load: ScriptLoad
    private let startMilliseconds: Int64

    init(_ load: ScriptLoad, startMilliseconds: Int64 = 0) {
        self.load = load
        self.startMilliseconds = startMilliseconds
    }

    /// So many steps travel in one batch: few enough for a frame, many enough that a script does not wait for the disk.
    private static let stepsPerBatch = 200

    var batches: [SampleBatch] {
        get throws(ScriptError) {
            let steps = try self.steps
            return stride(from: 0, to: steps.count, by: ScriptSamples.stepsPerBatch).map { start in
                let end = min(steps.count, start + ScriptSamples.stepsPerBatch)
                return SampleBatch(groups: steps[start..<end].map(\.group))
            }
        }
    }

    /// One group per step, so that a store that groups by target sees rows as a scrape would bring them.
    var steps: [InputSeries.Step] {
        get throws(ScriptError) {
            var series = load.series.map(ScriptSamples.hinted)
            if load.addsNativeHistograms { series += try nativeHistograms }
            let count = series.map(\.values.count).max() ?? 0
            var steps: [InputSeries.Step] = []
            for step in 0..<count {
                var group = SampleGroup()
                let time = startMilliseconds + Int64(step) * load.stepMilliseconds
                for one in series where step < one.values.count {
                    append(one, step, time, to: &group)
                }
                if !group.series.isEmpty { steps.append(InputSeries.Step(milliseconds: time, group: group)) }
            }
            return steps
        }
    }

    /// A histogram that continues its predecessor is marked so, as Prometheus' head block does when it takes samples.
    private static func hinted(_ series: ScriptLoad.Series) -> ScriptLoad.Series {
        var series = series
        var previous: NativeHistogram?
        for index in series.values.indices {
            guard case .histogram(let histogram, let checksHint) = series.values[index] else { continue }
            if let previous, histogram.counterResetHint == .unknown, previous.counterResetHint != .gauge,
                !histogram.isReset(since: previous)
            {
                series.values[index] = .histogram(histogram.hinting(.notReset), checksHint: checksHint)
            }
            previous = histogram
        }
        return series
    }

    private func append(_ series: ScriptLoad.Series, _ step: Int, _ time: Int64, to group: inout SampleGroup) {
        let offset = series.startOffsets.isEmpty ? nil : series.startOffsets[step]
        let start = offset.map { time + $0 } ?? 0
        switch series.values[step] {
        case .omitted: return
        case .number(let value):
            group.append(series.labels, milliseconds: time, value: value)
            group.startTimesMilliseconds.append(start)
        case .histogram(let histogram, _):
            group.series.append(.labels(series.labels))
            let place = UInt32(group.series.count - 1)
            group.histograms.append(
                HistogramSample(seriesIndex: place, milliseconds: time, startMilliseconds: start, histogram: histogram))
        }
    }

    // MARK: load_with_nhcb

    /// What classic series say of one histogram at one step.
    private struct Parts {
        var buckets: [Double: Double] = [:]
        var count: Double?
        var sum: Double = 0
    }

    /// Classic histograms as native ones with custom buckets.
    private var nativeHistograms: [ScriptLoad.Series] {
        get throws(ScriptError) {
            var parts: [Labels: [Int: Parts]] = [:]
            for series in load.series {
                guard let name = series.labels.metricName else { continue }
                let endings = ["_bucket", "_count", "_sum"]
                guard let ending = endings.first(where: { name.hasSuffix($0) }) else { continue }
                let bound = series.labels["le"].flatMap { try? GoText.number($0) }
                if ending == "_bucket", bound == nil { continue }
                let base = series.labels.setting("le", to: nil)
                    .setting(Labels.metricNameLabel, to: String(name.dropLast(ending.count)))
                for (step, value) in series.values.enumerated() {
                    guard case .number(let number) = value else { continue }
                    var found = parts[base, default: [:]][step] ?? Parts()
                    switch ending {
                    case "_bucket": bound.map { found.buckets[$0] = number }
                    case "_count": found.count = number
                    default: found.sum = number
                    }
                    parts[base, default: [:]][step] = found
                }
            }
            return parts.sorted { $0.key < $1.key }.map { labels, steps in
                let length = (steps.keys.max() ?? -1) + 1
                let values = (0..<length).map { step in
                    steps[step].map { .histogram(ScriptSamples.histogram($0), checksHint: false) }
                        ?? ScriptValue.omitted
                }
                return ScriptLoad.Series(labels: labels, values: values)
            }
        }
    }

    private static func histogram(_ parts: Parts) -> NativeHistogram {
        var bounds = parts.buckets.keys.sorted()
        let count = parts.count ?? bounds.last.flatMap { parts.buckets[$0] } ?? 0
        var cumulative = bounds.map { parts.buckets[$0] ?? 0 }
        if bounds.last != .infinity {
            bounds.append(.infinity)
            cumulative.append(count)
        }
        var histogram = NativeHistogram()
        histogram.schema = NativeHistogram.customBucketsSchema
        histogram.count = count
        histogram.sum = parts.sum
        histogram.customBounds = bounds.dropLast()
        var run = BucketRun<Double>()
        var previous: Double = 0
        for (index, total) in cumulative.enumerated() {
            if total != previous { run.append(Int32(index), total - previous) }
            previous = total
        }
        histogram.setPositive(run)
        return histogram
    }
}
