internal import Disk
internal import Synchronization
internal import Telemetry

/// Rebuilds the head from the log, record by record, leaving out what is in blocks already.
struct HeadReplay {
    /// A series as the log names it: where it is now, and what the log said last of it.
    private struct LoggedSeries {
        var group: HeadGroup
        var column: Int
        var bits: UInt64 = 0
        var chain: UInt64 = 0
    }

    /// A group as the log names it.
    private struct LoggedGroup {
        var target: Labels
        /// Of its rows, among those of all groups.
        var chain: UInt64 = 0
        /// How much was lost when its chain began: what was lost since breaks it.
        var lossesBefore: UInt64 = 0
        var lastTime: Int64 = 0
        /// Whether rows are gone since its last full ones.
        var hasLostRows = false
        /// The series of its last row: indexes into `series`, -1 for those that are not known.
        var list: [Int] = []
        /// The one group of the head that has all of them, each once, and their columns.
        var home: (group: HeadGroup, columns: [UInt32])?
    }

    private let head: Head
    /// Through which place each group is in blocks.
    private let sealedThrough: [Labels: LogPosition]
    private let metadataMaximum: Int
    private let exemplars: ExemplarStore?
    private var series: [LoggedSeries] = []
    private var seriesOf = IdentifierTable()
    private var groups: [LoggedGroup] = []
    private var groupOf: [UInt64: Int] = [:]
    private var lastChain: UInt64 = 0
    /// How many frames were lost in front of each sender's last record.
    private var lossesBefore: [DeliveryIdentity.Sender: UInt64] = [:]

    /// Frames that are gone, as their neighbours tell.
    private(set) var framesLost: UInt64 = 0
    /// Frames that hold but are no record of ours.
    private(set) var recordsUnreadable = 0
    /// Samples whose series was declared, or whose values before were, in a frame that is gone.
    private(set) var samplesWithoutSeries = 0
    /// Samples put into the head.
    private(set) var samplesApplied = 0
    /// Samples of this process' own records that the head refused, because it has another of the same time.
    private(set) var samplesRefused = 0
    /// From here on records are of this process, which has answered each of them.
    private let ownFrom: LogPosition

    /// Where in time the lost ones are.
    private(set) var gaps: LogGapFinder

