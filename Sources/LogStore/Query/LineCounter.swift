internal import Telemetry

/// Counts lines and their bytes per group and bucket of time. Whole blocks within one bucket are counted from the
/// index; others need their times and lengths; only a filter needs the lines.
struct LineCounter {
    private let buckets: TimeBuckets
    private let grouping: Set<String>?
    private let context: QueryContext
    /// Whether bytes are asked for, too: lines must be measured for them.
    private let countsBytes: Bool
    private var groups: [LogCounts] = []
    private var numbers: [Labels: Int] = [:]

    /// A counter over `range`; nil when there are more buckets than it takes.
    init?(
        range: LogTimeRange, bucketNanoseconds: Int64, grouping: [String]?, countsBytes: Bool, context: QueryContext
    ) throws {
        self.countsBytes = countsBytes
        guard let buckets = TimeBuckets(range: range, widthNanoseconds: bucketNanoseconds) else { return nil }
        self.buckets = buckets
        self.grouping = grouping.map { Set($0) }
        self.context = context
    }

    /// The groups with a line, ordered by labels.
    var counts: [LogCounts] { groups.sorted { $0.labels < $1.labels } }

    /// Counts a run. `served` is what of the range may be answered.
    mutating func add(
        _ run: LineRun, labels: Labels, within served: LogTimeRange, search: BlockSearch, blocks: BlockCache
    ) throws {
        let key = grouping.map { labels.keeping($0) } ?? labels
        if search.filter.isEmpty, run.isWhole(within: served),
            bucket(run.firstNanoseconds) == bucket(run.lastNanoseconds)
        {
            try context.count { $0.blocksSkipped += 1 }
            return try addWhole(key, run)
        }
        switch run.content {
        case .chunk(let chunk):
            let columns = chunk.isSorted ? chunk.columns : chunk.columns.sorted()
            let selected = OpenRun.select(run, columns, range: served, filter: search.filter)
            let (scanned, matched) = (run.lines, selected.count)
            try context.count {
                $0.linesScanned += scanned
                $0.linesMatched += matched
            }
            try add(key, columns.timesNanoseconds, selected) { line in
                columns.lineEnds[line] - columns.lineStart(line)
            }
        case .block(let block):
            guard let (open, selected) = try OpenRun.select(run, block, served, search, context, blocks) else { return }
            let (scanned, matched) = (run.lines, selected.count)
            try context.count {
                $0.linesScanned += scanned
                $0.linesMatched += matched
            }
            if selected.isEmpty { return }
            if selected.count == run.lines, bucket(run.firstNanoseconds) == bucket(run.lastNanoseconds) {
                return try addWhole(key, run)
            }
            let lengths = countsBytes ? try open.lengths() : []
            if run.isWhole(within: served), bucket(run.firstNanoseconds) == bucket(run.lastNanoseconds) {
                let group = try group(of: key)
                let bucket = bucket(run.firstNanoseconds)
                groups[group].lines[bucket] += selected.count
                if countsBytes { for line in selected { groups[group].bytes[bucket] += Int(lengths[Int(line)]) } }
                return
            }
            try add(key, try open.times(), selected) { lengths.isEmpty ? 0 : Int(lengths[$0]) }
        }
    }

    private mutating func addWhole(_ key: Labels, _ run: LineRun) throws {
        let group = try group(of: key)
        groups[group].lines[bucket(run.firstNanoseconds)] += run.lines
        groups[group].bytes[bucket(run.firstNanoseconds)] += run.rawBytes
    }

    private mutating func add(
        _ key: Labels, _ times: [Int64], _ selected: [Int32], length: (Int) -> Int
    ) throws {
        if selected.isEmpty { return }
        let group = try group(of: key)
        for line in selected {
            let bucket = bucket(times[Int(line)])
            groups[group].lines[bucket] += 1
            if countsBytes { groups[group].bytes[bucket] += length(Int(line)) }
        }
    }

    private func bucket(_ nanoseconds: Int64) -> Int { buckets.index(of: nanoseconds) }

    private mutating func group(of key: Labels) throws -> Int {
        if let known = numbers[key] { return known }
        try context.reserve(buckets.count * 16)
        let zeros = [Int](repeating: 0, count: buckets.count)
        numbers[key] = groups.count
        groups.append(LogCounts(labels: key, lines: zeros, bytes: zeros))
        return groups.count - 1
    }
}
