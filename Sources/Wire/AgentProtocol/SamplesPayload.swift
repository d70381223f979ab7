internal import Telemetry

/// The payload of a sample frame: groups in columns, then metadata (docs/formats/agent-protocol.md, "samples").
enum SamplesPayload {
    /// Which columns a group has.
    private struct Shape: OptionSet {
        let rawValue: UInt8
        /// Sample i belongs to series i, as in every single tick.
        static let oneEach = Shape(rawValue: 1)
        /// All samples have one time.
        static let oneTime = Shape(rawValue: 2)
        static let startTimes = Shape(rawValue: 4)
        static let histograms = Shape(rawValue: 8)
        static let exemplars = Shape(rawValue: 16)
    }

    static func write(
        _ batch: SampleBatch, isUrgent: Bool, ids: [(target: UInt64, series: [UInt64])], to writer: inout ByteWriter
    ) {
        writer.putFlag(isUrgent)
        writer.putVarint(UInt64(batch.groups.count))
        for (group, ids) in zip(batch.groups, ids) { write(group, ids, to: &writer) }
        writer.putVarint(UInt64(batch.metadata.count))
        for metadata in batch.metadata {
            writer.putText(metadata.metricName)
            writer.putString(metadata.kind.rawValue)
            writer.putText(metadata.unit)
            writer.putText(metadata.help)
        }
    }

    static func read(
        _ reader: inout ByteReader, _ resolver: SeriesDictionary.Resolver
    ) throws(ByteError) -> AgentBatch.Signal {
        let isUrgent = try reader.flag()
        var groups: [SampleGroup] = []
        for _ in 0..<(try reader.itemCount("groups")) { groups.append(try readGroup(&reader, resolver)) }
        var metadata: [MetricMetadata] = []
        for _ in 0..<(try reader.itemCount("metadata")) {
            let name = try reader.text()
            // A kind that only newer agents know is no reason to lose the batch.
            let kind = MetricKind(rawValue: try reader.text()) ?? .unknown
            metadata.append(
                MetricMetadata(metricName: name, kind: kind, unit: try reader.text(), help: try reader.text()))
        }
        return .samples(SampleBatch(groups: groups, metadata: metadata), isUrgent: isUrgent)
    }

    private static func write(
        _ group: SampleGroup, _ ids: (target: UInt64, series: [UInt64]), to writer: inout ByteWriter
    ) {
        writer.putVarint(ids.target)
        writer.putVarint(UInt64(max(0, group.intervalMilliseconds)))
        writer.putVarint(UInt64(ids.series.count))
        var previous: UInt64 = 0
        for next in ids.series {
            // Contiguous ids are a run of ones.
            writer.putSigned(Int64(bitPattern: next &- previous))
            previous = next
        }
        let shape = shape(of: group)
        writer.put(shape.rawValue)
        writer.putVarint(UInt64(group.values.count))
        if !shape.contains(.oneEach) {
            for index in group.seriesIndexes { writer.putVarint(UInt64(index)) }
        }
        if shape.contains(.oneTime) {
            writer.putSigned(group.timesMilliseconds.first ?? 0)
        } else {
            writeDifferences(group.timesMilliseconds, to: &writer)
        }
        if shape.contains(.startTimes) { writeDifferences(group.startTimesMilliseconds, to: &writer) }
        for value in group.values { NumberCode.write(value, to: &writer) }
        if shape.contains(.histograms) { HistogramPayload.write(group.histograms, to: &writer) }
        if shape.contains(.exemplars) { writeExemplars(group.exemplars, to: &writer) }
    }

    private static func shape(of group: SampleGroup) -> Shape {
        var shape: Shape = []
        let isOneEach =
            group.seriesIndexes.count == group.series.count
            && group.seriesIndexes.enumerated().allSatisfy { $0.offset == $0.element }
        if isOneEach { shape.insert(.oneEach) }
        let first = group.timesMilliseconds.first
        if group.timesMilliseconds.allSatisfy({ $0 == first }) { shape.insert(.oneTime) }
        if !group.startTimesMilliseconds.isEmpty { shape.insert(.startTimes) }
        if !group.histograms.isEmpty { shape.insert(.histograms) }
        if !group.exemplars.isEmpty { shape.insert(.exemplars) }
        return shape
    }