    /// A replay into an empty head; samples up to `newest` are in blocks.
    init(
        into head: Head, _ exemplars: ExemplarStore? = nil, sealedThrough: [Labels: LogPosition], metadataMaximum: Int,
        newest: Int64? = nil, ownFrom: LogPosition
    ) {
        self.ownFrom = ownFrom
        gaps = LogGapFinder(newest: newest)
        self.exemplars = exemplars
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
            case .exemplars:
                exemplars?.apply(try ExemplarRecord.decode(frame.payload), position: frame.position)
            case nil: recordsUnreadable += 1
            }
        } catch {
            recordsUnreadable += 1
        }
        head.visible.withLock { $0 = max($0, frame.position) }
    }

    /// Frames and records that are gone: nothing may build on what stood in them.
    private var losses: UInt64 { framesLost + UInt64(recordsUnreadable) }

    /// The log ends at `now`, `records` of it are lost in all.
    mutating func end(atMilliseconds now: Int64, records: UInt64) {
        if groups.contains(where: \.hasLostRows) { gaps.extend(to: now) }
        gaps.end(atMilliseconds: now, records: records)
    }

    private mutating func apply(_ record: HeadRecord, position: LogPosition) throws(ByteError) {
        var isWhole = true
        var times: (first: Int64, last: Int64)?
        var writes: [GroupWrite] = []
        for group in record.groups {
            let target = group.target ?? groupOf[group.id].map { groups[$0].target }
            let isSealed = target.flatMap { sealedThrough[$0] }.map { position <= $0 } ?? false
            var missing = 0
            let restored = try restore(group, &missing)
            // What is in a block is not missed here.
            if missing > 0, !isSealed {
                isWhole = false
                samplesWithoutSeries += missing
            }
            guard let place = restored else { continue }
            if let first = place.times.first, let last = place.times.last {
                times = (min(times?.first ?? first, first), max(times?.last ?? last, last))
            }
            if isSealed { continue }
            collect(group, place, into: &writes)
        }
        if let times { gaps.found(first: times.first, last: times.last) }
        head.learn(record.metadata, maximum: metadataMaximum)
        let isOwn = position >= ownFrom
        if let delivery = record.delivery {
            guard isOwn ? head.admit(delivery) : admit(delivery, isWhole: isWhole) else { return }
        }
        let outcome = head.apply(writes, position: position)
        samplesApplied += outcome.accepted
        if isOwn { samplesRefused += outcome.rejections.reduce(0) { $0 + $1.count } }
    }

    /// Rows of the log with their times and values as they were.
    private struct RestoredRows {
        var group: Int
        var times: [Int64]
        var bits: [UInt64]
    }

    /// Undoes what a group's rows build on; nil when that is gone. Counts the samples that cannot be had.
    private mutating func restore(_ group: HeadRecord.Group, _ missing: inout Int) throws(ByteError) -> RestoredRows? {
        if let target = group.target {
            groupOf[group.id] = groups.count
            groups.append(LoggedGroup(target: target))
        }
        guard let place = groupOf[group.id] else {
            missing += group.sampleCount
            return nil
        }
        if group.isFull {
            lastChain += 1
            (groups[place].chain, groups[place].lastTime, groups[place].lossesBefore) = (lastChain, 0, losses)
            if groups[place].hasLostRows, let first = group.times.first { gaps.extend(to: first) }
            groups[place].hasLostRows = false
        }
        // Declarations hold whatever was lost.
        if let references = group.series {
            groups[place].list = references.map { resolve($0, target: groups[place].target) }
            groups[place].home = home(of: groups[place].list)
        }
        guard groups[place].lossesBefore == losses else {
            groups[place].hasLostRows = true
            missing += group.sampleCount
            return nil
        }
        guard groups[place].list.count == group.seriesCount else {
            throw ByteError(offset: 0, reason: "\(group.seriesCount) series where \(groups[place].list.count) were")
        }
        let base = groups[place].lastTime
        let times = group.times.map { base &+ $0 }
        if let last = times.last { groups[place].lastTime = last }
        if groups[place].list.contains(-1) {
            for (index, one) in groups[place].list.enumerated() where one < 0 {
                missing += group.cells(of: index).count
            }
            missing += group.histograms.count { groups[place].list[$0.series] < 0 }
        }
        return RestoredRows(
            group: place, times: times,
            bits: group.isChained ? values(of: group, groups[place].list, chain: groups[place].chain) : group.values)
    }

    /// The values behind the differences of a group's rows.
    private mutating func values(of group: HeadRecord.Group, _ list: [Int], chain: UInt64) -> [UInt64] {
        var bits = group.values
        series.withUnsafeMutableBufferPointer { series in
            for (index, one) in list.enumerated() where one >= 0 {
                var previous = series[one].chain == chain ? series[one].bits : 0
                let cells = group.cells(of: index)
                if cells.isEmpty { continue }
                for cell in cells {
                    previous ^= bits[cell]
                    bits[cell] = previous
                }
                (series[one].bits, series[one].chain) = (previous, chain)
            }
        }
        return bits
    }

    /// Where a series of the log is; -1 when its declaration is gone. An id never means two series, so that one that
    /// is declared again, as in each segment, is known already.
    private mutating func resolve(_ reference: HeadRecord.Reference, target: Labels) -> Int {
        if let known = seriesOf[reference.id] { return known }
        guard let labels = reference.labels else { return -1 }
        let found = head.index.withLock { index in
            let number = index.find(labels) ?? index.add(labels, target: target)
            return index.series[number]
        }
        series.append(LoggedSeries(group: found.group, column: found.column))
        seriesOf.set(reference.id, to: series.count - 1)
        return series.count - 1
    }

    private func home(of list: [Int]) -> (group: HeadGroup, columns: [UInt32])? {
        guard let first = list.first, first >= 0 else { return nil }
        let group = series[first].group
        var columns: [UInt32] = []
        columns.reserveCapacity(list.count)
        for one in list {
            guard one >= 0, series[one].group === group else { return nil }
            columns.append(UInt32(series[one].column))
        }
        // Rising columns are each there once; others are looked at.
        let isRising = zip(columns, columns.dropFirst()).allSatisfy { $0 < $1 }
        return isRising || Set(columns).count == columns.count ? (group, columns) : nil
    }

    /// Turns a group's rows into writes for the groups their series are in now.
    private mutating func collect(_ group: HeadRecord.Group, _ rows: RestoredRows, into writes: inout [GroupWrite]) {
        var starts: [Int64] = []
        if !group.startDistances.isEmpty {
            starts = group.startDistances.enumerated().map { cell, distance in
                distance.map { rows.times[group.row(of: cell)] &- $0 } ?? 0
            }
        }
        if let home = groups[rows.group].home {
            var write = GroupWrite(group: home.group)
            (write.times, write.columns, write.bits, write.starts) = (rows.times, home.columns, rows.bits, starts)
            (write.cellStarts, write.rows) = (group.cellStarts, group.rows)
            write.histograms = group.histograms.map {
                GroupWrite.HistogramCell(series: $0.series, row: $0.row, start: $0.start, histogram: $0.histogram)
            }
            writes.append(write)
            return
        }
        var builders: [UInt64: GroupWriteBuilder] = [:]
        for (index, one) in groups[rows.group].list.enumerated() where one >= 0 {
            let place = series[one]
            for cell in group.cells(of: index) {
                builders[place.group.id, default: GroupWriteBuilder(group: place.group, capacity: 0)].add(
                    column: place.column, milliseconds: rows.times[group.row(of: cell)], bits: rows.bits[cell],
                    start: starts.isEmpty ? 0 : starts[cell])
            }
        }
        for cell in group.histograms {
            let one = groups[rows.group].list[cell.series]
            guard one >= 0 else { continue }
            let place = series[one]
            builders[place.group.id, default: GroupWriteBuilder(group: place.group, capacity: 0)].add(
                column: place.column, milliseconds: rows.times[cell.row], start: cell.start, histogram: cell.histogram)
        }
        for builder in builders.values { writes.append(builder.build { _, _ in }) }
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

extension HeadRecord.Group {
    /// The cells of one series.
    fileprivate func cells(of index: Int) -> Range<Int> {
        cellStarts.isEmpty ? index..<index + 1 : cellStarts[index]..<cellStarts[index + 1]
    }

    /// The row of a cell.
    fileprivate func row(of cell: Int) -> Int { rows.isEmpty ? 0 : Int(rows[cell]) }
}
