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
    /// Exemplars of series, see `ExemplarRecord`.
    case exemplars = 4
}

/// Writes the records of the log. Only the writer thread uses it, in the order of the log.
///
/// A row of a group is written as what differs from the values its series had in the log before. Every 64 rows, and
/// where a segment begins, stands a full row that builds on none.
struct HeadRecordWriter {
    static let version: UInt8 = 2
    static let startsFlag: UInt8 = 0b1
    static let rowsFlag: UInt8 = 0b10
    static let histogramsFlag: UInt8 = 0b100
    static let targetFlag: UInt8 = 0b1000
    static let sameSeriesFlag: UInt8 = 0b1_0000
    static let fullFlag: UInt8 = 0b10_0000
    /// So many records of a group build on one another; what a lost frame costs ends with them.
    static let rowsPerChain = 64

    /// Series and groups declared in this epoch are not declared again; the epoch changes with every segment and after
    /// every append that failed.
    let epoch: UInt32
    private var writer = ByteWriter(capacity: 4 << 10)
    private var previousLabels: [UInt8] = []

    /// A writer for one record.
    init(epoch: UInt32) {
        self.epoch = epoch
    }

    /// The payload of one append.
    mutating func batch(_ writes: [GroupWrite], metadata: [MetricMetadata], delivery: DeliveryIdentity?) -> [UInt8] {
        writer.put(Self.version)
        writer.put(delivery == nil ? 0 : 1)
        if let delivery { Self.put(delivery.sender, sequence: delivery.sequence, into: &writer) }
        writer.putVarint(UInt64(writes.count))
        for write in writes { write.group.state.withLock { put(write, &$0) } }
        Self.put(metadata, into: &writer)
        return writer.bytes
    }

    private mutating func put(_ write: GroupWrite, _ state: inout HeadGroup.State) {
        let declares = state.log.declaredEpoch != epoch
        let isFull = declares || state.log.rowsInChain >= Self.rowsPerChain
        if isFull {
            state.log.chain &+= 1
            (state.log.rowsInChain, state.log.lastTime) = (0, 0)
        }
        state.log.declaredEpoch = epoch
        state.log.rowsInChain += 1
        let isSame = !isFull && state.log.columns == write.columns
        var flags: UInt8 = 0
        if declares { flags |= Self.targetFlag }
        if !write.starts.isEmpty { flags |= Self.startsFlag }
        if !write.isOneRow { flags |= Self.rowsFlag }
        if !write.histograms.isEmpty { flags |= Self.histogramsFlag }
        if isSame { flags |= Self.sameSeriesFlag }
        if isFull { flags |= Self.fullFlag }
        writer.putVarint(write.group.id)
        writer.put(flags)
        if declares { writer.putPrefixed(write.group.target.encoded) }
        writer.putVarint(UInt64(write.times.count))
        for time in write.times {
            writer.putSigned(time &- state.log.lastTime)
            state.log.lastTime = time
        }
        writer.putVarint(UInt64(write.columns.count))
        if !isSame {
            putSeries(write, &state)
            state.log.columns = write.columns
        }
        if !write.isOneRow { putRows(write) }
        putValues(write, &state)
        if !write.starts.isEmpty { putStarts(write) }
        if !write.histograms.isEmpty { put(write.histograms) }
    }

    private mutating func putSeries(_ write: GroupWrite, _ state: inout HeadGroup.State) {
        var nextID = write.group.id &+ 1
        for column in write.columns {
            let column = Int(column)
            let id = state.columns[column].id
            let declares = state.columns[column].declaredEpoch != epoch
            let step = Int64(bitPattern: id &- nextID)
            nextID = id &+ 1
            writer.putVarint(UInt64(bitPattern: ((step << 1) ^ (step >> 63))) << 1 | (declares ? 1 : 0))
            guard declares else { continue }
            state.columns[column].declaredEpoch = epoch
            putDeclaration(state.labels[column])
        }
    }

    private mutating func putDeclaration(_ labels: Labels) {
        let labels = labels.encoded
        let limit = min(labels.count, previousLabels.count)
        let prefix = zip(labels, previousLabels).prefix { $0 == $1 }.count
        let suffix = zip(labels.reversed(), previousLabels.reversed()).prefix(limit - prefix).prefix { $0 == $1 }.count
        writer.putVarint(UInt64(prefix))
        writer.putVarint(UInt64(suffix))
        writer.putPrefixed(Array(labels[prefix..<labels.count - suffix]))
        previousLabels = labels
    }

    private mutating func putRows(_ write: GroupWrite) {
        for index in write.columns.indices {
            let cells = write.cells(of: index)
            writer.putVarint(UInt64(cells.count))
            var next: UInt32 = 0
            for cell in cells {
                writer.putVarint(UInt64(write.rows[cell] - next))
                next = write.rows[cell] + 1
            }
        }
    }

    /// What differs from the value before of the same series, or from 0 where its chain begins.
    private mutating func putValues(_ write: GroupWrite, _ state: inout HeadGroup.State) {
        let chain = state.log.chain
        withUnsafeTemporaryAllocation(
            byteCount: DifferenceWriter.bytesMaximum(count: write.bits.count), alignment: 8
        ) { space in
            var values = DifferenceWriter(space)
            state.columns.withUnsafeMutableBufferPointer { columns in
                for index in write.columns.indices {
                    let column = Int(write.columns[index])
                    let cells = write.cells(of: index)
                    guard !cells.isEmpty else { continue }
                    var previous = columns[column].loggedChain == chain ? columns[column].loggedBits : 0
                    for cell in cells {
                        values.put(write.bits[cell] ^ previous)
                        previous = write.bits[cell]
                    }
                    columns[column].loggedBits = previous
                    columns[column].loggedChain = chain
                }
            }
            writer.put(UnsafeRawBufferPointer(rebasing: space[..<values.count]))
        }
    }

    private mutating func putStarts(_ write: GroupWrite) {
        for cell in write.starts.indices {
            let start = write.starts[cell]
            writer.put(start == 0 ? 0 : 1)
            if start != 0 { writer.putSigned(write.times[write.row(of: cell)] &- start) }
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
