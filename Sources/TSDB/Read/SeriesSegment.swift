internal import Disk
internal import Synchronization
internal import Telemetry

/// A place that holds samples of one series: a strip of a block, or a table of the head. Not read before it is opened.
struct SeriesSegment {
    private enum Place {
        case strip(StripWindow, ordinal: UInt32, holes: [TimeRange])
        case table(HeadTable.Snapshot, column: Int)
    }

    private let place: Place
    /// Where its samples may lie; they may be fewer.
    let times: TimeRange
    /// Of two samples at one time the one with the lower number stays: it came first.
    let priority: UInt64

    /// A strip of a block; samples within `holes` were deleted.
    init(_ window: StripWindow, _ ordinal: UInt32, holes: [TimeRange]) {
        place = .strip(window, ordinal: ordinal, holes: holes)
        times = window.location.times
        priority = window.block.history.rank
    }

    /// A table of the head, the `age`th of its group.
    init(_ snapshot: HeadTable.Snapshot, column: Int, age: Int) {
        place = .table(snapshot, column: column)
        times = snapshot.times
        priority = (1 << 63) + UInt64(age)
    }

    /// Whether its samples may begin before those of another; of two that begin together the first to come does.
    func begins(before other: SeriesSegment) -> Bool {
        (times.startMilliseconds, priority) < (other.times.startMilliseconds, other.priority)
    }

    /// The samples within `range`, floats and histograms apart. Damage is told to the query and leaves nothing.
    func open(_ range: TimeRange, labels: Labels, in context: QueryContext) throws -> [SampleRun] {
        switch place {
        case .table(let snapshot, let column):
            return snapshot.table.rows.withLock { rows in
                var runs: [SampleRun] = []
                if column < rows.columns.count {
                    var run = SampleRun()
                    rows.samples(of: rows.columns[column], belowRow: snapshot.rowCount, in: range, into: &run)
                    if run.count > 0 { runs.append(run) }
                }
                if let histograms = rows.histogramColumns[column] {
                    var run = SampleRun()
                    rows.samples(of: histograms, belowRow: snapshot.rowCount, in: range, into: &run)
                    if run.count > 0 { runs.append(run) }
                }
                return runs
            }
        case .strip(let window, let ordinal, let holes):
            let block = window.block
            do {
                var columns = try block.reader.columns(of: window.location, keeping: true)
                var runs: [SampleRun] = []
                for index in columns.strip.entries(of: ordinal) {
                    var run = try block.reader.samples(of: index, in: &columns, at: window.location, range: range)
                    for hole in holes { run.remove(hole) }
                    context.countRead(bytes: columns.strip.entries[index].bodyByteCount)
                    if run.count > 0 { runs.append(run) }
                }
                return runs
            } catch let damage as BlockDamage {
                block.note(damage)
                block.tell(damage, missing: times, of: labels, in: context)
                return []
            }
        }
    }

    /// Looks for the samples; `mixed` where they must be opened.
    func find(for reading: SeriesReading) throws -> FoundColumn.Finding {
        switch place {
        case .strip(let window, let ordinal, let holes): return holes.isEmpty ? try window.find(ordinal) : .mixed
        case .table(let snapshot, let column):
            return snapshot.table.rows.withLock { rows in
                guard rows.isSorted, rows.histogramColumns.isEmpty, column < rows.columns.count else { return .mixed }
                let count = rows.columns[column].count(belowRow: snapshot.rowCount, rows.extras)
                guard let first = rows.columns[column].rowsWithoutGap else { return .mixed }
                let times = reading.times(of: rows, first..<first + count, in: snapshot.table)
                return times.times.isEmpty ? .nothing : .column(FoundColumn(times, snapshot.table, column: column))
            }
        }
    }

    /// What became of an attempt to read.
    enum Outcome {
        case filled
        case nothing
        case mixed
    }

