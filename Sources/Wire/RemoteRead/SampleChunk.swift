package import Telemetry

/// A chunk of samples as Prometheus stores and streams it (docs/format/chunks.md there).
package struct SampleChunk: Sendable, Equatable {
    /// How the data is encoded; the raw value is `prometheus.Chunk.Encoding` (prompb/types.proto).
    package enum Encoding: UInt64, Sendable {
        case xor = 1
        case histogram = 2
        case floatHistogram = 3
    }

    package var encoding: Encoding
    package var startMilliseconds: Int64
    package var endMilliseconds: Int64
    package var data: [UInt8]

    /// Prometheus ends its chunks with so many samples.
    package static let samplesMaximum = 120

    /// The chunks of a buffer: samples of 120 each, and every native histogram one of its own, so that it keeps what is
    /// known of its counter.
    package static func chunks(of buffer: SampleBuffer) -> [SampleChunk] {
        let times = buffer.timesMilliseconds
        guard buffer.histograms.isEmpty else {
            return zip(times, buffer.histograms).map { SampleChunk($1, milliseconds: $0) }
        }
        return stride(from: 0, to: times.count, by: samplesMaximum).map { start in
            let range = start..<min(start + samplesMaximum, times.count)
            return SampleChunk(times[range], buffer.values[range])
        }
    }

    /// Numbers, 65,535 at most: differences of differences of times, and values XORed with the ones before (Pelkonen
    /// and others, "Gorilla", VLDB 2015).
    init(_ times: ArraySlice<Int64>, _ values: ArraySlice<Double>) {
        var writer = BitWriter([UInt8(truncatingIfNeeded: times.count >> 8), UInt8(truncatingIfNeeded: times.count)])
        var numbers = XORNumbers()
        var (last, delta) = (Int64(0), Int64(0))
        for (index, (time, value)) in zip(times, values).enumerated() {
            switch index {
            case 0: writer.putSigned(time)
            case 1:
                delta = time &- last
                writer.putVarint(UInt64(bitPattern: delta))
            default:
                SampleChunk.put((time &- last) &- delta, to: &writer)
                delta = time &- last
            }
            numbers.put(value, to: &writer)
            last = time
        }
        encoding = .xor
        (startMilliseconds, endMilliseconds) = (times.first ?? 0, times.last ?? 0)
        data = writer.finished
    }

    /// A difference of differences of times.
    private static func put(_ value: Int64, to writer: inout BitWriter) {
        if value == 0 { return writer.put(0, count: 1) }
        for (size, prefix, length) in [(14, UInt64(0b10), 2), (17, UInt64(0b110), 3), (20, UInt64(0b1110), 4)]
        where BitWriter.fits(value, in: size) {
            writer.put(prefix, count: length)
            return writer.put(UInt64(bitPattern: value), count: size)
        }
        writer.put(0b1111, count: 4)
        writer.put(UInt64(bitPattern: value), count: 64)
    }
}

/// Values of one column, each XORed with the one before.
private struct XORNumbers {
    private var last: UInt64?
    private var leading: Int?
    private var trailing = 0

    mutating func put(_ value: Double, to writer: inout BitWriter) {
        guard let last else {
            last = value.bitPattern
            return writer.put(value.bitPattern, count: 64)
        }
        self.last = value.bitPattern
        let difference = value.bitPattern ^ last
        if difference == 0 { return writer.put(0, count: 1) }
        writer.put(1, count: 1)
        // Five bits are what the format has for them.
        let (zeros, ends) = (min(difference.leadingZeroBitCount, 31), difference.trailingZeroBitCount)
        if let leading, zeros >= leading, ends >= trailing {
            writer.put(0, count: 1)
            return writer.put(difference >> UInt64(trailing), count: 64 - leading - trailing)
        }
        (leading, trailing) = (zeros, ends)
        let significant = 64 - zeros - ends
        writer.put(1, count: 1)
        writer.put(UInt64(zeros), count: 5)
        // 64 does not fit into six bits, and none is never written: 0 stands for it.
        writer.put(UInt64(significant), count: 6)
        writer.put(difference >> UInt64(ends), count: significant)
    }
}

extension SampleChunk {
    /// The only value of a native histogram's chunk.
    init(_ histogram: NativeHistogram, milliseconds: Int64) {
        let isInteger = histogram.isInteger && histogram.hasWholeCounts
        let hint: UInt8 =
            switch histogram.counterResetHint {
            case .unknown: 0
            case .notReset: 0b0100_0000
            case .reset: 0b1000_0000
            case .gauge: 0b1100_0000
            }
        var writer = BitWriter([0, 1, hint])
        SampleChunk.putLayout(of: histogram, to: &writer)
        writer.putVariable(milliseconds)
        if isInteger {
            writer.putVariable(unsigned: UInt64(histogram.count))
            writer.putVariable(unsigned: UInt64(histogram.zeroCount))
            writer.put(histogram.sum.bitPattern, count: 64)
            for counts in [histogram.positiveCounts, histogram.negativeCounts] {
                var last: Int64 = 0
                for count in counts {
                    writer.putVariable(Int64(count) - last)
                    last = Int64(count)
                }
            }
        } else {
            let head = [histogram.count, histogram.zeroCount, histogram.sum]
            for value in head + histogram.positiveCounts + histogram.negativeCounts {
                writer.put(value.bitPattern, count: 64)
            }
        }
        encoding = isInteger ? .histogram : .floatHistogram
        (startMilliseconds, endMilliseconds) = (milliseconds, milliseconds)
        data = writer.finished
    }

    /// Which buckets there are.
    private static func putLayout(of histogram: NativeHistogram, to writer: inout BitWriter) {
        let threshold = histogram.zeroThreshold
        let power = threshold.isNormal && threshold > 0 ? Int(threshold.exponent) : Int.max
        if threshold == 0 {
            writer.put(0, count: 8)
        } else if threshold.isNormal, threshold.significandBitPattern == 0, (-243...10).contains(power) {
            // A power of two, counted as Go's Frexp does: from one half on.
            writer.put(UInt64(power + 1 + 243), count: 8)
        } else {
            writer.put(255, count: 8)
            writer.put(threshold.bitPattern, count: 64)
        }
        writer.putVariable(Int64(histogram.schema))
        for spans in [histogram.positiveSpans, histogram.negativeSpans] {
            writer.putVariable(unsigned: UInt64(spans.count))
            for span in spans {
                writer.putVariable(unsigned: UInt64(span.length))
                writer.putVariable(Int64(span.offset))
            }
        }
        guard histogram.schema == NativeHistogram.customBucketsSchema else { return }
        writer.putVariable(unsigned: UInt64(histogram.customBounds.count))
        for bound in histogram.customBounds {
            // A zero says that the bound stands there as it is.
            writer.put(0, count: 1)
            writer.put(bound.bitPattern, count: 64)
        }
    }
}
