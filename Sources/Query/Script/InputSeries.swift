package import Telemetry

/// The input series of a rule unit test: `load` without a script around it.
package struct InputSeries: Sendable {
    /// The samples of one step.
    package struct Step: Sendable {
        package var milliseconds: Int64
        package var group: SampleGroup
    }

    /// Ascending in time; steps without a sample are left out.
    package let steps: [Step]

    /// Reads series in promtool's notation: `series` such as `up{job="a"}`, `values` such as `1+2x3 _ stale`. The first
    /// value is that of `startMilliseconds`. Throws a sentence that names the series.
    package init(
        _ series: [(series: String, values: String)], intervalMilliseconds: Int64, startMilliseconds: Int64
    ) throws(ScriptError) {
        var load = ScriptLoad(stepMilliseconds: intervalMilliseconds, addsNativeHistograms: false)
        for (index, one) in series.enumerated() {
            let (labels, values) = try SeriesDescription.parse("\(one.series) \(one.values)", line: index + 1)
            load.series.append(ScriptLoad.Series(labels: labels, values: values))
        }
        steps = try ScriptSamples(load, startMilliseconds: startMilliseconds).steps
    }

    /// The labels of a metric such as `up{job="a"}`, where the empty text has none.
    package static func labels(_ text: String) throws(ScriptError) -> Labels {
        text.allSatisfy { $0 == " " } || text == "{}" ? .empty : try SeriesDescription.labels(text, line: 1)
    }

    /// A native histogram such as `{{schema:0 sum:5 count:4 buckets:[1 2 1]}}`, compact, as an answer shows it.
    package static func histogram(_ text: String) throws(ScriptError) -> NativeHistogram {
        let values = try SeriesDescription.parse("histogram \(text)", line: 1).values
        guard values.count == 1, case .histogram(let histogram, _) = values[0] else {
            throw ScriptError(line: 1, "not one histogram: \(text)")
        }
        return histogram
    }

    /// A histogram in the same notation.
    package static func text(_ histogram: NativeHistogram) -> String { HistogramDescription.text(histogram) }
}