    /// Fills an empty buffer with the samples, where they are numbers in one column and nothing is to be merged.
    func read(into buffer: inout SampleBuffer, labels: Labels, for reading: SeriesReading) throws -> Outcome {
        do {
            switch try find(for: reading) {
            case .nothing: return .nothing
            case .mixed: return .mixed
            case .column(let column):
                try column.fill(&buffer)
                return .filled
            }
        } catch let damage as BlockDamage {
            guard case .strip(let window, _, _) = place else { return .nothing }
            window.block.note(damage)
            window.block.tell(damage, missing: times, of: labels, in: reading.context)
            return .nothing
        }
    }

    /// The chunk's header in place of its samples; nil when it must be decoded: it was cut, changed, is not alone, or
    /// knows no aggregate.
    func aggregate(_ range: TimeRange, for need: AggregateNeed) throws -> ChunkAggregate? {
        guard case .strip(let window, let ordinal, let holes) = place,
            range.contains(times.startMilliseconds), range.contains(times.endMilliseconds),
            !holes.contains(where: { $0.overlaps(times) })
        else { return nil }
        guard let strip = try? window.strip() else { return nil }
        let places = strip.entries(of: ordinal)
        guard places.count == 1, let entry = places.first.map({ strip.entries[$0] }), let summary = entry.summary,
            let sum = summary.sum ?? (need.needsSum ? nil : .nan),
            let increase = summary.increase ?? (need.needsIncrease ? nil : .nan)
        else { return nil }
        guard let (first, last) = strip.ends(of: entry) else { return nil }
        return ChunkAggregate(
            count: entry.valueCount, sum: sum, minimum: summary.minimum, maximum: summary.maximum,
            first: Sample(milliseconds: first, value: summary.first),
            last: Sample(milliseconds: last, value: summary.last), resets: summary.resets, increase: increase)
    }
}

extension Block {
    /// Says in the answer what is missing because of damage.
    func tell(_ damage: BlockDamage, missing times: TimeRange, of labels: Labels, in context: QueryContext) {
        let what = labels.isEmpty ? "all its series" : "\(labels)"
        context.warn(
            "\(damage); samples of \(what) from \(times.startMilliseconds) to \(times.endMilliseconds) ms are missing "
                + "from this answer, restore the block from a copy")
        // A span of the answer is in nanoseconds; times a damaged file gives may not fit.
        let start = times.startMilliseconds.multipliedReportingOverflow(by: 1_000_000)
        let end = times.endMilliseconds.multipliedReportingOverflow(by: 1_000_000)
        guard !start.overflow, !end.overflow else { return }
        context.report(
            AnswerGap(
                range: LogTimeRange(startNanoseconds: start.partialValue, endNanoseconds: end.partialValue &+ 1),
                labels: labels, reason: damage.description))
    }
}

extension Strip {
    /// The times of the first and the last value that is no stale marker.
    fileprivate func ends(of entry: StripEntry) -> (Int64, Int64)? {
        guard entry.valueCount > 0 else { return nil }
        guard let stale = entry.shape.stale else {
            let first = entry.shape.presence?.runs.first?.lowerBound ?? 0
            let last = (entry.shape.presence?.runs.last?.upperBound ?? times.count) - 1
            return (times[first], times[last])
        }
        let marked = Set(stale.rows)
        let rows = (entry.shape.presence?.rows ?? Array(times.indices)).filter { !marked.contains($0) }
        guard let first = rows.first, let last = rows.last else { return nil }
        return (times[first], times[last])
    }
}

extension SampleRun {
    /// Takes out the samples within `hole`.
    mutating func remove(_ hole: TimeRange) {
        guard timesMilliseconds.contains(where: { hole.contains($0) }) else { return }
        let kept = timesMilliseconds.indices.filter { !hole.contains(timesMilliseconds[$0]) }
        let old = self
        timesMilliseconds = kept.map { old.timesMilliseconds[$0] }
        if !bits.isEmpty { bits = kept.map { old.bits[$0] } }
        if !starts.isEmpty { starts = kept.map { old.starts[$0] } }
        if !histograms.isEmpty { histograms = kept.map { old.histograms[$0] } }
    }
}
