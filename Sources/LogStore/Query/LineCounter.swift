internal import Telemetry

/// Counts lines and their bytes per group and bucket of time. Whole blocks within one bucket are counted from the
/// index, by severity too; others need their times, severities and lengths; only a filter needs the lines.
struct LineCounter {
    private let buckets: TimeBuckets
    private let grouping: Set<String>?
    private let search: BlockSearch
    private let blocks: BlockCache
    private let context: QueryContext
    /// Whether bytes are asked for, too: lines must be measured for them.
    private let countsBytes: Bool
    /// Whether lines are grouped by their severity.
    private let splitsSeverities: Bool
    private var groups: [LogCounts] = []
    private var numbers: [Labels: Int] = [:]

    /// A counter for a request; nil when there are more buckets than it takes.
    init?(
        _ request: LogRequest, bucketNanoseconds: Int64, search: BlockSearch, blocks: BlockCache, context: QueryContext
    ) {
        guard let buckets = TimeBuckets(range: request.range, widthNanoseconds: bucketNanoseconds) else { return nil }
        self.buckets = buckets
        self.search = search
        self.blocks = blocks
        self.context = context
        countsBytes = request.countsBytes
        grouping = request.fragment.grouping.map { Set($0) }
        // One count per stream is one for each severity of it where lines come with theirs.
        splitsSeverities = grouping?.contains(LineSeverity.label) ?? request.fragment.wantsSeverities
    }

    /// The groups with a line, ordered by labels.
    var counts: [LogCounts] { groups.sorted { $0.labels < $1.labels } }

    /// Whether structured metadata make no difference to the group of a line.
    private var ignoresMetadata: Bool { grouping?.allSatisfy { $0 == LineSeverity.label } ?? false }

    private var needsSeverities: Bool { splitsSeverities || search.severities != nil }

    /// Counts a run. `served` is what of the range may be answered. False when only the lines themselves tell which
    /// group they belong to: by their structured metadata, or by a level that they came with.
    mutating func add(_ run: LineRun, within served: LogTimeRange) throws -> Bool {
        guard !run.hasMetadata || ignoresMetadata else { return false }
        if try addFromIndex(run, within: served) { return true }
        switch run.content {
        case .chunk(let chunk):
            let columns = chunk.isSorted ? chunk.columns : chunk.columns.sorted()
            let selected = OpenRun.select(run, columns, range: served, search: search)
            try note(run, selected)
            var severities: [UInt8] = []
            if needsSeverities {
                LineSeverities.forEach(of: columns, lines: selected, labels: run.labels) { severities.append($1) }
            }
            return try add(run, selected, severities, columns.timesNanoseconds) { line in
                columns.lineEnds[line] - columns.lineStart(line)
            }
        case .block(let block):
            guard let (open, selected) = try OpenRun.select(run, block, served, search, context, blocks) else {
                return true
            }
            try note(run, selected)
            if selected.isEmpty { return true }
            if !needsSeverities, selected.count == run.lines, isInOneBucket(run) {
                try addWhole(run)
                return true
            }
            var severities: [UInt8] = []
            if needsSeverities {
                let all = try LineSeverities.numbers(of: open, stored: block, labels: run.labels)
                severities = selected.map { all[Int($0)] }
            }
            let lengths = countsBytes ? try open.lengths() : []
            let isInOneBucket = run.isWhole(within: served) && isInOneBucket(run)
            let times = isInOneBucket ? [] : try open.times()
            return try add(run, selected, severities, times) { lengths.isEmpty ? 0 : Int(lengths[$0]) }
        }
    }

    private func note(_ run: LineRun, _ selected: [Int32]) throws(QueryInterruption) {
        let (scanned, matched) = (run.lines, selected.count)
        try context.count {
            $0.linesScanned += scanned
            $0.linesMatched += matched
        }
    }

    private func isInOneBucket(_ run: LineRun) -> Bool { bucket(run.firstNanoseconds) == bucket(run.lastNanoseconds) }

    /// Counts a run of which every line is asked for and in one bucket, or its row tells how many are. False when it
    /// has to be looked into.
    private mutating func addFromIndex(_ run: LineRun, within served: LogTimeRange) throws -> Bool {
        guard search.filter.isEmpty, run.isWhole(within: served), isInOneBucket(run) else { return false }
        if needsSeverities {
            guard case .block(let block) = run.content, try addSeverities(block.summary, run) else { return false }
        } else {
            try addWhole(run)
        }
        let isBlock = if case .block = run.content { true } else { false }
        try context.count {
            $0.blocksSkipped += 1
            if isBlock { $0.skipped.counted += 1 }
        }
        return true
    }

    private mutating func addSeverities(_ summary: BlockSummary, _ run: LineRun) throws -> Bool {
        let known = summary.severities
        guard known.isKnown, known[LineSeverity.own] == 0, !countsBytes || known.only != nil else { return false }
        for number in 0..<LineSeverity.own where known[number] > 0 && search.wants(number) {
            let group = try group(of: run, severity: number)
            groups[group].lines[bucket(run.firstNanoseconds)] += known[number]
            // Bytes are asked for only where all lines have one severity.
            groups[group].bytes[bucket(run.firstNanoseconds)] += run.rawBytes
        }
        return true
    }

    private mutating func addWhole(_ run: LineRun) throws {
        let group = try group(of: run, severity: nil)
        groups[group].lines[bucket(run.firstNanoseconds)] += run.lines
        groups[group].bytes[bucket(run.firstNanoseconds)] += run.rawBytes
    }

    /// Counts single lines; `times` is empty when all are in the run's one bucket, `severities` where they do not
    /// matter.
    private mutating func add(
        _ run: LineRun, _ selected: [Int32], _ severities: [UInt8], _ times: [Int64], length: (Int) -> Int
    ) throws -> Bool {
        if selected.isEmpty { return true }
        if severities.contains(LineSeverity.own) { return false }
        let first = bucket(run.firstNanoseconds)
        if times.isEmpty, !splitsSeverities, !countsBytes {
            let group = try group(of: run, severity: nil)
            groups[group].lines[first] += selected.count
            return true
        }
        var groupsBySeverity = [Int](repeating: -1, count: LineSeverity.bound)
        for (index, line) in selected.enumerated() {
            let severity = splitsSeverities ? severities[index] : 0
            if groupsBySeverity[Int(severity)] < 0 {
                groupsBySeverity[Int(severity)] = try group(of: run, severity: severity)
            }
            let group = groupsBySeverity[Int(severity)]
            let bucket = times.isEmpty ? first : bucket(times[Int(line)])
            groups[group].lines[bucket] += 1
            if countsBytes { groups[group].bytes[bucket] += length(Int(line)) }
        }
        return true
    }

    private func bucket(_ nanoseconds: Int64) -> Int { buckets.index(of: nanoseconds) }

    private mutating func group(of run: LineRun, severity: UInt8?) throws -> Int {
        var key = grouping.map { run.labels.keeping($0) } ?? run.labels
        if splitsSeverities, let name = severity.flatMap({ LineSeverity.name(of: $0) }) {
            key = key.setting(LineSeverity.label, to: name)
        }
        if let known = numbers[key] { return known }
        try context.reserve(buckets.count * 16)
        let zeros = [Int](repeating: 0, count: buckets.count)
        numbers[key] = groups.count
        groups.append(LogCounts(labels: key, lines: zeros, bytes: zeros))
        return groups.count - 1
    }
}
