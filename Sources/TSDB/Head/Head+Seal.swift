internal import Disk
internal import Synchronization
internal import Telemetry

/// The tables of one group on their way into a block.
struct FrozenGroup: Sendable {
    let group: HeadGroup
    let tables: [HeadTable]
    /// Everything of the group up to here is in the tables or in blocks already.
    let sealedThrough: LogPosition

    /// From its first to its last row; nil without rows.
    var times: TimeRange? {
        tables.compactMap { $0.snapshot()?.times }.reduce(nil) { joined, times in joined?.joined(times) ?? times }
    }
}

extension Head {
    /// Freezes the groups that `isWanted` picks: appends go to new tables from now on. Tables that an earlier flush
    /// could not write are taken along.
    func freeze(where isWanted: (HeadTable.Rows) -> Bool) -> [FrozenGroup] {
        let groups = index.withLock { Array($0.groups.values) }
        let frozen = visible.withLock { applied in
            let frozen = groups.compactMap { $0.freeze(where: isWanted, applied: applied) }
            let fullest = groups.reduce(0) { max($0, $1.chunkRowCount) }
            rowsOfFullest.store(fullest, ordering: .relaxed)
            // Before the rows leave the head, so that no late sample is taken for new in between.
            if let newest = frozen.compactMap(\.times?.endMilliseconds).max() {
                index.withLock { $0.noteSealed(newest) }
            }
            return frozen
        }
        return frozen.sorted { $0.group.target < $1.group.target }
    }

    /// Lets go of tables that are in a block now.
    func forget(_ sealed: [FrozenGroup]) {
        visible.withLock { _ in
            for one in sealed {
                one.group.state.withLock { state in
                    state.frozen.removeAll { table in one.tables.contains { $0 === table } }
                }
                for table in one.tables { rowBytes.subtract(table.rows.withLock(\.memoryBytes), ordering: .relaxed) }
            }
        }
    }

    /// Forgets series without rows that no flush has seen for two rounds, and groups without series. The index is made
    /// anew for that, so it waits until an eighth of the series are idle.
    func forgetIdleSeries() {
        let round = round.add(1, ordering: .relaxed).newValue
        // Under both locks nothing can be appended to what is found idle.
        visible.withLock { _ in
            index.withLock { index in
                let idle = index.groups.values.reduce(0) { $0 + $1.idleSeriesCount(in: round) }
                guard idle > 0, idle * 8 >= index.series.count else { return }
                var gone: [ObjectIdentifier: Set<Int>] = [:]
                var emptyGroups: [Labels] = []
                for (target, group) in index.groups where group.pendingAppends.load(ordering: .relaxed) == 0 {
                    let idle = group.forgetIdleSeries(in: round)
                    if !idle.columns.isEmpty { gone[ObjectIdentifier(group)] = idle.columns }
                    if idle.isEmpty { emptyGroups.append(target) }
                }
                if !gone.isEmpty || !emptyGroups.isEmpty { index.remove(gone, emptyGroups: emptyGroups) }
            }
        }
    }
}

extension HeadGroup {
    /// The rows that count for the length of a chunk.
    fileprivate var chunkRowCount: Int {
        state.withLock { state in state.tables.reduce(0) { max($0, $1.rows.withLock(\.chunkRowCount)) } }
    }

    /// Puts a new table in place of one that is wanted; nil when no table of the group is frozen then. What was filled
    /// in goes along with the rest, but not the rest with it.
    fileprivate func freeze(where isWanted: (HeadTable.Rows) -> Bool, applied: LogPosition) -> FrozenGroup? {
        state.withLock { state in
            let isDue = state.current.rows.withLock { rows in !rows.times.isEmpty && isWanted(rows) }
            if let backfill = state.backfill {
                let (isEmpty, isWanted) = backfill.rows.withLock { ($0.times.isEmpty, isDue || isWanted($0)) }
                if isWanted, !isEmpty { state.frozen.append(backfill) }
                if isWanted || isEmpty { state.backfill = nil }
            }
            if isDue {
                state.frozen.append(state.current)
                state.current = HeadTable()
            }
            guard !state.frozen.isEmpty else { return nil }
            // Of the tables that go on taking rows.
            let open = [state.current] + (state.backfill.map { [$0] } ?? [])
            let unsealed = open.compactMap { $0.rows.withLock(\.firstPosition) }.min()
            return FrozenGroup(
                group: self, tables: state.frozen,
                sealedThrough: unsealed.map { LogPosition($0.ordinal - 1) } ?? applied)
        }
    }

