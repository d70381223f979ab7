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
    /// After so many series it is asked whether the query is still wanted.
    static let checkInterval = 1 << 10

    /// Looks the request up.
    init(_ request: SeriesRequest, head: Head, blocks store: BlockStore, in context: QueryContext) throws {
        self.request = request
        self.context = context
        try context.check()
        let found = try FoundInHead(request, head)
        try context.reserve(found.series.count * Self.seriesBytes)
        for (index, series) in found.series.enumerated() {
            if index % Self.checkInterval == 0 { try context.check() }
            for (snapshot, age) in found.tables(of: series) {
                segments[series.labels, default: []].append(
                    SeriesSegment(snapshot, column: series.column, age: age))
            }
        }
        try store.view.forEachBlock(of: store, in: request.range, context) { block, tombstones in
            try add(block, tombstones: tombstones)
        }
    }

    /// The labels found, ordered and cut to the request's limit.
    func sortedLabels() -> [Labels] {
        let sorted = segments.keys.sorted()
        guard request.limit > 0, sorted.count > request.limit else { return sorted }
        context.warn("the answer was cut to \(request.limit) of \(sorted.count) series, as the request asked")
        return Array(sorted.prefix(request.limit))
    }

    private mutating func add(_ block: Block, tombstones: [Tombstone]) throws {
        let found = try FoundInBlock(request, block, tombstones)
        try context.reserve(found.selected.count * Self.seriesBytes)
        for run in found.selected.runs {
            for ordinal in run {
                if Int(ordinal) % Self.checkInterval == 0 { try context.check() }
                let strips = found.strips(of: ordinal)
                guard !strips.isEmpty else { continue }
                let holes = found.holes(of: ordinal)
                segments[try found.labels(of: ordinal), default: []].append(
                    contentsOf: strips.map { SeriesSegment($0, of: ordinal, in: block, holes: holes) })
            }
        }
    }
}

/// What a request selects in the head, and the tables of it at one moment.
///
/// It is looked up before the blocks: rows that move into a block meanwhile are then found twice, not missed.
struct FoundInHead {
    let series: [HeadSeries]
    private let range: TimeRange
    private let snapshots: [UInt64: [HeadTable.Snapshot]]

    init(_ request: SeriesRequest, _ head: Head) throws {
        range = request.range
        // Matching may take long on a large index, so it is done outside `visible`; when series came in between, once
        // more.
        var (found, version) = try Self.match(request, head)
        snapshots = try head.visible.withLock { _ in
            if head.index.withLock(\.version) != version { (found, version) = try Self.match(request, head) }
            var snapshots: [UInt64: [HeadTable.Snapshot]] = [:]
            for series in found where snapshots[series.group.id] == nil {
                snapshots[series.group.id] = series.group.snapshots()
            }
            return snapshots
        }
        series = found
    }

    private static func match(_ request: SeriesRequest, _ head: Head) throws -> ([HeadSeries], UInt64) {
        try head.index.withLock { index in
            var found: [HeadSeries] = []
            if request.range.isEmpty { return (found, index.version) }
            try index.select(request.matchers).forEach { found.append(index.series[Int($0)]) }
            return (found, index.version)
        }
    }

    /// The tables with samples of a series that reach into the range, and how old each is.
    func tables(of series: HeadSeries) -> [(snapshot: HeadTable.Snapshot, age: Int)] {
        (snapshots[series.group.id] ?? []).enumerated()
            .filter { $1.times.overlaps(range) && $1.holds(column: series.column) }
            .map { (snapshot: $1, age: $0) }
    }
}

/// What a request selects in one block.
struct FoundInBlock {
    let selected: Postings
    private let index: BlockIndex
    private let block: Block
    private let range: TimeRange
    private let deletions: [Deletion]

    init(_ request: SeriesRequest, _ block: Block, _ tombstones: [Tombstone]) throws {
        self.block = block
        index = try block.reader.index()
        range = request.range
        selected = try index.select(request.matchers)
        deletions = selected.isEmpty ? [] : try block.deletions(tombstones, in: index)
    }

    /// The labels of a series.
    func labels(of ordinal: UInt32) throws(BlockDamage) -> Labels {
        do throws(ByteError) { return try index.labels(of: ordinal) } catch { throw damage(error) }
    }

    /// The values of a label among the series with samples in the range.
    func values(of name: String) throws(BlockDamage) -> [String] {
        do throws(ByteError) {
            return try index.labelValues(name) { selected.contains($0) && !strips(of: $0).isEmpty }
        } catch {
            throw damage(error)
        }
    }

    private func damage(_ error: ByteError) -> BlockDamage {
        BlockDamage(path: block.reader.path, offset: 0, reason: "\(error)")
    }

    /// The spans in which samples of a series were deleted.
    func holes(of ordinal: UInt32) -> [TimeRange] {
        deletions.isEmpty ? [] : deletions.filter { $0.series.contains(ordinal) }.map(\.range)
    }

    /// The strips of a series that reach into the range and were not deleted as a whole.
    func strips(of ordinal: UInt32) -> [StripLocation] {
        let holes = holes(of: ordinal)
        return index.group(of: ordinal).strips.filter { strip in
            strip.ordinals.contains(ordinal) && strip.times.overlaps(range)
                && !holes.contains { $0.covers(strip.times) }
        }
    }
}

extension BlockStore.View {
    /// Runs `body` on every block that reaches into a range; what is damaged or missing is told.
    func forEachBlock(
        of store: BlockStore, in range: TimeRange, _ context: QueryContext,
        _ body: (Block, [Tombstone]) throws -> Void
    ) throws {
        guard !range.isEmpty else { return }
        for quarantined in quarantined {
            context.warn("\(quarantined.path) was set aside as damaged: \(quarantined.reason)")
        }
        if let lost = lostDeletions {
            for block in blocks where block.sequence.first <= lost.throughSequence && block.times.overlaps(range) {
                lost.quarantined(at: store.tombstonePath).tell(over: block.times, in: context)
            }
        }
        for lost in missing where lost.times.overlaps(range) {
            lost.quarantined(at: store.path(of: lost.sequence)).tell(over: lost.times, in: context)
        }
        for block in blocks {
            try context.check()
            guard block.times.overlaps(range) else {
                try context.count { $0.blocksSkipped += 1 }
                continue
            }
            do {
                try body(block, tombstones)
                try context.count { $0.blocksRead += 1 }
            } catch let damage as BlockDamage {
                block.note(damage)
                block.tell(damage, missing: block.times, of: .empty, in: context)
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
    /// Whether no moment lies within.
    var isEmpty: Bool { startMilliseconds > endMilliseconds }

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
