internal import Glibc
internal import Telemetry

/// A native histogram as the Prometheus API shows it:
/// `{"count":…,"sum":…,"buckets":[[rule,"lower","upper","count"],…]}`.
enum HistogramAnswer {
    /// Which ends belong to a bucket, as the API numbers it.
    private enum Rule: Int {
        case upperIncluded = 0
        case lowerIncluded = 1
        case bothIncluded = 3
    }

    static func write(_ histogram: NativeHistogram, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("count")
        writer.sampleValue(histogram.count)
        writer.key("sum")
        writer.sampleValue(histogram.sum)
        let negative = buckets(histogram.negativeSpans, histogram.negativeCounts)
        let positive = buckets(histogram.positiveSpans, histogram.positiveCounts)
        if !negative.isEmpty || !positive.isEmpty || histogram.zeroCount != 0 {
            writer.key("buckets")
            writer.beginArray()
            for (index, count) in negative.reversed() where count != 0 {
                write(.lowerIncluded, -bound(index, histogram), -bound(index - 1, histogram), count, &writer)
            }
            if histogram.zeroCount != 0 {
                let threshold = histogram.zeroThreshold
                write(.bothIncluded, -threshold, threshold, histogram.zeroCount, &writer)
            }
            for (index, count) in positive where count != 0 {
                write(.upperIncluded, bound(index - 1, histogram), bound(index, histogram), count, &writer)
            }
            writer.endArray()
        }
        writer.endObject()
    }

    private static func write(
        _ rule: Rule, _ lower: Double, _ upper: Double, _ count: Double, _ writer: inout JSONWriter
    ) {
        writer.beginArray()
        writer.integer(rule.rawValue)
        writer.sampleValue(lower)
        writer.sampleValue(upper)
        writer.sampleValue(count)
        writer.endArray()
    }

    /// Index and count of each bucket, rising.
    private static func buckets(_ spans: [NativeHistogram.Span], _ counts: [Double]) -> [(index: Int, count: Double)] {
        var all: [(index: Int, count: Double)] = []
        var index = 0
        var position = 0
        for span in spans {
            index += Int(span.offset)
            for _ in 0..<Int(span.length) where position < counts.count {
                all.append((index, counts[position]))
                position += 1
                index += 1
            }
        }
        return all
    }

    /// The upper bound of a bucket.
    private static func bound(_ index: Int, _ histogram: NativeHistogram) -> Double {
        if histogram.schema == NativeHistogram.customBucketsSchema {
            if index < 0 { return -.infinity }
            return index < histogram.customBounds.count ? histogram.customBounds[index] : .infinity
        }
        return exp2(Double(index) * exp2(-Double(histogram.schema)))
    }
}