    /// How many series could be forgotten.
    fileprivate func idleSeriesCount(in round: UInt32) -> Int {
        guard pendingAppends.load(ordering: .relaxed) == 0 else { return 0 }
        return state.withLock { state in
            guard state.isEmpty else { return 0 }
            return state.columns.indices.reduce(0) { $0 + (state.isIdle(column: $1, in: round) ? 1 : 0) }
        }
    }

    /// Lets go of series that no flush saw for two rounds, when the group has no rows; their columns, and whether the
    /// group has no series left.
    fileprivate func forgetIdleSeries(in round: UInt32) -> (columns: Set<Int>, isEmpty: Bool) {
        state.withLock { state in
            guard state.isEmpty else { return ([], false) }
            var gone: Set<Int> = []
            for column in state.columns.indices where state.isIdle(column: column, in: round) {
                gone.insert(column)
                state.forget(column: column)
            }
            return (gone, state.seriesCount == 0)
        }
    }
}

extension FrozenGroup {
    /// One series with everything the tables hold of it, rows counted over all tables.
    private struct Column {
        let labels: Labels
        var rows: [Int] = []
        var bits: [UInt64] = []
        var starts: [Int64] = []
        var histogramRows: [Int] = []
        var histograms: [NativeHistogram] = []
        var histogramStarts: [Int64] = []
    }

    /// Writes the rows of the group within `span`: rows of equal time become one, of several samples the first stays.
    /// The block with the last of the rows is what tells that the log has none that are not in blocks.
    func write(within span: TimeRange, to writer: inout BlockWriter) throws(StorageError) {
        guard let whole = self.times, whole.overlaps(span) else { return }
        let rows = tables.map { table in table.rows.withLock { $0 } }
        let times = Self.distinctTimes(rows, within: span)
        guard !times.isEmpty else { return }
        let sealedThrough = span.endMilliseconds >= whole.endMilliseconds ? sealedThrough : LogPosition(0)
        let allRows = Array(times.indices)
        let unordered = group.state.withLock(\.labels).enumerated().compactMap { number, labels -> Column? in
            if labels.isEmpty { return nil }
            let column = Self.column(number, labels: labels, of: rows, within: span, times: times, allRows: allRows)
            return column.rows.isEmpty && column.histogramRows.isEmpty ? nil : column
        }
        let layout = SeriesLayout(unordered.map(\.labels), target: group.target)
        let columns = layout.order.map { unordered[$0] }
        let first = writer.beginGroup(group.target, sealedThrough: sealedThrough, layout: layout)
        for start in stride(from: 0, to: times.count, by: BlockFormat.stripRowsMaximum) {
            let range = start..<min(start + BlockFormat.stripRowsMaximum, times.count)
            var strip: [StripColumn] = []
            for (index, column) in columns.enumerated() {
                strip.append(contentsOf: Self.cut(column, to: range, ordinal: first + UInt32(index)))
            }
            if !strip.isEmpty { try writer.append(rowTimes: Array(times[range]), columns: strip) }
        }
    }

    private static func distinctTimes(_ tables: [HeadTable.Rows], within span: TimeRange) -> [Int64] {
        var times = tables.flatMap(\.times)
        if tables.contains(where: { $0.minimumMilliseconds < span.startMilliseconds })
            || tables.contains(where: { $0.maximumMilliseconds > span.endMilliseconds })
        {
            times.removeAll { !span.contains($0) }
        }
        if tables.count > 1 || !(tables.first?.isSorted ?? true) { times.sort() }
        var distinct: [Int64] = []
        distinct.reserveCapacity(times.count)
        for time in times where distinct.last != time { distinct.append(time) }
        return distinct
    }

    private static func column(
        _ number: Int, labels: Labels, of tables: [HeadTable.Rows], within span: TimeRange, times: [Int64],
        allRows: [Int]
    ) -> Column {
        var column = Column(labels: labels)
        if let bits = wholeColumn(number, of: tables, times: times) {
            (column.rows, column.bits) = (allRows, bits)
            return column
        }
        var floats = SampleRun()
        var histograms = SampleRun()
        for rows in tables {
            if number < rows.columns.count { collect(rows.columns[number], of: rows, within: span, into: &floats) }
            if let found = rows.histogramColumns[number] {
                rows.samples(of: found, belowRow: .max, in: span, into: &histograms)
            }
        }
        floats.sortKeepingFirst()
        histograms.sortKeepingFirst()
        (column.rows, column.bits, column.starts) = (floats.rows(in: times), floats.bits, floats.starts)
        column.histogramRows = histograms.rows(in: times)
        (column.histograms, column.histogramStarts) = (histograms.histograms, histograms.starts)
        return column
    }

