internal import Telemetry

/// Native histograms within a sample frame (docs/formats/agent-protocol.md, "histograms").
enum HistogramPayload {
    /// The most buckets of one histogram; Prometheus' own limit is 10,000 for custom buckets and far less otherwise.
    static let bucketsMaximum = 65_536

    static func write(_ samples: [HistogramSample], to writer: inout ByteWriter) {
        writer.putVarint(UInt64(samples.count))
        for sample in samples {
            writer.putVarint(UInt64(sample.seriesIndex))
            writer.putSigned(sample.milliseconds)
            writer.putSigned(sample.startMilliseconds)
            write(sample.histogram, to: &writer)
        }
    }

    static func read(_ reader: inout ByteReader, seriesCount: Int) throws(ByteError) -> [HistogramSample] {
        var samples: [HistogramSample] = []
        for _ in 0..<(try reader.itemCount("histograms")) {
            let index = try SamplesPayload.readIndex(&reader, below: seriesCount)
            let time = try reader.signed()
            let start = try reader.signed()
            samples.append(
                HistogramSample(
                    seriesIndex: index, milliseconds: time, startMilliseconds: start,
                    histogram: try readHistogram(&reader)))
        }
        return samples
    }

    private static func write(_ histogram: NativeHistogram, to writer: inout ByteWriter) {
        writer.putSigned(Int64(histogram.schema))
        writer.put(histogram.counterResetHint.rawValue)
        writer.putFlag(histogram.isInteger)
        for value in [histogram.zeroThreshold, histogram.zeroCount, histogram.count, histogram.sum] {
            NumberCode.write(value, to: &writer)
        }
        for spans in [histogram.positiveSpans, histogram.negativeSpans] {
            writer.putVarint(UInt64(spans.count))
            for span in spans {
                writer.putSigned(Int64(span.offset))
                writer.putVarint(UInt64(span.length))
            }
        }
        for values in [histogram.positiveCounts, histogram.negativeCounts, histogram.customBounds] {
            writer.putVarint(UInt64(values.count))
            for value in values { NumberCode.write(value, to: &writer) }
        }
    }

    private static func readHistogram(_ reader: inout ByteReader) throws(ByteError) -> NativeHistogram {
        var histogram = NativeHistogram()
        let start = reader.offset
        guard let schema = Int32(exactly: try reader.signed()),
            let hint = NativeHistogram.CounterResetHint(rawValue: try reader.byte())
        else { throw ByteError(offset: start, reason: "unknown kind of histogram") }
        histogram.schema = schema
        histogram.counterResetHint = hint
        histogram.isInteger = try reader.flag()
        histogram.zeroThreshold = try NumberCode.read(&reader)
        histogram.zeroCount = try NumberCode.read(&reader)
        histogram.count = try NumberCode.read(&reader)
        histogram.sum = try NumberCode.read(&reader)
        histogram.positiveSpans = try readSpans(&reader)
        histogram.negativeSpans = try readSpans(&reader)
        histogram.positiveCounts = try readValues(&reader)
        histogram.negativeCounts = try readValues(&reader)
        histogram.customBounds = try readValues(&reader)
        guard covers(histogram.positiveSpans, histogram.positiveCounts),
            covers(histogram.negativeSpans, histogram.negativeCounts)
        else { throw ByteError(offset: start, reason: "spans and counts of a histogram differ in length") }
        return histogram
    }

    private static func covers(_ spans: [NativeHistogram.Span], _ counts: [Double]) -> Bool {
        spans.reduce(0) { $0 + UInt64($1.length) } == UInt64(counts.count)
    }

    private static func readSpans(_ reader: inout ByteReader) throws(ByteError) -> [NativeHistogram.Span] {
        var spans: [NativeHistogram.Span] = []
        for _ in 0..<(try reader.count(upTo: min(reader.remaining, bucketsMaximum), "spans")) {
            let start = reader.offset
            guard let offset = Int32(exactly: try reader.signed()), let length = UInt32(exactly: try reader.varint())
            else { throw ByteError(offset: start, reason: "span is out of range") }
            spans.append(NativeHistogram.Span(offset: offset, length: length))
        }
        return spans
    }

    private static func readValues(_ reader: inout ByteReader) throws(ByteError) -> [Double] {
        var values: [Double] = []
        for _ in 0..<(try reader.count(upTo: min(reader.remaining, bucketsMaximum), "buckets")) {
            values.append(try NumberCode.read(&reader))
        }
        return values
    }
}
