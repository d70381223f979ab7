internal import Telemetry

/// Counts lines and their bytes per group and bucket of time. Whole blocks within one bucket are counted from the
/// index; others need their times and lengths; only a filter needs the lines.
struct LineCounter {
    private let range: LogTimeRange
    private let bucketNanoseconds: Int64
    private let buckets: Int
    private let grouping: Set<String>?
    private let context: QueryContext
    private var groups: [LogCounts] = []
    private var numbers: [Labels: Int] = [:]

    /// The most buckets a request may have: one for each second of a year.
    static let bucketsMaximum = 32_000_000

    /// A counter over `range`; nil when there are more buckets than it takes.
    init?(range: LogTimeRange, bucketNanoseconds: Int64, grouping: [String]?, context: QueryContext) throws {
        self.range = range
        self.bucketNanoseconds = bucketNanoseconds
        self.grouping = grouping.map { Set($0) }
        self.context = context
        let (span, overflows) = range.endNanoseconds.subtractingReportingOverflow(range.startNanoseconds)
        guard !overflows else { return nil }
        let count = span <= 0 ? 0 : (span - 1) / bucketNanoseconds + 1
        guard count <= Int64(LineCounter.bucketsMaximum) else { return nil }
        buckets = Int(count)
    }

    /// The groups with a line, ordered by labels.
    var counts: [LogCounts] { groups.sorted { $0.labels < $1.labels } }

    /// Counts a run. `served` is what of the range may be answered.
    mutating func add(_ run: LineRun, labels: Labels, within served: LogTimeRange, filter: LineFilter) throws {
        let key = grouping.map { labels.keeping($0) } ?? labels
        if filter.isEmpty, run.isWhole(within: served),
            bucket(run.firstNanoseconds) == bucket(run.lastNanoseconds)
        {
            try context.count { $0.blocksSkipped += 1 }
            let group = try group(of: key)
            groups[group].lines[bucket(run.firstNanoseconds)] += run.lines
            groups[group].bytes[bucket(run.firstNanoseconds)] += run.rawBytes
            return
        }
        guard filter.isEmpty else {
            guard let open = try OpenRun(run, range: served, filter: filter, context: context) else { return }
            return try add(key, open.times, open.lineEnds, open.selected)
        }
        let (times, ends) = try timesAndEnds(run)
        let selected = times.indices.filter { run.includes(times[$0], of: served) }.map { Int32($0) }
        try add(key, times, ends, selected)
    }

    private func timesAndEnds(_ run: LineRun) throws -> ([Int64], [Int]) {
        switch run.content {
        case .chunk(let chunk): return (chunk.columns.timesNanoseconds, chunk.columns.lineEnds)
        case .block(let block):
            let stored = block.summary[.times] + block.summary[.lengths]
            try context.count {
                $0.blocksRead += 1
                if block.isInPart { $0.bytesRead += stored }
            }
            return (try block.times(), try block.lineEnds())
        }
    }

    private mutating func add(_ key: Labels, _ times: [Int64], _ ends: [Int], _ selected: [Int32]) throws {
        if selected.isEmpty { return }
        let group = try group(of: key)
        for line in selected {
            let index = Int(line)
            let bucket = bucket(times[index])
            groups[group].lines[bucket] += 1
            groups[group].bytes[bucket] += ends[index] - (index == 0 ? 0 : ends[index - 1])
        }
    }

    private func bucket(_ nanoseconds: Int64) -> Int {
        Int((nanoseconds &- range.startNanoseconds) / bucketNanoseconds)
    }

    private mutating func group(of key: Labels) throws -> Int {
        if let known = numbers[key] { return known }
        try context.reserve(buckets * 16)
        let zeros = [Int](repeating: 0, count: buckets)
        numbers[key] = groups.count
        groups.append(LogCounts(labels: key, lines: zeros, bytes: zeros))
        return groups.count - 1
    }
}
