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
    let epoch = Atomic<UInt32>(1)
    /// The bytes of rows in memory, frozen ones included.
    let rowBytes = Atomic<Int>(0)
    /// The rows of the fullest group, for the maintenance to look at.
    let rowsOfFullest = Atomic<Int>(0)
    /// Rises with every flush; series that no flush saw for two rounds are forgotten.
    let round = Atomic<UInt32>(1)

    /// What became of the records of one append.
    struct Outcome {
        var accepted = 0
        var rejections: [SampleRejection] = []
    }

    private let wallClock: any WallClock
    /// Samples further behind the newest of their group are filled in for the past.
    private let behindMilliseconds: Int64

    /// An empty head behind `position`, whose ids nobody else gives out; blocks have samples up to `sealed`.
    init(
        after position: LogPosition, ids: IdentifierSource, sealedMilliseconds sealed: Int64 = .min,
        behindMilliseconds: Int64 = .max, wallClock: any WallClock
    ) {
        self.wallClock = wallClock
        self.behindMilliseconds = behindMilliseconds
        index = Mutex(HeadIndex(ids: ids, sealedMilliseconds: sealed))
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
        let now = wallClock.nowMilliseconds
        let isBackfill = write.times.last.map { write.group.isOld($0, by: behindMilliseconds) } ?? false
        write.group.state.withLock { state in
            let table = isBackfill ? state.backfillTable() : state.current
            table.rows.withLock { rows in
                let bytesBefore = rows.memoryBytes
                let samplesBefore = rows.sampleCount
                let firstRow = rows.appendTimes(write.times, position: position, nowMilliseconds: now)
                if write.isOneRow, let time = write.times.first, time > write.group.newest {
                    applyNewest(write, at: time, row: firstRow, &state, &rows)
                    outcome.accepted += write.columns.count
                } else {
                    let others = state.tables(without: table)
                    applyCells(of: write, firstRow: firstRow, others: others, &state, &rows, &outcome)
                }
                if rows.sampleCount == samplesBefore { rows.removeEmptyRows(from: firstRow) }
                rowBytes.add(rows.memoryBytes - bytesBefore, ordering: .relaxed)
                if rows.chunkRowCount > rowsOfFullest.load(ordering: .relaxed) {
                    rowsOfFullest.store(rows.chunkRowCount, ordering: .relaxed)
                }
            }
            if let last = write.times.last, last > write.group.newest {
                write.group.newestMilliseconds.store(last, ordering: .relaxed)
            }
        }
    }

    /// A row later than everything its group has: nothing of it can be there already.
    private func applyNewest(
        _ write: GroupWrite, at time: Int64, row: Int, _ state: inout HeadGroup.State, _ rows: inout HeadTable.Rows
    ) {
        let round = round.load(ordering: .relaxed)
        state.columns.withUnsafeMutableBufferPointer { columns in
            for index in write.columns.indices {
                let column = Int(write.columns[index])
                columns[column].lastMilliseconds = time
                columns[column].lastBits = write.bits[index]
                columns[column].lastRound = round
            }
        }
        rows.append(row: row, columns: write.columns, bits: write.bits, starts: write.starts)
    }

    /// Adds each sample unless its series has one at that time: the same again changes nothing, another is refused.
    private func applyCells(
        of write: GroupWrite, firstRow: Int, others: [HeadTable], _ state: inout HeadGroup.State,
        _ rows: inout HeadTable.Rows, _ outcome: inout Outcome
    ) {
        let round = round.load(ordering: .relaxed)
        for index in write.columns.indices {
            let column = Int(write.columns[index])
            state.columns[column].lastRound = round
            for cell in write.cells(of: index) {
                let (row, bits) = (write.row(of: cell), write.bits[cell])
                let time = write.times[row]
                if let known = Self.known(at: time, column: column, state, rows, others) {
                    if known == bits {
                        outcome.accepted += 1
                    } else {
                        outcome.add(state.labels[column], time, .duplicate)
                    }
                    continue
                }
                if time > state.columns[column].lastMilliseconds {
                    state.columns[column].lastMilliseconds = time
                    state.columns[column].lastBits = bits
                }
                rows.append(
                    column: column, row: firstRow + row, bits: bits,
                    start: write.starts.isEmpty ? 0 : write.starts[cell])
                outcome.accepted += 1
            }
        }
        for cell in write.histograms {
            apply(cell, of: write, firstRow: firstRow, others: others, &state, &rows, &outcome)
        }
    }

    /// What a series has at a time.
    private static func known(
        at time: Int64, column: Int, _ state: HeadGroup.State, _ rows: HeadTable.Rows, _ others: [HeadTable]
    ) -> UInt64? {
        let last = state.columns[column].lastMilliseconds
        if time > last { return nil }
        // The smallest time stands for none, too.
        if time == last, last != .min { return state.columns[column].lastBits }
        if let found = rows.bits(column: column, at: time) { return found }
        for table in others {
            if let found = table.rows.withLock({ $0.bits(column: column, at: time) }) { return found }
        }
        return nil
    }

    private func apply(
        _ cell: GroupWrite.HistogramCell, of write: GroupWrite, firstRow: Int, others: [HeadTable],
        _ state: inout HeadGroup.State, _ rows: inout HeadTable.Rows, _ outcome: inout Outcome
    ) {
        let column = Int(write.columns[cell.series])
        let time = write.times[cell.row]
        if time <= state.lastHistogramMilliseconds[column] ?? .min {
            var found = rows.histogram(column: column, at: time)
            for table in others where found == nil {
                found = table.rows.withLock { $0.histogram(column: column, at: time) }
            }
            if let found {
                if found.isIdentical(to: cell.histogram) {
                    outcome.accepted += 1
                } else {
                    outcome.add(state.labels[column], time, .duplicate)
                }
                return
            }
        } else {
            state.lastHistogramMilliseconds[column] = time
        }
        rows.append(column: column, row: firstRow + cell.row, histogram: cell.histogram, start: cell.start)
        outcome.accepted += 1
    }
}

extension HeadGroup {
    /// No sample of the group is later.
    fileprivate var newest: Int64 { newestMilliseconds.load(ordering: .relaxed) }
}

extension Head.Outcome {
    /// Counts a refused sample, together with others of the series refused for the same reason.
    mutating func add(
        _ labels: Labels, _ milliseconds: Int64, _ reason: SampleRejection.Reason, detail: String? = nil
    ) {
        if let last = rejections.last, last.reason == reason, last.labels == labels {
            rejections[rejections.count - 1].count += 1
        } else {
            rejections.append(
                SampleRejection(labels: labels, milliseconds: milliseconds, reason: reason, detail: detail))
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
        if times.isEmpty { self = HeadTable.Rows(isBackfill: isBackfill) }
    }
}
