internal import Disk
internal import Synchronization
internal import Telemetry

/// Rebuilds the head from the log, record by record, leaving out what is in blocks already.
struct HeadReplay {
    private let head: Head
    /// Through which place each group is in blocks.
    private let sealedThrough: [Labels: LogPosition]
    private let metadataMaximum: Int
    private var series: [UInt64: HeadSeries] = [:]
    private var groups: [UInt64: Labels] = [:]
    /// How many frames were lost in front of each sender's last record.
    private var lossesBefore: [DeliveryIdentity.Sender: UInt64] = [:]

    /// Frames that are gone, as their neighbours tell.
    private(set) var framesLost: UInt64 = 0
    /// Frames that hold but are no record of ours.
    private(set) var recordsUnreadable = 0
    /// Samples whose series was declared in a frame that is gone.
    private(set) var samplesWithoutSeries = 0
    /// Samples put into the head.
    private(set) var samplesApplied = 0

    /// Where in time the lost ones are.
    var gaps: LogGapFinder

    /// A replay into an empty head; samples up to `newest` are in blocks.
    init(into head: Head, sealedThrough: [Labels: LogPosition], metadataMaximum: Int, newest: Int64? = nil) {
        gaps = LogGapFinder(newest: newest)
        self.head = head
        self.sealedThrough = sealedThrough
        self.metadataMaximum = metadataMaximum
    }

    /// Takes in the next frame.
    mutating func read(_ frame: LogFrame) {
        framesLost += frame.lostBefore
        gaps.lost(frame.lostBefore)
        let unreadableBefore = recordsUnreadable
        defer { gaps.lost(UInt64(recordsUnreadable - unreadableBefore)) }
        do {
            switch HeadRecordKind(rawValue: frame.kind) {
            case .batch: try apply(try HeadRecordReader.batch(frame.payload), position: frame.position)
            case .marks:
                let marks = try HeadRecordReader.marks(frame.payload)
                for (sender, sequence) in marks { raise(sender, to: sequence) }
            case .metadata: head.learn(try HeadRecordReader.metadata(frame.payload), maximum: metadataMaximum)
            case nil: recordsUnreadable += 1
            }
        } catch {
            recordsUnreadable += 1
        }
        head.visible.withLock { $0 = max($0, frame.position) }
    }

    private mutating func apply(_ record: HeadRecord, position: LogPosition) throws(ByteError) {
        let times = record.groups.lazy.flatMap(\.times)
        if let first = times.min(), let last = times.max() { gaps.found(first: first, last: last) }
        var isWhole = true
        var writes: [GroupWrite] = []
        for group in record.groups {
            if let target = group.target { groups[group.id] = target }
            declareSeries(of: group)
            guard let target = groups[group.id] else {
                isWhole = false
                samplesWithoutSeries += group.bits.count + group.histograms.count
                continue
            }
            if let sealed = sealedThrough[target], position <= sealed { continue }
            isWhole = collect(group, into: &writes) && isWhole
        }
        head.learn(record.metadata, maximum: metadataMaximum)
        if let delivery = record.delivery, !admit(delivery, isWhole: isWhole) { return }
        samplesApplied += head.apply(writes, position: position).accepted
    }

    private mutating func declareSeries(of group: HeadRecord.Group) {
        guard let target = groups[group.id] else { return }
        for reference in group.series {
            guard let labels = reference.labels else { continue }
            series[reference.id] = head.index.withLock { index in
                index.find(.labels(labels)) ?? index.add(labels, target: target)
            }
        }
    }

    /// Turns a group's rows into writes for the groups their series are in now; false when a series is not known.
    private mutating func collect(_ group: HeadRecord.Group, into writes: inout [GroupWrite]) -> Bool {
        var builders: [UInt64: GroupWriteBuilder] = [:]
        var isWhole = true
        func builder(of one: HeadSeries) -> GroupWriteBuilder {
            GroupWriteBuilder(group: one.group, number: head.index.withLock { $0.takeBuilderNumber() })
        }
        for reference in group.series {
            guard let one = series[reference.id] else {
                isWhole = false
                samplesWithoutSeries += reference.cells.count
                continue
            }
            for cell in reference.cells {
                let time = group.times[Int(group.rows[cell])]
                let start = group.starts.isEmpty ? 0 : group.starts[cell]
                builders[one.group.id, default: builder(of: one)]
                    .add(one, milliseconds: time, bits: group.bits[cell], start: start)
            }
        }
        for cell in group.histograms {
            guard let one = series[group.series[cell.series].id] else {
                isWhole = false
                samplesWithoutSeries += 1
                continue
            }
            builders[one.group.id, default: builder(of: one)]
                .add(one, milliseconds: group.times[cell.row], start: cell.start, histogram: cell.histogram)
        }
        for builder in builders.values { writes.append(builder.build { _, _ in }) }
        return isWhole
    }

    /// Remembers a delivery; false when it was stored before. A gap in the sequence that a lost frame may explain does
    /// not raise the mark: the sender then repeats what it still has, and samples that are here already change nothing.
    private mutating func admit(_ delivery: DeliveryIdentity, isWhole: Bool) -> Bool {
        let sender = delivery.sender
        let last = head.synced(of: sender)
        if let last, delivery.sequence <= last { return false }
        let mayHaveLost = framesLost > lossesBefore[sender] ?? 0
        let isNext = delivery.sequence == (last ?? 0) + 1
        guard isWhole, isNext || !mayHaveLost else { return true }
        raise(sender, to: delivery.sequence)
        return true
    }

    private mutating func raise(_ sender: DeliveryIdentity.Sender, to sequence: UInt64) {
        lossesBefore[sender] = framesLost
        head.marks.withLock { $0[sender] = max($0[sender] ?? 0, sequence) }
    }
}
