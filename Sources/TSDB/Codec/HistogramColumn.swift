internal import Telemetry

/// Encodes native histograms one behind the other; the layout (schema, spans, bounds) is written only where it changes.
enum HistogramColumn {
    /// The most buckets or spans one histogram may have, so that a damaged length cannot ask for much memory.
    static let bucketsMaximum = 1 << 16
    private static let integerFlag: UInt8 = 0b100
    private static let sameLayoutFlag: UInt8 = 0b1000

    /// Appends the histograms; the caller keeps their count.
    static func encode(_ histograms: ArraySlice<NativeHistogram>) -> [UInt8] {
        var writer = ByteWriter()
        var previous: NativeHistogram?
        for histogram in histograms {
            encode(histogram, after: previous, into: &writer)
            previous = histogram
        }
        return writer.bytes
    }

    /// Reads `count` histograms from all of `bytes`.
    static func decode(count: Int, from bytes: UnsafeRawBufferPointer) throws(ByteError) -> [NativeHistogram] {
        var reader = ByteReader(bytes)
        var histograms: [NativeHistogram] = []
        histograms.reserveCapacity(min(count, bytes.count))
        for _ in 0..<count { histograms.append(try decode(after: histograms.last, from: &reader)) }
        guard reader.isAtEnd else {
            throw ByteError(offset: reader.offset, reason: "\(reader.remaining) bytes behind the last histogram")
        }
        return histograms
    }

    /// Appends one histogram, as a difference of layout to `previous`.
    static func encode(
        _ histogram: NativeHistogram, after previous: NativeHistogram?, into writer: inout ByteWriter
    ) {
        let isSame = previous.map { hasSameLayout($0, histogram) } ?? false
        var head = histogram.counterResetHint.rawValue
        if histogram.isInteger { head |= integerFlag }
        if isSame { head |= sameLayoutFlag }
        writer.put(head)
        if !isSame {
            writer.putSigned(Int64(histogram.schema))
            writer.putDouble(histogram.zeroThreshold)
            put(spans: histogram.positiveSpans, into: &writer)
            put(spans: histogram.negativeSpans, into: &writer)
            writer.putVarint(UInt64(histogram.customBounds.count))
            for bound in histogram.customBounds { writer.putDouble(bound) }
        }
        put(counts: [histogram.zeroCount, histogram.count], into: &writer)
        writer.putDouble(histogram.sum)
        put(counts: histogram.positiveCounts, into: &writer)
        put(counts: histogram.negativeCounts, into: &writer)
    }

    /// Reads one histogram that was written after `previous`.
    static func decode(
        after previous: NativeHistogram?, from reader: inout ByteReader
    ) throws(ByteError) -> NativeHistogram {
        let start = reader.offset
        let head = try reader.byte()
        guard head & 0xf0 == 0, let hint = NativeHistogram.CounterResetHint(rawValue: head & 0b11) else {
            throw ByteError(offset: start, reason: "histogram of an unknown kind \(head)")
        }
        var histogram: NativeHistogram
        if head & sameLayoutFlag != 0 {
            guard let previous else { throw ByteError(offset: start, reason: "first histogram has no layout") }
            histogram = previous
        } else {
            histogram = NativeHistogram()
            let schema = try reader.signed()
            guard let narrow = Int32(exactly: schema) else {
                throw ByteError(offset: start, reason: "histogram schema \(schema) is out of range")
            }
            histogram.schema = narrow
            histogram.zeroThreshold = try reader.double()
            histogram.positiveSpans = try spans(from: &reader)
            histogram.negativeSpans = try spans(from: &reader)
            for _ in 0..<(try reader.count(upTo: min(bucketsMaximum, reader.remaining), "custom bounds")) {
                histogram.customBounds.append(try reader.double())
            }
        }
        histogram.counterResetHint = hint
        histogram.isInteger = head & integerFlag != 0
        let totals = try counts(from: &reader)
        guard totals.count == 2 else { throw ByteError(offset: start, reason: "histogram without its two totals") }
        (histogram.zeroCount, histogram.count) = (totals[0], totals[1])
        histogram.sum = try reader.double()
        histogram.positiveCounts = try counts(from: &reader)
        histogram.negativeCounts = try counts(from: &reader)
        return histogram
    }

    private static func hasSameLayout(_ left: NativeHistogram, _ right: NativeHistogram) -> Bool {
        left.schema == right.schema && left.zeroThreshold.bitPattern == right.zeroThreshold.bitPattern
            && left.positiveSpans == right.positiveSpans && left.negativeSpans == right.negativeSpans
            && left.customBounds.map(\.bitPattern) == right.customBounds.map(\.bitPattern)
    }

    private static func put(spans: [NativeHistogram.Span], into writer: inout ByteWriter) {
        writer.putVarint(UInt64(spans.count))
        for span in spans {
            writer.putSigned(Int64(span.offset))
            writer.putVarint(UInt64(span.length))
        }
    }

    private static func spans(from reader: inout ByteReader) throws(ByteError) -> [NativeHistogram.Span] {
        var spans: [NativeHistogram.Span] = []
        for _ in 0..<(try reader.count(upTo: min(bucketsMaximum, reader.remaining), "spans")) {
            let offset = try reader.signed()
            let length = try reader.varint()
            guard let offset = Int32(exactly: offset), let length = UInt32(exactly: length) else {
                throw ByteError(offset: reader.offset, reason: "span is out of range")
            }
            spans.append(NativeHistogram.Span(offset: offset, length: length))
        }
        return spans
    }

    /// Counts are integers nearly always: a leading 1 says so, and each is the difference to the one before.
    private static func put(counts: [Double], into writer: inout ByteWriter) {
        writer.putVarint(UInt64(counts.count))
        let integers = counts.map { ColumnScaling.integer.integer($0.bitPattern) }
        guard !integers.contains(nil) else {
            writer.put(0)
            for count in counts { writer.putDouble(count) }
            return
        }
        writer.put(1)
        var previous: Int64 = 0
        for case let integer? in integers {
            writer.putSigned(integer &- previous)
            previous = integer
        }
    }

    private static func counts(from reader: inout ByteReader) throws(ByteError) -> [Double] {
        let count = try reader.count(upTo: min(bucketsMaximum, reader.remaining), "buckets")
        var counts: [Double] = []
        counts.reserveCapacity(count)
        guard try reader.byte() == 1 else {
            for _ in 0..<count { counts.append(try reader.double()) }
            return counts
        }
        var previous: Int64 = 0
        for _ in 0..<count {
            previous = previous &+ (try reader.signed())
            counts.append(Double(previous))
        }
        return counts
    }
}
