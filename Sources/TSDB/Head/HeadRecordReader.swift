internal import Telemetry

/// A record of the log as it was read, still in the ids of the process that wrote it.
struct HeadRecord: Equatable {
    /// A series that occurs in a group's rows.
    struct Reference: Equatable {
        var id: UInt64
        /// Set where the record declares it.
        var labels: Labels?
        /// Its cells among the group's.
        var cells: Range<Int>
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
        var times: [Int64] = []
        var series: [Reference] = []
        var rows: [UInt32] = []
        var bits: [UInt64] = []
        var starts: [Int64] = []
        var histograms: [Histogram] = []
    }

    var delivery: DeliveryIdentity?
    var groups: [Group] = []
    var metadata: [MetricMetadata] = []
}

/// Reads the payloads that `HeadRecordWriter` made. Everything is bounded: the bytes come from a disk.
struct HeadRecordReader {
    private var reader: ByteReader
    private var previousLabels: [UInt8] = []

    private init(_ payload: UnsafeRawBufferPointer) throws(ByteError) {
        reader = ByteReader(payload)
        let version = try reader.byte()
        guard version == HeadRecordWriter.version else {
            throw ByteError(offset: 0, reason: "record of version \(version), this program reads 1")
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
            record.groups.append(try parser.group())
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
        if flags & HeadRecordWriter.targetFlag != 0 { group.target = try reader.labels() }
        var time: Int64 = 0
        for _ in 0..<(try reader.count(upTo: reader.remaining, "rows")) {
            time = time &+ (try reader.signed())
            if let last = group.times.last, last >= time {
                throw ByteError(offset: reader.offset, reason: "times of rows do not rise")
            }
            group.times.append(time)
        }
        var nextID = group.id &+ 1
        for _ in 0..<(try reader.count(upTo: reader.remaining, "series")) {
            let reference = try series(nextID: nextID, flags: flags, in: &group)
            nextID = reference.id &+ 1
            group.series.append(reference)
        }
        if flags & HeadRecordWriter.histogramsFlag != 0 { try histograms(in: &group) }
        return group
    }

    private mutating func series(
        nextID: UInt64, flags: UInt8, in group: inout HeadRecord.Group
    ) throws(ByteError) -> HeadRecord.Reference {
        let head = try reader.varint()
        let zigzag = head >> 1
        let step = Int64(bitPattern: zigzag >> 1) ^ -Int64(bitPattern: zigzag & 1)
        var reference = HeadRecord.Reference(id: nextID &+ UInt64(bitPattern: step), labels: nil, cells: 0..<0)
        if head & 1 != 0 { reference.labels = try declaration() }
        let first = group.rows.count
        if flags & HeadRecordWriter.rowsFlag != 0 {
            var next = 0
            for _ in 0..<(try reader.count(upTo: group.times.count, "cells")) {
                next += try reader.count(upTo: group.times.count, "row")
                try checkRow(next, in: group)
                group.rows.append(UInt32(next))
                next += 1
            }
        } else {
            try checkRow(0, in: group)
            group.rows.append(0)
        }
        reference.cells = first..<group.rows.count
        var previous: UInt64 = 0
        for cell in reference.cells {
            previous ^= try difference()
            group.bits.append(previous)
            guard flags & HeadRecordWriter.startsFlag != 0 else { continue }
            group.starts.append(try start(of: group.times[Int(group.rows[cell])]))
        }
        return reference
    }

    private func checkRow(_ row: Int, in group: HeadRecord.Group) throws(ByteError) {
        guard row < group.times.count else {
            throw ByteError(offset: reader.offset, reason: "row \(row) is over the last, \(group.times.count - 1)")
        }
    }

    private mutating func declaration() throws(ByteError) -> Labels {
        let place = reader.offset
        let prefix = try reader.count(upTo: previousLabels.count, "shared prefix")
        let suffix = try reader.count(upTo: previousLabels.count - prefix, "shared suffix")
        let middle = try reader.prefixed()
        let bytes = Array(previousLabels.prefix(prefix)) + Array(middle) + Array(previousLabels.suffix(suffix))
        guard let labels = Labels(validating: bytes) else {
            throw ByteError(offset: place, reason: "declared labels are not canonical")
        }
        previousLabels = bytes
        return labels
    }

    private mutating func difference() throws(ByteError) -> UInt64 {
        let head = Int(try reader.byte())
        let (trailing, count) = (head >> 4, head & 0xf)
        guard trailing + count <= 8 else {
            throw ByteError(offset: reader.offset - 1, reason: "value of \(trailing)+\(count) bytes")
        }
        var value: UInt64 = 0
        for index in 0..<count { value |= UInt64(try reader.byte()) << UInt64((trailing + index) * 8) }
        return value
    }

    private mutating func start(of time: Int64) throws(ByteError) -> Int64 {
        try reader.byte() == 0 ? 0 : time &- (try reader.signed())
    }

    private mutating func histograms(in group: inout HeadRecord.Group) throws(ByteError) {
        let count = try reader.count(upTo: reader.remaining, "histograms")
        guard count == 0 || (!group.series.isEmpty && !group.times.isEmpty) else {
            throw ByteError(offset: reader.offset, reason: "histograms without series or rows")
        }
        for _ in 0..<count {
            let series = try reader.count(upTo: group.series.count - 1, "series of a histogram")
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