    private static func readGroup(
        _ reader: inout ByteReader, _ resolver: SeriesDictionary.Resolver
    ) throws(ByteError) -> SampleGroup {
        let targetID = try reader.varint()
        let target = resolver.labels(of: targetID)
        let interval = try reader.quantity("interval")
        var group = SampleGroup(target: target, intervalMilliseconds: Int64(interval))
        let seriesCount = try reader.itemCount("series")
        (group.series, group.keepsSeries) = try resolver.readSeries(
            seriesCount, target: targetID, interval: UInt64(interval), from: &reader)
        let shapeOffset = reader.offset
        let shape = Shape(rawValue: try reader.byte())
        guard shape.rawValue < 32 else { throw ByteError(offset: shapeOffset, reason: "unknown columns of a group") }
        let count = try reader.itemCount("samples")
        if shape.contains(.oneEach) {
            guard count == seriesCount else {
                throw ByteError(offset: shapeOffset, reason: "\(count) samples for \(seriesCount) series")
            }
            group.seriesIndexes = (0..<UInt32(count)).map { $0 }
        } else {
            for _ in 0..<count { group.seriesIndexes.append(try readIndex(&reader, below: seriesCount)) }
        }
        if shape.contains(.oneTime) {
            group.timesMilliseconds = Array(repeating: try reader.signed(), count: count)
        } else {
            group.timesMilliseconds = try readDifferences(&reader, count)
        }
        if shape.contains(.startTimes) { group.startTimesMilliseconds = try readDifferences(&reader, count) }
        group.values.reserveCapacity(count)
        for _ in 0..<count { group.values.append(try NumberCode.read(&reader)) }
        if shape.contains(.histograms) {
            group.histograms = try HistogramPayload.read(&reader, seriesCount: seriesCount)
        }
        if shape.contains(.exemplars) { group.exemplars = try readExemplars(&reader, seriesCount: seriesCount) }
        return group
    }

    /// An index into the series of a group.
    static func readIndex(_ reader: inout ByteReader, below count: Int) throws(ByteError) -> UInt32 {
        let start = reader.offset
        let index = try reader.varint()
        guard index < UInt64(count) else {
            throw ByteError(offset: start, reason: "series \(index) of a group of \(count)")
        }
        return UInt32(index)
    }

    private static func writeDifferences(_ times: [Int64], to writer: inout ByteWriter) {
        var previous: Int64 = 0
        for time in times {
            writer.putSigned(time &- previous)
            previous = time
        }
    }

    private static func readDifferences(_ reader: inout ByteReader, _ count: Int) throws(ByteError) -> [Int64] {
        var times: [Int64] = []
        times.reserveCapacity(count)
        var time: Int64 = 0
        for _ in 0..<count {
            time = time &+ (try reader.signed())
            times.append(time)
        }
        return times
    }

    private static func writeExemplars(_ exemplars: [ExemplarSample], to writer: inout ByteWriter) {
        writer.putVarint(UInt64(exemplars.count))
        for exemplar in exemplars {
            writer.putVarint(UInt64(exemplar.seriesIndex))
            writer.putSigned(exemplar.milliseconds)
            NumberCode.write(exemplar.value, to: &writer)
            writer.putPrefixed(exemplar.labels.encoded)
        }
    }

    private static func readExemplars(
        _ reader: inout ByteReader, seriesCount: Int
    ) throws(ByteError) -> [ExemplarSample] {
        var exemplars: [ExemplarSample] = []
        for _ in 0..<(try reader.itemCount("exemplars")) {
            let index = try readIndex(&reader, below: seriesCount)
            exemplars.append(
                ExemplarSample(
                    seriesIndex: index, milliseconds: try reader.signed(), value: try NumberCode.read(&reader),
                    labels: try reader.boundedLabels()))
        }
        return exemplars
    }
}
