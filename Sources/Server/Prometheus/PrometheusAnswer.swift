internal import Query
internal import Telemetry
internal import Wire

/// The JSON of the Prometheus HTTP API, version 1 (prometheus.io/docs/prometheus/latest/querying/api).
enum PrometheusAnswer {
    /// `{"status":"success","data":…}` around what `data` writes.
    static func success(_ data: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("status", "success")
        writer.key("data")
        data(&writer)
        writer.endObject()
        return writer.bytes
    }

    /// A list of strings or objects as `data`, with the warnings of `context`.
    static func list(
        count: Int, elementBytes: Int, context: QueryContext,
        _ element: @escaping @Sendable (inout JSONWriter, Int) -> Void
    ) -> PiecewiseAnswer {
        PiecewiseAnswer(
            estimatedBytes: count * elementBytes, elementCount: count,
            open: { writer in
                writer.beginObject()
                writer.member("status", "success")
                writer.key("data")
                writer.beginArray()
            },
            element: element,
            close: { writer in
                writer.endArray()
                remarks(of: context, &writer)
                writer.endObject()
            })
    }

    /// The answer of a query.
    static func query(_ value: QueryValue, context: QueryContext, statistics: QueryTimes?) -> PiecewiseAnswer {
        let (count, bytes) = size(of: value)
        return PiecewiseAnswer(
            estimatedBytes: bytes, elementCount: count,
            open: { writer in
                writer.beginObject()
                writer.member("status", "success")
                writer.key("data")
                writer.beginObject()
                writer.member("resultType", value.typeName)
                writer.key("result")
                if isList(value) { writer.beginArray() }
            },
            element: { writer, index in write(value, index, &writer) },
            close: { writer in
                if isList(value) { writer.endArray() }
                if let statistics { QueryStatisticsAnswer.write(statistics, context, &writer) }
                writer.endObject()
                remarks(of: context, &writer)
                writer.endObject()
            })
    }

    private static func isList(_ value: QueryValue) -> Bool {
        switch value {
        case .scalar, .string: false
        case .vector, .matrix, .streams: true
        }
    }

    private static func size(of value: QueryValue) -> (count: Int, bytes: Int) {
        switch value {
        case .scalar, .string: (1, 256)
        case .vector(let points): (points.count, points.reduce(0) { $0 + $1.labels.encoded.count * 2 + 64 })
        case .matrix(let series):
            (
                series.count,
                series.reduce(0) { sum, series in
                    let points = series.values.count * 32 + series.histograms.count * 512
                    return sum + series.labels.encoded.count * 2 + 64 + points
                }
            )
        case .streams(let streams):
            (
                streams.count,
                streams.reduce(0) { sum, stream in
                    sum + stream.labels.encoded.count * 2 + stream.lines.reduce(64) { $0 + $1.text.count + 40 }
                }
            )
        }
    }

    private static func write(_ value: QueryValue, _ index: Int, _ writer: inout JSONWriter) {
        switch value {
        case .scalar(let sample): write(sample.milliseconds, sample.value, &writer)
        case .string(let text, let milliseconds):
            writer.beginArray()
            writer.sampleTime(milliseconds: milliseconds)
            writer.string(text)
            writer.endArray()
        case .vector(let points):
            let point = points[index]
            writer.beginObject()
            writer.key("metric")
            writer.labels(point.labels)
            if let histogram = point.histogram {
                writer.key("histogram")
                write(point.milliseconds, histogram, &writer)
            } else {
                writer.key("value")
                write(point.milliseconds, point.value, &writer)
            }
            writer.endObject()
        case .matrix(let series): write(series[index], &writer)
        case .streams: break
        }
    }

    private static func write(_ series: SeriesPoints, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("metric")
        writer.labels(series.labels)
        if !series.values.isEmpty {
            writer.key("values")
            writer.beginArray()
            writer.samples(series.timesMilliseconds, series.values)
            writer.endArray()
        }
        if !series.histograms.isEmpty {
            writer.key("histograms")
            writer.beginArray()
            for (time, histogram) in zip(series.histogramTimesMilliseconds, series.histograms) {
                write(time, histogram, &writer)
            }
            writer.endArray()
        }
        writer.endObject()
    }

    private static func write(_ milliseconds: Int64, _ value: Double, _ writer: inout JSONWriter) {
        writer.beginArray()
        writer.sampleTime(milliseconds: milliseconds)
        writer.sampleValue(value)
        writer.endArray()
    }

    private static func write(_ milliseconds: Int64, _ histogram: NativeHistogram, _ writer: inout JSONWriter) {
        writer.beginArray()
        writer.sampleTime(milliseconds: milliseconds)
        HistogramAnswer.write(histogram, &writer)
        writer.endArray()
    }

    /// The most warnings and the most infos of an answer; the rest is counted.
    private static let remarksMaximum = 10

    /// `warnings` and `infos`, and a warning for each span the answer does not cover.
    static func remarks(of context: QueryContext, _ writer: inout JSONWriter) {
        // Where a store says in a warning of its own what is missing, that is said once.
        let warnings = context.warnings
        let gaps = context.gaps.filter { gap in !warnings.contains { $0.contains(gap.reason) } }.map { gap in
            let start = Timestamps.rfc3339(nanoseconds: gap.range.startNanoseconds)
            let end = Timestamps.rfc3339(nanoseconds: gap.range.endNanoseconds)
            let labels = gap.labels.isEmpty ? "all series" : "\(gap.labels)"
            return "the answer is incomplete from \(start) to \(end) for \(labels): \(gap.reason)"
        }
        for (name, kind, texts) in [("warnings", "warning", warnings + gaps), ("infos", "info", context.infos)]
        where !texts.isEmpty {
            writer.key(name)
            writer.beginArray()
            for text in texts.prefix(remarksMaximum) { writer.string(text) }
            let rest = texts.count - remarksMaximum
            if rest > 0 { writer.string("\(rest) more \(kind) annotations omitted") }
            writer.endArray()
        }
    }
}
