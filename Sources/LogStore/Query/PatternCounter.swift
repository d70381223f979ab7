internal import Telemetry

/// Counts lines per template and bucket of time. Only the first line of each pattern is rebuilt, as its example.
struct PatternCounter {
    private let buckets: TimeBuckets
    private let search: BlockSearch
    private let blocks: BlockCache
    private let context: QueryContext
    private var groups: [LogPatternCounts] = []
    private var numbers: [String: Int] = [:]
    /// The groups of the templates of the part that was met last, by node; -1 where it was not asked for yet.
    private var known: [Int32] = []
    private var knownOwner: ObjectIdentifier?

    /// A counter over `range`; nil when there are more buckets than it takes.
    init?(
        range: LogTimeRange, bucketNanoseconds: Int64, search: BlockSearch, blocks: BlockCache, context: QueryContext
    ) {
        guard let buckets = TimeBuckets(range: range, widthNanoseconds: bucketNanoseconds) else { return nil }
        self.buckets = buckets
        self.search = search
        self.blocks = blocks
        self.context = context
    }

    /// The patterns with a line, the most frequent first.
    var counts: [LogPatternCounts] {
        let totals = groups.map { (group: $0, total: $0.total) }
        return totals.sorted { $0.total == $1.total ? $0.group.pattern < $1.group.pattern : $0.total > $1.total }
            .map(\.group)
    }

    /// Counts a run. `served` is what of the range may be answered. False when lines are asked for by a severity and
    /// some came with a level of their own: then only the lines themselves tell.
    mutating func add(_ run: LineRun, within served: LogTimeRange) throws -> Bool {
        let block: StoredBlock
        switch run.content {
        case .block(let stored): block = stored
        // Lines in memory have no templates yet: they get the same ones as they would in a part.
        case .chunk(let chunk): block = StoredBlock(HeadStream.encode([chunk], of: run.labels))
        }
        guard let (open, selected) = try OpenRun.select(run, block, served, search, context, blocks) else {
            return true
        }
        let (scanned, matched) = (run.lines, selected.count)
        try context.count {
            $0.linesScanned += scanned
            $0.linesMatched += matched
        }
        if selected.isEmpty { return true }
        if search.severities != nil {
            let severities = try LineSeverities.numbers(of: open, stored: block, labels: run.labels)
            if selected.contains(where: { severities[Int($0)] == LineSeverity.own }) { return false }
        }
        if knownOwner != open.tableOwner {
            knownOwner = open.tableOwner
            known = [Int32](repeating: -1, count: open.table.count)
        }
        let templates = try open.templates()
        let times = try open.times()
        for line in selected {
            let leaf = templates.stored.leaves[Int(templates.leafIndexes[Int(line)])]
            if known[leaf] < 0 { known[leaf] = try group(of: leaf, open, line, times[Int(line)], run.labels) }
            groups[Int(known[leaf])].lines[buckets.index(of: times[Int(line)])] += 1
        }
        return true
    }

    private mutating func group(
        of leaf: Int, _ block: OpenBlock, _ line: Int32, _ nanoseconds: Int64, _ labels: Labels
    ) throws -> Int32 {
        let pattern = block.table.pattern(of: leaf)
        if let number = numbers[pattern] { return Int32(number) }
        var example: [UInt8] = []
        var ends: [Int] = []
        try block.complete().append(CollectionOfOne(line), to: &example, ends: &ends)
        try context.reserve(buckets.count * 8 + example.count + pattern.utf8.count)
        numbers[pattern] = groups.count
        groups.append(
            LogPatternCounts(
                pattern: pattern, lines: [Int](repeating: 0, count: buckets.count), example: example,
                exampleNanoseconds: nanoseconds, exampleLabels: labels))
        return Int32(groups.count - 1)
    }
}
