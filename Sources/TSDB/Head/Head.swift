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
            for (number, series) in write.series.enumerated() {
                series.lastRound.store(round, ordering: .relaxed)
                for cell in write.cellStarts[number]..<write.cellStarts[number + 1] {
                    let time = write.times[Int(write.rows[cell])]
                    let bits = write.bits[cell]
                    switch verdict(series, time: time, bits: bits, in: rows, frozen) {
                    case .new:
                        let start = write.starts.isEmpty ? 0 : write.starts[cell]
                        rows.append(
                            column: series.column, row: firstRow + Int(write.rows[cell]), bits: bits, start: start)
                    case .known: break
                    case .different:
                        outcome.add(series.labels, time, .duplicate)
                        continue
                    }
                    outcome.accepted += 1
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

    private enum Verdict {
        case new
        /// The same sample again.
        case known
        case different
    }

    private func verdict(
        _ series: HeadSeries, time: Int64, bits: UInt64, in rows: HeadTable.Rows, _ frozen: [HeadTable]
    ) -> Verdict {
        let last = series.lastMilliseconds.load(ordering: .relaxed)
        if time > last {
            series.lastMilliseconds.store(time, ordering: .relaxed)
            series.lastBits.store(bits, ordering: .relaxed)
            return .new
        }
        if time == last { return series.lastBits.load(ordering: .relaxed) == bits ? .known : .different }
        var found = rows.bits(column: series.column, at: time)
        for table in frozen where found == nil {
            found = table.rows.withLock { $0.bits(column: series.column, at: time) }
        }
        guard let found else { return .new }
        return found == bits ? .known : .different
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
