internal import Query
internal import Telemetry

/// A native histogram as the Prometheus API shows it:
/// `{"count":…,"sum":…,"buckets":[[rule,"lower","upper","count"],…]}`.
enum HistogramAnswer {
    static func write(_ histogram: NativeHistogram, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("count")
        writer.sampleValue(histogram.count)
        writer.key("sum")
        writer.sampleValue(histogram.sum)
        let buckets = histogram.buckets.filter { $0.count != 0 }
        if !buckets.isEmpty {
            writer.key("buckets")
            writer.beginArray()
            for bucket in buckets { write(bucket, &writer) }
            writer.endArray()
        }
        writer.endObject()
    }

    private static func write(_ bucket: HistogramBucket, _ writer: inout JSONWriter) {
        writer.beginArray()
        writer.integer(rule(bucket))
        writer.sampleValue(bucket.lower)
        writer.sampleValue(bucket.upper)
        writer.sampleValue(bucket.count)
        writer.endArray()
    }

    /// Which ends belong to a bucket, as the API numbers it.
    private static func rule(_ bucket: HistogramBucket) -> Int {
        switch (bucket.includesLower, bucket.includesUpper) {
        case (false, true): 0
        case (true, false): 1
        case (false, false): 2
        case (true, true): 3
        }
    }
}
