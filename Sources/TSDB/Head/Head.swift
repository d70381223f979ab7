internal import Disk
internal import Synchronization
internal import Telemetry

/// What is not in blocks yet, in memory: series, their rows, the last sequence of each sender, metadata.
///
/// Rows are applied by one thread in the order of the log; readers take snapshots. Locks are taken in the order
/// `visible`, `index`, a group's state, a table's rows.
final class Head: Sendable {
    let index: Mutex<HeadIndex>
    /// Held while a record is applied, tables are frozen, or a snapshot is taken: a reader sees a record whole or not
    /// at all. Its value is the place of the last record applied.
    let visible: Mutex<LogPosition>
    let marks = Mutex<[DeliveryIdentity.Sender: UInt64]>([:])
    let metadata = Mutex<[String: MetricMetadata]>([:])
    /// What series and groups must have been declared in to need no declaration; only the writer thread changes it.
    let epoch = Atomic<UInt64>(1)
    /// The bytes of rows in memory, frozen ones included.
    let rowBytes = Atomic<Int>(0)
    /// The rows of the fullest group, for the maintenance to look at.
    let rowsOfFullest = Atomic<Int>(0)
    /// Rises with every flush; series that no flush saw for two rounds are forgotten.
    let round = Atomic<UInt64>(1)

    /// What became of the records of one append.
    struct Outcome {
        var accepted = 0
        var rejections: [SampleRejection] = []
    }

    private let wallClock: any WallClock

    /// An empty head behind `position`, whose ids no earlier process gave out.
    init(after position: LogPosition, firstID: UInt64, wallClock: any WallClock) {
        self.wallClock = wallClock
        index = Mutex(HeadIndex(firstID: firstID))
        visible = Mutex(position)
    }

    /// Adds the rows of a record that is on disk now.
    func apply(_ writes: [GroupWrite], position: LogPosition) -> Outcome {
        visible.withLock { applied in
            var outcome = Outcome()
            for write in writes { apply(write, position: position, to: &outcome) }
            applied = max(applied, position)
            return outcome
        }
    }

    private func apply(_ write: GroupWrite, position: LogPosition, to outcome: inout Outcome) {
        let (table, frozen) = write.group.state.withLock { ($0.current, $0.frozen) }
        let round = round.load(ordering: .relaxed)
        let now = wallClock.nowMilliseconds
        table.rows.withLock { rows in
            let bytesBefore = rows.memoryBytes
            let samplesBefore = rows.sampleCount
            let firstRow = rows.appendTimes(write.times, position: position, nowMilliseconds: now)
            for number in write.series.indices {
                let series = write.series[number]
                series.lastRound.store(round, ordering: .relaxed)
                for cell in write.cellStarts[number]..<write.cellStarts[number + 1] {
                    let place = CellPlace(
                        time: write.times[Int(write.rows[cell])], row: firstRow + Int(write.rows[cell]),
                        start: write.starts.isEmpty ? 0 : write.starts[cell])
                    apply(write.bits[cell], at: place, of: series, frozen: frozen, to: &rows, &outcome)
                }
            }
            for cell in write.histograms {
                apply(cell, of: write, firstRow: firstRow, frozen: frozen, to: &rows, &outcome)
            }
            if rows.sampleCount == samplesBefore { rows.removeEmptyRows(from: firstRow) }
            rowBytes.add(rows.memoryBytes - bytesBefore, ordering: .relaxed)
            if rows.risingRowCount > rowsOfFullest.load(ordering: .relaxed) {
                rowsOfFullest.store(rows.risingRowCount, ordering: .relaxed)
            }
        }
    }

    /// Where a float goes.
    private struct CellPlace {
        var time: Int64
        var row: Int
        var start: Int64
    }

    /// Adds a float unless the series has a sample at that time: the same again changes nothing, another is refused.
    @inline(__always)
    private func apply(
        _ bits: UInt64, at place: CellPlace, of series: HeadSeries, frozen: [HeadTable],
        to rows: inout HeadTable.Rows, _ outcome: inout Outcome
    ) {
        let last = series.lastMilliseconds.load(ordering: .relaxed)
        if place.time > last {
            series.lastMilliseconds.store(place.time, ordering: .relaxed)
            series.lastBits.store(bits, ordering: .relaxed)
        } else if let known = Self.known(at: place.time, last: last, of: series, in: &rows, frozen) {
            if known == bits { outcome.accepted += 1 } else { outcome.add(series.labels, place.time, .duplicate) }
            return
        }
        rows.append(column: series.column, row: place.row, bits: bits, start: place.start)
        outcome.accepted += 1
    }

