internal import Synchronization
internal import Telemetry

/// The kinds of records in the metric database's log. docs/formats/metric-log.md has their layouts.
enum HeadRecordKind: UInt8 {
    /// One append: rows of groups, declarations of the series they need, metadata, the delivery it came by.
    case batch = 1
    /// The last sequence of every sender: begins each segment, so that older ones can be cut.
    case marks = 2
    /// What is known about metrics: begins each segment too.
    case metadata = 3
}

/// Writes the records of the log. Only the writer thread uses it, in the order of the log.
struct HeadRecordWriter {
    static let version: UInt8 = 1
    static let startsFlag: UInt8 = 0b1
    static let rowsFlag: UInt8 = 0b10
    static let histogramsFlag: UInt8 = 0b100
    static let targetFlag: UInt8 = 0b1000

    /// Series and groups declared in this epoch are not declared again; the epoch changes with every segment and after
    /// every append that failed.
    let epoch: UInt64
    private var writer = ByteWriter(capacity: 16 << 10)
    private var previousLabels: [UInt8] = []

    /// A writer for one record.
    init(epoch: UInt64) {
        self.epoch = epoch
    }

    /// The payload of one append.
    mutating func batch(_ writes: [GroupWrite], metadata: [MetricMetadata], delivery: DeliveryIdentity?) -> [UInt8] {
        writer.put(Self.version)
        writer.put(delivery == nil ? 0 : 1)
        if let delivery { Self.put(delivery.sender, sequence: delivery.sequence, into: &writer) }
        writer.putVarint(UInt64(writes.count))
        for write in writes { put(write) }
        Self.put(metadata, into: &writer)
        return writer.bytes
    }

    private mutating func put(_ write: GroupWrite) {
        let declares = write.group.declaredEpoch.exchange(epoch, ordering: .relaxed) != epoch
        let isOneRow = write.times.count == 1 && write.bits.count == write.series.count
        var flags: UInt8 = 0
        if declares { flags |= Self.targetFlag }
        if !write.starts.isEmpty { flags |= Self.startsFlag }
        if !isOneRow { flags |= Self.rowsFlag }
        if !write.histograms.isEmpty { flags |= Self.histogramsFlag }
        writer.putVarint(write.group.id)
        writer.put(flags)
        if declares { writer.putPrefixed(write.group.target.encoded) }
        writer.putVarint(UInt64(write.times.count))
        var previousTime: Int64 = 0
        for time in write.times {
            writer.putSigned(time &- previousTime)
            previousTime = time
        }
        writer.putVarint(UInt64(write.series.count))
        var nextID = write.group.id &+ 1
        for (index, series) in write.series.enumerated() {
            putReference(series, nextID: nextID)
            nextID = series.id &+ 1
            putCells(write.cellStarts[index]..<write.cellStarts[index + 1], of: write, listsRows: !isOneRow)
        }
        if !write.histograms.isEmpty { put(write.histograms) }
    }

    private mutating func putReference(_ series: HeadSeries, nextID: UInt64) {
        let declares = series.declaredEpoch.exchange(epoch, ordering: .relaxed) != epoch
        let step = Int64(bitPattern: series.id &- nextID)
        writer.putVarint(UInt64(bitPattern: ((step << 1) ^ (step >> 63))) << 1 | (declares ? 1 : 0))
        guard declares else { return }
        let labels = series.labels.encoded
        let limit = min(labels.count, previousLabels.count)
        let prefix = zip(labels, previousLabels).prefix { $0 == $1 }.count
        let suffix = zip(labels.reversed(), previousLabels.reversed()).prefix(limit - prefix).prefix { $0 == $1 }.count
        writer.putVarint(UInt64(prefix))
        writer.putVarint(UInt64(suffix))
        writer.putPrefixed(Array(labels[prefix..<labels.count - suffix]))
        previousLabels = labels
    }

    private mutating func putCells(_ cells: Range<Int>, of write: GroupWrite, listsRows: Bool) {
        if listsRows {
            writer.putVarint(UInt64(cells.count))
            var next: UInt32 = 0
            for cell in cells {
                writer.putVarint(UInt64(write.rows[cell] - next))
                next = write.rows[cell] + 1
            }
        }
        var previous: UInt64 = 0
        for cell in cells {
            HeadRecordWriter.put(write.bits[cell] ^ previous, into: &writer)
            previous = write.bits[cell]
            guard !write.starts.isEmpty else { continue }
            Self.put(start: write.starts[cell], time: write.times[Int(write.rows[cell])], into: &writer)
        }
    }

    private mutating func put(_ histograms: [GroupWrite.HistogramCell]) {
        writer.putVarint(UInt64(histograms.count))
        for cell in histograms {
            writer.putVarint(UInt64(cell.series))
            writer.putVarint(UInt64(cell.row))
            writer.put(1)
            writer.putSigned(cell.start)
            HistogramColumn.encode(cell.histogram, after: nil, into: &writer)
        }
    }

    /// How many zero bytes end the value, how many others there are, then those.
    private static func put(_ difference: UInt64, into writer: inout ByteWriter) {
        guard difference != 0 else { return writer.put(0) }
        let trailing = difference.trailingZeroBitCount / 8
        let count = 8 - trailing - difference.leadingZeroBitCount / 8
        let rest = difference >> UInt64(trailing * 8)
        // Head and up to seven bytes go in one piece.
        let word = (rest << 8 | UInt64(trailing << 4 | count)).littleEndian
        withUnsafeBytes(of: word) { writer.put(UnsafeRawBufferPointer(rebasing: $0[..<min(8, count + 1)])) }
        if count == 8 { writer.put(UInt8(truncatingIfNeeded: rest >> 56)) }
    }

    private static func put(start: Int64, time: Int64, into writer: inout ByteWriter) {
        guard start != 0 else { return writer.put(0) }
        writer.put(1)
        writer.putSigned(time &- start)
    }
}

extension HeadRecordWriter {
    /// The payload of a record of marks.
    static func marks(_ marks: [DeliveryIdentity.Sender: UInt64]) -> [UInt8] {
        var writer = ByteWriter()
        writer.put(version)
        writer.putVarint(UInt64(marks.count))
        let sorted = marks.sorted {
            ($0.key.agent, $0.key.epoch, $0.key.lane.rawValue) < ($1.key.agent, $1.key.epoch, $1.key.lane.rawValue)
        }
        for (sender, sequence) in sorted { put(sender, sequence: sequence, into: &writer) }
        return writer.bytes
    }

    /// The payload of a record of metadata.
    static func metadata(_ metadata: [MetricMetadata]) -> [UInt8] {
        var writer = ByteWriter()
        writer.put(version)
        put(metadata, into: &writer)
        return writer.bytes
    }

    private static func put(
        _ sender: DeliveryIdentity.Sender, sequence: UInt64, into writer: inout ByteWriter
    ) {
        writer.putString(sender.agent)
        writer.putVarint(sender.epoch)
        writer.put(sender.lane.rawValue)
        writer.putVarint(sequence)
    }

    private static func put(_ metadata: [MetricMetadata], into writer: inout ByteWriter) {
        writer.putVarint(UInt64(metadata.count))
        for one in metadata {
            writer.putString(one.metricName)
            writer.putString(one.kind.rawValue)
            writer.putString(one.unit)
            writer.putString(one.help)
        }
    }
}
