internal import Disk
internal import Synchronization
internal import Telemetry

/// What a request selects, from head and blocks at one moment: series with the places of their samples.
struct Selection {
    /// A series and where its samples are.
    struct Series {
        let labels: Labels
        var segments: Segments
    }

    /// Most series have their samples in one place.
    enum Segments {
        case one(SeriesSegment)
        case many([SeriesSegment])

        func append(to all: inout [SeriesSegment]) {
            switch self {
            case .one(let segment): all.append(segment)
            case .many(let segments): all.append(contentsOf: segments)
            }
        }
    }

    private let request: SeriesRequest
    private let reading: SeriesReading
    private let cache: SelectionCache
    /// Ordered by labels.
    private(set) var series: [Series] = []

    /// What a series costs before its first sample is read.
    private static let seriesBytes = 320
    /// After so many series it is asked whether the query is still wanted.
    static let checkInterval = 1 << 10

    /// Looks the request up; of what it finds, in order, as many as the request asks for.
    init(
        _ request: SeriesRequest, head: Head, blocks store: BlockStore, cache: SelectionCache, in context: QueryContext
    ) throws {
        self.request = request
        self.cache = cache
        try context.check()
        reading = SeriesReading(request, in: context)
        let newest = try found(in: FoundInHead(request, head, cache))
        var lists: [[Series]] = []
        try store.view.forEachBlock(of: store, in: request.range, context) { block, tombstones in
            lists.append(try found(in: FoundInBlock(request, block, tombstones, cache)))
        }
        // In the order of time.
        lists.append(newest)
        series = Self.merged(lists)
        guard request.limit > 0, series.count > request.limit else { return }
        context.warn("the answer was cut to \(request.limit) of \(series.count) series, as the request asked")
        series.removeLast(series.count - request.limit)
    }

    /// A cursor for each series.
    var cursors: [any SeriesCursor] { series.map { MergingCursor($0.labels, $0.segments, reading) } }

    private func found(in head: FoundInHead) throws -> [Series] {
        try reading.context.reserve(head.series.count * Self.seriesBytes)
        var list: [Series] = []
        for (index, series) in head.series.enumerated() {
            if index % Self.checkInterval == 0 { try reading.context.check() }
            var (first, more): (SeriesSegment?, [SeriesSegment]) = (nil, [])
            head.forEachTable(of: series) { snapshot, age in
                let segment = SeriesSegment(snapshot, column: series.column, age: age)
                if let one = first {
                    more = more.isEmpty ? [one, segment] : more + [segment]
                } else {
                    first = segment
                }
            }
            if let first {
                list.append(Series(labels: series.labels, segments: more.isEmpty ? .one(first) : .many(more)))
            }
        }
        return list
    }

