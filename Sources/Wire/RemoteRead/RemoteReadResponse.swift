package import Telemetry

/// Writes `prometheus.ReadResponse` with samples (prompb/remote.proto and types.proto of Prometheus), query by query
/// and series by series.
package struct RemoteReadResponse {
    private var response = ProtobufEncoder()
    private var result = ProtobufEncoder()
    private var series = ProtobufEncoder()

    /// An answer without a result.
    package init() {}

    /// What was written so far, the result and the series under way included.
    package var byteCount: Int {
        response.bytes.count + result.bytes.count + series.bytes.count
    }

    /// The whole answer.
    package var bytes: [UInt8] { response.bytes.bytes }

    /// Begins a series of the query's result.
    package mutating func beginSeries(_ labels: Labels) {
        series = ProtobufEncoder()
        labels.forEachPair { name, value in
            series.message(1) { label in
                label.run(1, Array(name))
                label.run(2, Array(value))
            }
        }
    }

    /// Adds a chunk of the series: numbers, or native histograms.
    package mutating func add(_ buffer: SampleBuffer) {
        guard buffer.histograms.isEmpty else {
            for (time, histogram) in zip(buffer.timesMilliseconds, buffer.histograms) {
                series.message(4) { RemoteReadHistogram.write(histogram, milliseconds: time, to: &$0) }
            }
            return
        }
        for (time, value) in zip(buffer.timesMilliseconds, buffer.values) {
            series.message(2) { sample in
                sample.double(1, value)
                sample.integer(2, UInt64(bitPattern: time))
            }
        }
    }

    /// Ends the series.
    package mutating func endSeries() {
        result.run(1, series.bytes.bytes)
        series = ProtobufEncoder()
    }

    /// Ends the result of a query; every query has one.
    package mutating func endResult() {
        response.run(1, result.bytes.bytes)
        result = ProtobufEncoder()
    }
}

/// Writes `prometheus.Histogram`; `RemoteWriteHistogram` reads it.
enum RemoteReadHistogram {
    static func write(_ histogram: NativeHistogram, milliseconds: Int64, to message: inout ProtobufEncoder) {
        let isInteger = histogram.isInteger && histogram.hasWholeCounts
        if isInteger {
            message.integer(1, UInt64(histogram.count))
        } else {
            message.double(2, histogram.count)
        }
        message.double(3, histogram.sum)
        message.signed(4, Int64(histogram.schema))
        message.double(5, histogram.zeroThreshold)
        if isInteger {
            message.integer(6, UInt64(histogram.zeroCount))
        } else {
            message.double(7, histogram.zeroCount)
        }
        side(histogram.negativeSpans, histogram.negativeCounts, isInteger: isInteger, from: 8, to: &message)
        side(histogram.positiveSpans, histogram.positiveCounts, isInteger: isInteger, from: 11, to: &message)
        message.integer(14, UInt64(histogram.counterResetHint.rawValue))
        message.integer(15, UInt64(bitPattern: milliseconds))
        if !histogram.customBounds.isEmpty { message.run(16, packed(histogram.customBounds)) }
    }

    /// Spans at the field `first`, deltas or counts at the next two.
    private static func side(
        _ spans: [NativeHistogram.Span], _ counts: [Double], isInteger: Bool, from first: UInt32,
        to message: inout ProtobufEncoder
    ) {
        for span in spans {
            message.message(first) { inner in
                inner.signed(1, Int64(span.offset))
                inner.integer(2, UInt64(span.length))
            }
        }
        if counts.isEmpty { return }
        guard isInteger else { return message.run(first + 2, packed(counts)) }
        var deltas = ByteWriter()
        var last: Int64 = 0
        for count in counts {
            deltas.putSigned(Int64(count) - last)
            last = Int64(count)
        }
        message.run(first + 1, deltas.bytes)
    }

    private static func packed(_ numbers: [Double]) -> [UInt8] {
        var writer = ByteWriter(capacity: numbers.count * 8)
        for number in numbers { writer.putDouble(number) }
        return writer.bytes
    }
}

extension NativeHistogram {
    /// Whether all counts are whole numbers that fit the integers of a histogram.
    var hasWholeCounts: Bool {
        let counts = [count, zeroCount] + positiveCounts + negativeCounts
        return counts.allSatisfy { $0 >= 0 && $0 < 0x1p62 && $0 == $0.rounded() }
    }
}