    /// What a series has at a time that is not later than all its others.
    private static func known(
        at time: Int64, last: Int64, of series: HeadSeries, in rows: inout HeadTable.Rows, _ frozen: [HeadTable]
    ) -> UInt64? {
        if time == last { return series.lastBits.load(ordering: .relaxed) }
        if let found = rows.bits(column: series.column, at: time) { return found }
        for table in frozen {
            if let found = table.rows.withLock({ $0.bits(column: series.column, at: time) }) { return found }
        }
        return nil
    }

    private func apply(
        _ cell: GroupWrite.HistogramCell, of write: GroupWrite, firstRow: Int, frozen: [HeadTable],
        to rows: inout HeadTable.Rows, _ outcome: inout Outcome
    ) {
        let series = write.series[cell.series]
        let time = write.times[cell.row]
        if time <= series.lastHistogramMilliseconds.load(ordering: .relaxed) {
            var found = rows.histogram(column: series.column, at: time)
            for table in frozen where found == nil {
                found = table.rows.withLock { $0.histogram(column: series.column, at: time) }
            }
            if let found {
                if found.isIdentical(to: cell.histogram) {
                    outcome.accepted += 1
                } else {
                    outcome.add(series.labels, time, .duplicate)
                }
                return
            }
        } else {
            series.lastHistogramMilliseconds.store(time, ordering: .relaxed)
        }
        rows.append(
            column: series.column, row: firstRow + cell.row, histogram: cell.histogram, start: cell.start)
        outcome.accepted += 1
    }
}

extension Head.Outcome {
    /// Counts a refused sample, together with others of the series refused for the same reason.
    mutating func add(_ labels: Labels, _ milliseconds: Int64, _ reason: SampleRejection.Reason) {
        if let last = rejections.last, last.reason == reason, last.labels == labels {
            rejections[rejections.count - 1].count += 1
        } else {
            rejections.append(SampleRejection(labels: labels, milliseconds: milliseconds, reason: reason))
        }
    }
}

extension Head {
    /// Whether a delivery was stored before; nil when its sender is new.
    func synced(of sender: DeliveryIdentity.Sender) -> UInt64? { marks.withLock { $0[sender] } }

    /// Remembers a delivery. Returns false when it, or a later one of its lane, was stored before.
    func admit(_ delivery: DeliveryIdentity) -> Bool {
        marks.withLock { marks in
            if let last = marks[delivery.sender], delivery.sequence <= last { return false }
            marks[delivery.sender] = delivery.sequence
            return true
        }
    }

    /// Remembers what producers say about metrics, up to `maximum` of them.
    func learn(_ new: [MetricMetadata], maximum: Int) {
        guard !new.isEmpty else { return }
        metadata.withLock { metadata in
            for one in new where metadata[one.metricName] != nil || metadata.count < maximum {
                metadata[one.metricName] = one
            }
        }
    }

    /// The records that each segment of the log begins with. Everything is declared anew in it.
    func preamble() -> [LogRecord] {
        epoch.add(1, ordering: .relaxed)
        var records: [LogRecord] = []
        let marks = marks.withLock { $0 }
        if !marks.isEmpty {
            records.append(LogRecord(kind: HeadRecordKind.marks.rawValue, payload: HeadRecordWriter.marks(marks)))
        }
        let metadata = metadata.withLock { $0.values.sorted { $0.metricName < $1.metricName } }
        for start in stride(from: 0, to: metadata.count, by: 4096) {
            let piece = Array(metadata[start..<min(start + 4096, metadata.count)])
            let payload = HeadRecordWriter.metadata(piece)
            guard payload.count <= LogRecord.payloadBytesMaximum else { continue }
            records.append(LogRecord(kind: HeadRecordKind.metadata.rawValue, payload: payload))
        }
        return records
    }

    /// An estimate of the memory held.
    var memoryBytes: Int { rowBytes.load(ordering: .relaxed) + index.withLock(\.memoryBytes) }

    /// The first place in the log whose rows are in no block; behind the last applied record when all are.
    var firstUnsealedPosition: LogPosition {
        let groups = index.withLock { Array($0.groups.values) }
        return visible.withLock { applied in
            groups.compactMap(\.firstUnsealedPosition).min() ?? applied.advanced(by: 1)
        }
    }
}

extension HeadTable.Rows {
    /// Takes back rows that turned out to hold nothing new.
    mutating func removeEmptyRows(from first: Int) {
        memoryBytes -= (times.count - first) * 8
        times.removeSubrange(first...)
        if times.isEmpty { self = HeadTable.Rows() }
    }
}