    /// The values of a series that is in every row of the group's one table, as most are; nil for others.
    private static func wholeColumn(_ number: Int, of tables: [HeadTable.Rows], times: [Int64]) -> [UInt64]? {
        guard tables.count == 1, let rows = tables.first, rows.isSorted, rows.times.count == times.count,
            number < rows.columns.count, rows.histogramColumns[number] == nil
        else { return nil }
        let column = rows.columns[number]
        guard column.count == times.count, column.isPlain else { return nil }
        return rows.bits(of: column)
    }

    private static func collect(
        _ column: HeadColumn, of rows: HeadTable.Rows, within span: TimeRange, into run: inout SampleRun
    ) {
        let before = run.count
        rows.samples(of: column, belowRow: .max, in: span, into: &run)
        // One table may know start times where another does not.
        if run.starts.isEmpty { return }
        if column.starts(rows.extras).isEmpty { run.starts += [Int64](repeating: 0, count: run.count - before) }
        let missing = run.count - run.starts.count
        if missing > 0 { run.starts.insert(contentsOf: repeatElement(0, count: missing), at: 0) }
    }

    private static func cut(_ column: Column, to range: Range<Int>, ordinal: UInt32) -> [StripColumn] {
        var pieces: [StripColumn] = []
        // A piece that is the whole shares its memory.
        if column.rows.count == range.count, column.rows.last == range.upperBound - 1, range.lowerBound == 0 {
            var piece = StripColumn(ordinal: ordinal)
            (piece.rows, piece.bits, piece.starts) = (column.rows, column.bits, column.starts)
            pieces.append(piece)
            return pieces + cutHistograms(column, to: range, ordinal: ordinal)
        }
        let floats = column.rows.partitionedIndexes(in: range)
        if !floats.isEmpty {
            var piece = StripColumn(ordinal: ordinal)
            piece.rows = column.rows[floats].map { $0 - range.lowerBound }
            piece.bits = Array(column.bits[floats])
            if !column.starts.isEmpty { piece.starts = Array(column.starts[floats]) }
            pieces.append(piece)
        }
        return pieces + cutHistograms(column, to: range, ordinal: ordinal)
    }

    private static func cutHistograms(_ column: Column, to range: Range<Int>, ordinal: UInt32) -> [StripColumn] {
        let histograms = column.histogramRows.partitionedIndexes(in: range)
        guard !histograms.isEmpty else { return [] }
        var piece = StripColumn(ordinal: ordinal)
        piece.rows = column.histogramRows[histograms].map { $0 - range.lowerBound }
        piece.histograms = Array(column.histograms[histograms])
        // Nothing is said about start times where none is known.
        let starts = column.histogramStarts[histograms]
        if starts.contains(where: { $0 != 0 }) { piece.starts = Array(starts) }
        return [piece]
    }
}

extension SampleRun {
    /// Orders by time; of several samples at one time the first that came stays.
    mutating func sortKeepingFirst() {
        var isRising = true
        for index in timesMilliseconds.indices.dropFirst()
        where timesMilliseconds[index] <= timesMilliseconds[index - 1] { isRising = false }
        if isRising { return }
        let old = self
        let order = timesMilliseconds.indices.sorted {
            (old.timesMilliseconds[$0], $0) < (old.timesMilliseconds[$1], $1)
        }
        self = SampleRun()
        for index in order where timesMilliseconds.last != old.timesMilliseconds[index] {
            timesMilliseconds.append(old.timesMilliseconds[index])
            if !old.bits.isEmpty { bits.append(old.bits[index]) }
            if !old.histograms.isEmpty { histograms.append(old.histograms[index]) }
            if !old.starts.isEmpty { starts.append(old.starts[index]) }
        }
    }

    /// The places of the times in `all`, which holds every one of them, rising.
    func rows(in all: [Int64]) -> [Int] {
        var row = 0
        return timesMilliseconds.map { time in
            while all[row] < time { row += 1 }
            return row
        }
    }
}

extension [Int] {
    /// The indexes of the elements within `range`; the elements rise.
    func partitionedIndexes(in range: Range<Int>) -> Range<Int> {
        let start = firstIndexRising { $0 >= range.lowerBound }
        let end = firstIndexRising { $0 >= range.upperBound }
        return start..<end
    }

    /// The first index whose element satisfies a condition that holds from some element on.
    func firstIndexRising(_ holds: (Int) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if holds(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
