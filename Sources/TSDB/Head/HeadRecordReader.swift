internal import Telemetry

/// A record of the log as it was read, still in the ids of the process that wrote it, its values still differences.
struct HeadRecord: Equatable {
    /// A series of a group's rows.
    struct Reference: Equatable {
        var id: UInt64
        /// Set where the record declares it.
        var labels: Labels?
    }

    /// A histogram of a series in a row.
    struct Histogram: Equatable {
        var series: Int
        var row: Int
        var start: Int64
        var histogram: NativeHistogram
    }

    /// The rows of one group.
    struct Group: Equatable {
        var id: UInt64
        /// Set where the record declares it.
        var target: Labels?
        /// Whether it builds on nothing before it; else times and values do.
        var isFull = true
        /// Whether values are XORed with those before them, as from version 2 on.
        var isChained = true
        /// From the last time of the group's rows before, or from 0.
        var times: [Int64] = []
        /// How many series have samples.
        var seriesCount = 0
        /// They; nil for those of the group's rows before.
        var series: [Reference]?
        /// Where the cells of each series begin, and the end of the last; empty for one row in which each has one.
        var cellStarts: [Int] = []
        /// The row of each cell; empty for one row.
        var rows: [UInt32] = []
        var values: [UInt64] = []
        /// How far each start time lies before its sample, nil where not known; or empty.
        var startDistances: [Int64?] = []
        var histograms: [Histogram] = []

        /// The number of samples.
        var sampleCount: Int { values.count + histograms.count }
    }

    var delivery: DeliveryIdentity?
    var groups: [Group] = []
    var metadata: [MetricMetadata] = []
}

/// Reads the payloads that `HeadRecordWriter` made, this version's and the one before. Everything is bounded: the bytes
/// come from a disk.
struct HeadRecordReader {
    /// More values than the longest record of this program holds: runs make it easy to claim many.
    private static let valuesMaximum = 1 << 21

    var reader: ByteReader
    private let version: UInt8
    private var valuesLeft = HeadRecordReader.valuesMaximum
    private var previousLabels: [UInt8] = []

    private init(_ payload: UnsafeRawBufferPointer) throws(ByteError) {
        reader = ByteReader(payload)
        version = try reader.byte()
        guard version == HeadRecordWriter.version || version == 1 else {
            throw ByteError(offset: 0, reason: "record of version \(version), this program reads 1 and 2")
        }
    }

    /// The append in a payload of kind `batch`.
    static func batch(_ payload: UnsafeRawBufferPointer) throws(ByteError) -> HeadRecord {
        var parser = try HeadRecordReader(payload)
        var record = HeadRecord()
        if try parser.reader.byte() == 1 {
            let (sender, sequence) = try parser.sender()
            record.delivery = DeliveryIdentity(sender: sender, sequence: sequence)
        }
        for _ in 0..<(try parser.reader.count(upTo: parser.reader.remaining, "groups")) {
            record.groups.append(parser.version == 1 ? try parser.groupOfVersion1() : try parser.group())
        }
        record.metadata = try parser.metadata()
        try parser.finish()
        return record
    }

    /// The marks in a payload of kind `marks`.
    static func marks(_ payload: UnsafeRawBufferPointer) throws(ByteError) -> [DeliveryIdentity.Sender: UInt64] {
        var parser = try HeadRecordReader(payload)
        var marks: [DeliveryIdentity.Sender: UInt64] = [:]
        for _ in 0..<(try parser.reader.count(upTo: parser.reader.remaining, "senders")) {
            let (sender, sequence) = try parser.sender()
            marks[sender] = sequence
        }
        try parser.finish()
        return marks
    }

    /// The metadata in a payload of kind `metadata`.
    static func metadata(_ payload: UnsafeRawBufferPointer) throws(ByteError) -> [MetricMetadata] {
        var parser = try HeadRecordReader(payload)
        let metadata = try parser.metadata()
        try parser.finish()
        return metadata
    }

    private func finish() throws(ByteError) {
        guard reader.isAtEnd else { throw ByteError(offset: reader.offset, reason: "bytes behind the record") }
    }

    private mutating func sender() throws(ByteError) -> (DeliveryIdentity.Sender, UInt64) {
        let agent = try reader.string()
        let epoch = try reader.varint()
        guard let lane = DeliveryIdentity.Lane(rawValue: try reader.byte()) else {
            throw ByteError(offset: reader.offset - 1, reason: "delivery lane is not known")
        }
        return (DeliveryIdentity.Sender(agent: agent, epoch: epoch, lane: lane), try reader.varint())
    }

    private mutating func metadata() throws(ByteError) -> [MetricMetadata] {
        var all: [MetricMetadata] = []
        for _ in 0..<(try reader.count(upTo: reader.remaining, "metadata")) {
            let name = try reader.string()
            let kind = MetricKind(rawValue: try reader.string()) ?? .unknown
            let unit = try reader.string()
            all.append(MetricMetadata(metricName: name, kind: kind, unit: unit, help: try reader.string()))
        }
        return all
    }

