internal import Telemetry

/// Reads `prometheus.Histogram` (prompb/types.proto): integer histograms come with deltas of their counts, float ones
/// with the counts.
enum RemoteWriteHistogram {
    /// The most buckets of one histogram, as in the agent protocol.
    private static let bucketsMaximum = HistogramPayload.bucketsMaximum

    private struct Side {
        var spans: [NativeHistogram.Span] = []
        var deltas: [Int64] = []
        var counts: [Double] = []
    }

    static func read(
        _ bytes: UnsafeRawBufferPointer
    ) throws(ByteError) -> (histogram: NativeHistogram, milliseconds: Int64) {
        var histogram = NativeHistogram()
        var time: Int64 = 0
        var negative = Side()
        var positive = Side()
        var message = ProtobufReader(bytes)
        while let (number, type) = try message.next() {
            switch number {
            case 1:
                histogram.count = Double(try message.integer(type))
                histogram.isInteger = true
            case 2: histogram.count = try message.double(type)
            case 3: histogram.sum = try message.double(type)
            case 4: histogram.schema = Int32(truncatingIfNeeded: try message.signed(type))
            case 5: histogram.zeroThreshold = try message.double(type)
            case 6: histogram.zeroCount = Double(try message.integer(type))
            case 7: histogram.zeroCount = try message.double(type)
            case 8: negative.spans.append(try span(try message.bytes(type)))
            case 9: try deltas(&message, type, into: &negative.deltas)
            case 10: try doubles(&message, type, into: &negative.counts)
            case 11: positive.spans.append(try span(try message.bytes(type)))
            case 12: try deltas(&message, type, into: &positive.deltas)
            case 13: try doubles(&message, type, into: &positive.counts)
            case 14:
                let hint = UInt8(truncatingIfNeeded: try message.integer(type))
                histogram.counterResetHint = NativeHistogram.CounterResetHint(rawValue: hint) ?? .unknown
            case 15: time = Int64(bitPattern: try message.integer(type))
            case 16: try doubles(&message, type, into: &histogram.customBounds)
            default: try message.skip(type)
            }
        }
        histogram.negativeSpans = negative.spans
        histogram.negativeCounts = try counts(of: negative)
        histogram.positiveSpans = positive.spans
        histogram.positiveCounts = try counts(of: positive)
        return (histogram, time)
    }

    private static func counts(of side: Side) throws(ByteError) -> [Double] {
        var counts = side.counts
        var total: Int64 = 0
        for delta in side.deltas {
            total &+= delta
            counts.append(Double(total))
        }
        let buckets = side.spans.reduce(0) { $0 + UInt64($1.length) }
        guard buckets == UInt64(counts.count), counts.count <= bucketsMaximum else {
            throw ByteError(offset: 0, reason: "a histogram with \(buckets) buckets and \(counts.count) counts")
        }
        return counts
    }

    private static func span(_ bytes: UnsafeRawBufferPointer) throws(ByteError) -> NativeHistogram.Span {
        var span = NativeHistogram.Span(offset: 0, length: 0)
        var message = ProtobufReader(bytes)
        while let (number, type) = try message.next() {
            switch number {
            case 1: span.offset = Int32(truncatingIfNeeded: try message.signed(type))
            case 2: span.length = UInt32(truncatingIfNeeded: try message.integer(type))
            default: try message.skip(type)
            }
        }
        return span
    }

    /// Packed numbers, or a single one as older encoders write it.
    private static func deltas(
        _ message: inout ProtobufReader, _ type: ProtobufReader.WireType, into values: inout [Int64]
    ) throws(ByteError) {
        guard type == .bytes else {
            values.append(try message.signed(type))
            return
        }
        var packed = ByteReader(try message.bytes(type))
        while !packed.isAtEnd { values.append(try packed.signed()) }
    }

    private static func doubles(
        _ message: inout ProtobufReader, _ type: ProtobufReader.WireType, into values: inout [Double]
    ) throws(ByteError) {
        guard type == .bytes else {
            values.append(try message.double(type))
            return
        }
        var packed = ByteReader(try message.bytes(type))
        while !packed.isAtEnd { values.append(try packed.double()) }
    }
}