    private func found(in block: FoundInBlock) throws -> [Series] {
        let elements = try block.elements(in: reading.context).elements
        try reading.context.reserve(elements.count * Self.seriesBytes)
        var windows = [[StripWindow]?](repeating: nil, count: block.groupCount)
        var list: [Series] = []
        list.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            if index % Self.checkInterval == 0 { try reading.context.check() }
            let group = Int(element.group)
            let strips = windows[group] ?? block.windows(ofGroup: group, reading)
            windows[group] = strips
            let holes = block.holes(of: element.number)
            // Of one strip for all of the group's series nothing is to be asked.
            if strips.count == 1, holes.isEmpty, strips[0].location.ordinals.contains(element.number) {
                let segment = SeriesSegment(strips[0], element.number, holes: [])
                list.append(Series(labels: element.labels, segments: .one(segment)))
                continue
            }
            let segments = strips.filter { strip in
                strip.location.ordinals.contains(element.number)
                    && !holes.contains { $0.covers(strip.location.times) }
            }.map { SeriesSegment($0, element.number, holes: holes) }
            if !segments.isEmpty { list.append(Series(labels: element.labels, segments: .many(segments))) }
        }
        return list
    }

    /// One list of several that are ordered; a few at a time, so that many blocks cost little more than few.
    private static func merged(_ lists: consuming [[Series]]) -> [Series] {
        var lists = lists.filter { !$0.isEmpty }
        while lists.count > 1 {
            lists = stride(from: 0, to: lists.count, by: mergedMaximum).map { start in
                let some = lists[start..<min(start + mergedMaximum, lists.count)]
                return some.count == 1 ? some[start] : mergedAtOnce(Array(some))
            }
        }
        return lists.first ?? []
    }

    /// So many lists are merged at once.
    private static let mergedMaximum = 8

    private static func mergedAtOnce(_ lists: [[Series]]) -> [Series] {
        var result: [Series] = []
        result.reserveCapacity(lists.reduce(0) { max($0, $1.count) })
        var next = [Int](repeating: 0, count: lists.count)
        // The lists whose next series is the one to take.
        var equal: [Int] = []
        while true {
            equal.removeAll(keepingCapacity: true)
            for index in lists.indices where next[index] < lists[index].count {
                guard let first = equal.first else {
                    equal.append(index)
                    continue
                }
                let (labels, least) = (lists[index][next[index]].labels, lists[first][next[first]].labels)
                if labels == least {
                    equal.append(index)
                } else if labels < least {
                    equal.removeAll(keepingCapacity: true)
                    equal.append(index)
                }
            }
            guard let first = equal.first else { return result }
            var series = lists[first][next[first]]
            if equal.count > 1 {
                var segments: [SeriesSegment] = []
                segments.reserveCapacity(equal.count)
                for index in equal { lists[index][next[index]].segments.append(to: &segments) }
                series.segments = .many(segments)
            }
            result.append(series)
            for index in equal { next[index] += 1 }
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

    init(_ request: SeriesRequest, _ head: Head, _ cache: SelectionCache) throws {
        range = request.range
        // Matching may take long on a large index, so it is done outside `visible`; when series came in between, once
        // more.
        var (found, version) = try Self.match(request, head, cache)
        snapshots = try head.visible.withLock { _ in
            if head.index.withLock(\.version) != version { (found, version) = try Self.match(request, head, cache) }
            var snapshots: [UInt64: [HeadTable.Snapshot]] = [:]
            for series in found where snapshots[series.group.id] == nil {
                snapshots[series.group.id] = series.group.snapshots()
            }
            return snapshots
        }
        series = found
    }

    /// The series that match, in the order of their labels. Kept are their numbers only: what they belong to may go.
    private static func match(
        _ request: SeriesRequest, _ head: Head, _ cache: SelectionCache
    ) throws -> ([HeadSeries], UInt64) {
        let key = SelectionKey(reader: 0, matchers: request.matchers)
        let known = cache.find(key)
        var elements: [SelectedSeries.Element] = []
        let (found, version) = try head.index.withLock { index -> ([HeadSeries], UInt64) in
            if request.range.isEmpty { return ([], index.version) }
            if let known, known.version == index.version {
                return (known.elements.map { index.series[Int($0.number)] }, index.version)
            }
            var found: [HeadSeries] = []
            try index.select(request.matchers).forEach { number in
                let series = index.series[Int(number)]
                // Where it is here, for want of a group.
                let place = UInt32(found.count)
                elements.append(SelectedSeries.Element(labels: series.labels, number: number, group: place))
                found.append(series)
            }
            return (found, index.version)
        }
        guard !elements.isEmpty else { return (found, version) }
        // Putting many in order takes its time, which nobody is to wait for.
        let selected = SelectedSeries(elements, version: version)
        cache.keep(selected, as: key)
        return (selected.elements.map { found[Int($0.group)] }, version)
    }

    /// Calls `body` with the tables with samples of a series that reach into the range, and how old each is.
    func forEachTable(of series: HeadSeries, _ body: (HeadTable.Snapshot, Int) -> Void) {
        for (age, snapshot) in (snapshots[series.group.id] ?? []).enumerated()
        where snapshot.times.overlaps(range) && snapshot.holds(column: series.column) { body(snapshot, age) }
    }

    /// Whether a series has samples in tables that reach into the range.
    func holds(_ series: HeadSeries) -> Bool {
        (snapshots[series.group.id] ?? []).contains {
            $0.times.overlaps(range) && $0.holds(column: series.column)
        }
    }
}

/// What a request selects in one block.
struct FoundInBlock {
    private let index: BlockIndex
    private let block: Block
    private let request: SeriesRequest
    private let cache: SelectionCache
    private let deletions: [Deletion]

    private var range: TimeRange { request.range }
    var groupCount: Int { index.groups.count }

    init(_ request: SeriesRequest, _ block: Block, _ tombstones: [Tombstone], _ cache: SelectionCache) throws {
        self.block = block
        self.request = request
        self.cache = cache
        index = try block.reader.index()
        deletions = try block.deletions(tombstones, in: index)
    }

    /// The series that match, whether or not they have samples in the range.
    func elements(in context: QueryContext) throws -> SelectedSeries {
        let key = SelectionKey(reader: block.reader.number, matchers: request.matchers)
        if let known = cache.find(key) { return known }
        let selected = try index.select(request.matchers)
        // Labels are made here: what many series take is to be there before.
        let bytes = selected.count * 256
        try context.reserve(bytes)
        defer { context.release(bytes) }
        var elements: [SelectedSeries.Element] = []
        elements.reserveCapacity(selected.count)
        var group = 0
        for run in selected.runs {
            for ordinal in run {
                while index.groups[group].ordinals.upperBound <= ordinal { group += 1 }
                elements.append(
                    SelectedSeries.Element(labels: try labels(of: ordinal), number: ordinal, group: UInt32(group)))
            }
        }
        let found = SelectedSeries(elements)
        cache.keep(found, as: key)
        return found
    }

    /// The strips of a group that reach into the range.
    func windows(ofGroup group: Int, _ reading: SeriesReading) -> [StripWindow] {
        index.groups[group].strips.filter { $0.times.overlaps(range) }.map { StripWindow($0, of: block, reading) }
    }

    /// The labels of a series.
    private func labels(of ordinal: UInt32) throws(BlockDamage) -> Labels {
        do throws(ByteError) { return try index.labels(of: ordinal) } catch { throw damage(error) }
    }

    /// The values of a label among the series with samples in the range, in the order of their bytes.
    func values(of name: String) throws -> [String] {
        let selected = try index.select(request.matchers)
        do throws(ByteError) {
            return try index.labelValues(name) { selected.contains($0) && hasStrips($0) }
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

    /// Whether a series has strips that reach into the range and were not deleted as a whole.
    private func hasStrips(_ ordinal: UInt32) -> Bool {
        let holes = holes(of: ordinal)
        return index.group(of: ordinal).strips.contains { strip in
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
        table.rows.withLock { $0.count(ofColumn: column, belowRow: rowCount) > 0 }
    }
}