    private mutating func group() throws(ByteError) -> HeadRecord.Group {
        var group = HeadRecord.Group(id: try reader.varint())
        let flags = try reader.byte()
        group.isFull = flags & HeadRecordWriter.fullFlag != 0
        if flags & HeadRecordWriter.targetFlag != 0 { group.target = try reader.labels() }
        group.times = try times()
        let isSame = flags & HeadRecordWriter.sameSeriesFlag != 0
        // Each takes at least a byte here, or was listed before.
        group.seriesCount = try reader.count(upTo: isSame ? valuesLeft : reader.remaining, "series")
        guard !(isSame && group.isFull) else {
            throw ByteError(offset: reader.offset, reason: "a full row without its series")
        }
        if !isSame { group.series = try references(group.seriesCount, of: group.id) }
        if flags & HeadRecordWriter.rowsFlag != 0 {
            try rows(in: &group)
        } else if group.times.count != 1, group.seriesCount > 0 {
            throw ByteError(offset: reader.offset, reason: "\(group.times.count) rows and no list of them")
        }
        try values(in: &group)
        if flags & HeadRecordWriter.startsFlag != 0 {
            for _ in group.values { group.startDistances.append(try reader.byte() == 0 ? nil : try reader.signed()) }
        }
        if flags & HeadRecordWriter.histogramsFlag != 0 { try histograms(in: &group) }
        return group
    }

    mutating func times() throws(ByteError) -> [Int64] {
        var times: [Int64] = []
        var time: Int64 = 0
        for _ in 0..<(try reader.count(upTo: reader.remaining, "rows")) {
            time = time &+ (try reader.signed())
            if let last = times.last, last >= time {
                throw ByteError(offset: reader.offset, reason: "times of rows do not rise")
            }
            times.append(time)
        }
        return times
    }

    private mutating func references(_ count: Int, of group: UInt64) throws(ByteError) -> [HeadRecord.Reference] {
        var references: [HeadRecord.Reference] = []
        references.reserveCapacity(count)
        var nextID = group &+ 1
        for _ in 0..<count {
            let reference = try reference(nextID: nextID)
            nextID = reference.id &+ 1
            references.append(reference)
        }
        return references
    }

    mutating func reference(nextID: UInt64) throws(ByteError) -> HeadRecord.Reference {
        let head = try reader.varint()
        let zigzag = head >> 1
        let step = Int64(bitPattern: zigzag >> 1) ^ -Int64(bitPattern: zigzag & 1)
        let labels = head & 1 != 0 ? try declaration() : nil
        return HeadRecord.Reference(id: nextID &+ UInt64(bitPattern: step), labels: labels)
    }

    private mutating func rows(in group: inout HeadRecord.Group) throws(ByteError) {
        group.cellStarts = [0]
        for _ in 0..<group.seriesCount {
            try rowsOfSeries(in: &group)
            group.cellStarts.append(group.rows.count)
        }
    }

    mutating func rowsOfSeries(in group: inout HeadRecord.Group) throws(ByteError) {
        var next = 0
        for _ in 0..<(try reader.count(upTo: group.times.count, "cells")) {
            next += try reader.count(upTo: group.times.count, "row")
            guard next < group.times.count else {
                throw ByteError(offset: reader.offset, reason: "row \(next) is over the last, \(group.times.count - 1)")
            }
            group.rows.append(UInt32(next))
            next += 1
        }
    }

    private mutating func values(in group: inout HeadRecord.Group) throws(ByteError) {
        let count = group.cellStarts.isEmpty ? group.seriesCount : group.rows.count
        let place = reader.offset
        guard count <= valuesLeft else { throw ByteError(offset: place, reason: "\(count) values are too many") }
        valuesLeft -= count
        let rest = UnsafeRawBufferPointer(rebasing: reader.bytes[place...])
        var differences = DifferenceReader(rest)
        var isWhole = false
        group.values = [UInt64](unsafeUninitializedCapacity: count) { values, initialized in
            values.initialize(repeating: 0)
            isWhole = differences.read(into: UnsafeMutableBufferPointer(rebasing: values[..<count]))
            initialized = count
        }
        guard isWhole, !differences.endsWithinRun else {
            throw ByteError(offset: place, reason: "values of \(count) cells are not whole")
        }
        reader = ByteReader(reader.bytes, at: place + differences.place)
    }

    private mutating func declaration() throws(ByteError) -> Labels {
        let place = reader.offset
        let prefix = try reader.count(upTo: previousLabels.count, "shared prefix")
        let suffix = try reader.count(upTo: previousLabels.count - prefix, "shared suffix")
        let middle = try reader.prefixed()
        let shared = previousLabels
        let count = prefix + middle.count + suffix
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { bytes, initialized in
            _ = bytes[..<prefix].update(fromContentsOf: shared[..<prefix])
            _ = bytes[prefix..<prefix + middle.count].update(fromContentsOf: middle)
            _ = bytes[(prefix + middle.count)..<count].update(fromContentsOf: shared[(shared.count - suffix)...])
            initialized = count
        }
        guard let labels = Labels(validating: bytes) else {
            throw ByteError(offset: place, reason: "declared labels are not canonical")
        }
        previousLabels = bytes
        return labels
    }

    mutating func histograms(in group: inout HeadRecord.Group) throws(ByteError) {
        let count = try reader.count(upTo: reader.remaining, "histograms")
        guard count == 0 || (group.seriesCount > 0 && !group.times.isEmpty) else {
            throw ByteError(offset: reader.offset, reason: "histograms without series or rows")
        }
        for _ in 0..<count {
            let series = try reader.count(upTo: group.seriesCount - 1, "series of a histogram")
            let row = try reader.count(upTo: group.times.count - 1, "row of a histogram")
            guard try reader.byte() == 1 else {
                throw ByteError(offset: reader.offset, reason: "histogram cell of an unknown kind")
            }
            let start = try reader.signed()
            let histogram = try HistogramColumn.decode(after: nil, from: &reader)
            group.histograms.append(
                HeadRecord.Histogram(series: series, row: row, start: start, histogram: histogram))
        }
    }
}
