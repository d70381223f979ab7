internal import Disk
internal import Synchronization
internal import Telemetry

/// What a request selects, from head and blocks at one moment: series with the places of their samples.
struct Selection {
    private let request: SeriesRequest
    private let context: QueryContext
    private(set) var segments: [Labels: [SeriesSegment]] = [:]

    /// What a series costs before its first sample is read.
    private static let seriesBytes = 320

    /// Looks the request up. The head comes first: rows that move into a block meanwhile are then found twice, not
    /// missed.
    init(_ request: SeriesRequest, head: Head, blocks store: BlockStore, in context: QueryContext) throws {
        self.request = request
        self.context = context
        guard request.range.startMilliseconds <= request.range.endMilliseconds else { return }
        try add(head)
        let view = store.view
        for quarantined in view.quarantined {
            context.warn("\(quarantined.path) was set aside as damaged: \(quarantined.reason)")
        }
        for missing in view.missing where missing.times.overlaps(request.range) {
            missing.quarantined(at: store.path(of: missing.sequence)).tell(over: missing.times, in: context)
        }
        for block in view.blocks {
            try context.check()
            guard block.times.overlaps(request.range) else {
                try context.count { $0.blocksSkipped += 1 }
                continue
            }
            do {
                try add(block, tombstones: view.tombstones)
                try context.count { $0.blocksRead += 1 }
            } catch let damage as BlockDamage {
                block.note(damage)
                block.tell(damage, missing: block.times, of: .empty, in: context)
            }
        }
    }

    /// The labels found, ordered and cut to the request's limit.
    func sortedLabels() -> [Labels] {
        let sorted = segments.keys.sorted()
        guard request.limit > 0, sorted.count > request.limit else { return sorted }
        context.warn("the answer was cut to \(request.limit) of \(sorted.count) series, as the request asked")
        return Array(sorted.prefix(request.limit))
    }

    private mutating func add(_ head: Head) throws {
        // Matching may take long on a large index, so it is done outside `visible`; when series came in between, once
        // more.
        var (found, version) = try Self.match(request, head)
        let snapshots = try head.visible.withLock { _ in
            if head.index.withLock(\.version) != version { (found, version) = try Self.match(request, head) }
            var snapshots: [UInt64: [HeadTable.Snapshot]] = [:]
            for series in found where snapshots[series.group.id] == nil {
                snapshots[series.group.id] = series.group.snapshots()
            }
            return snapshots
        }
        try context.reserve(found.count * Self.seriesBytes)
        for series in found {
            for (age, snapshot) in (snapshots[series.group.id] ?? []).enumerated()
            where snapshot.times.overlaps(request.range) && snapshot.holds(column: series.column) {
                segments[series.labels, default: []].append(
                    SeriesSegment(snapshot, column: series.column, age: age))
            }
        }
    }

    private static func match(_ request: SeriesRequest, _ head: Head) throws -> ([HeadSeries], UInt64) {
        try head.index.withLock { index in
            var found: [HeadSeries] = []
            try index.select(request.matchers).forEach { found.append(index.series[Int($0)]) }
            return (found, index.version)
        }
    }

    private mutating func add(_ block: Block, tombstones: [Tombstone]) throws {
        let index = try block.reader.index()
        let selected = try index.select(request.matchers)
        guard !selected.isEmpty else { return }
        let deleted = try block.deletions(tombstones, in: index)
        try context.reserve(selected.count * Self.seriesBytes)
        var group: BlockGroup?
        for run in selected.runs {
            for ordinal in run {
                if !(group?.ordinals.contains(ordinal) ?? false) { group = index.group(of: ordinal) }
                let strips = (group?.strips ?? []).filter {
                    $0.ordinals.contains(ordinal) && $0.times.overlaps(request.range)
                }
                let holes = deleted.filter { $0.series.contains(ordinal) }.map(\.range)
                let visible = strips.filter { strip in !holes.contains { $0.covers(strip.times) } }
                guard !visible.isEmpty else { continue }
                do {
                    let labels = try index.labels(of: ordinal)
                    segments[labels, default: []].append(
                        contentsOf: visible.map { SeriesSegment($0, of: ordinal, in: block, holes: holes) })
                } catch {
                    throw BlockDamage(path: block.reader.path, offset: 0, reason: "\(error)")
                }
            }
        }
    }
}

/// Series of one block that were deleted within a span.
struct Deletion {
    var series: Postings
    var range: TimeRange
}

extension Block {
    /// What the tombstones take out of this block.
    func deletions(_ tombstones: [Tombstone], in index: BlockIndex) throws -> [Deletion] {
        var deletions: [Deletion] = []
        for tombstone in tombstones
        where tombstone.throughSequence >= sequence.last && tombstone.range.overlaps(times) {
            let series = try index.select(tombstone.matchers)
            if !series.isEmpty { deletions.append(Deletion(series: series, range: tombstone.range)) }
        }
        return deletions
    }
}

extension TimeRange {
    /// The milliseconds from the first to the last.
    var width: UInt64 { UInt64(bitPattern: endMilliseconds &- startMilliseconds) }

    /// From the earlier of the starts to the later of the ends.
    func joined(_ other: TimeRange) -> TimeRange {
        TimeRange(
            startMilliseconds: min(startMilliseconds, other.startMilliseconds),
            endMilliseconds: max(endMilliseconds, other.endMilliseconds))
    }

    /// Whether all of `other` lies within.
    func covers(_ other: TimeRange) -> Bool {
        startMilliseconds <= other.startMilliseconds && other.endMilliseconds <= endMilliseconds
    }
}

extension HeadTable.Snapshot {
    /// Whether the table had a sample of a series when the snapshot was taken.
    func holds(column: Int) -> Bool {
        table.rows.withLock { rows in
            if column < rows.columns.count, rows.columns[column].count(belowRow: rowCount) > 0 { return true }
            return (rows.histogramColumns[column]?.count(belowRow: rowCount) ?? 0) > 0
        }
    }
}
