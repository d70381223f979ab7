internal import Telemetry

/// Counts lines per template and bucket of time. Only the first line of each pattern is rebuilt, as its example.
struct PatternCounter {
    private let buckets: TimeBuckets
    private let context: QueryContext
    private var groups: [LogPatternCounts] = []
    private var numbers: [String: Int] = [:]
    private var words = MessageWords()
    /// How many patterns each template has become by what its messages say.
    private var variants: [String: Int] = [:]
    /// Of the templates of the part that was met last, by node, nil where it was not asked for yet.
    private var slots: [[Int]?] = []
    /// The groups of its templates and messages.
    private var known: [Key: Int] = [:]
    private var knownOwner: ObjectIdentifier?

    /// A template, and what its messages say.
    private struct Key: Hashable {
        var leaf: Int
        var words = SIMD4<Int32>(repeating: MessageWords.varying)
    }

    /// A template with more messages than this has something else in these fields.
    private static let variantsMaximum = 256

    /// A counter over `range`; nil when there are more buckets than it takes.
    init?(range: LogTimeRange, bucketNanoseconds: Int64, context: QueryContext) {
        guard let buckets = TimeBuckets(range: range, widthNanoseconds: bucketNanoseconds) else { return nil }
        self.buckets = buckets
        self.context = context
    }

    /// The patterns with a line, the most frequent first.
    var counts: [LogPatternCounts] {
        let totals = groups.map { (group: $0, total: $0.total) }
        return totals.sorted { $0.total == $1.total ? $0.group.pattern < $1.group.pattern : $0.total > $1.total }
            .map(\.group)
    }

    /// Counts a run. `served` is what of the range may be answered.
    mutating func add(
        _ run: LineRun, labels: Labels, within served: LogTimeRange, search: BlockSearch, blocks: BlockCache
    ) throws {
        let block: StoredBlock
        switch run.content {
        case .block(let stored): block = stored
        // Lines in memory have no templates yet: they get the same ones as they would in a part.
        case .chunk(let chunk): block = StoredBlock(HeadStream.encode([chunk]))
        }
        guard let (open, selected) = try OpenRun.select(run, block, served, search, context, blocks) else { return }
        let (scanned, matched) = (run.lines, selected.count)
        try context.count {
            $0.linesScanned += scanned
            $0.linesMatched += matched
        }
        if selected.isEmpty { return }
        if knownOwner != open.tableOwner {
            knownOwner = open.tableOwner
            known = [:]
            slots = [[Int]?](repeating: nil, count: open.table.count)
        }
        let templates = try open.templates()
        let times = try open.times()
        // For each template of the block its message fields: where their values are, and what they say.
        var fields = [[(column: Int, says: MessageColumn)]?](repeating: nil, count: templates.stored.leaves.count)
        for line in selected {
            let index = Int(templates.leafIndexes[Int(line)])
            let leaf = templates.stored.leaves[index]
            let messages = try fields[index] ?? messages(of: leaf, templates.stored.layout.columns[index], open)
            fields[index] = messages
            var key = Key(leaf: leaf)
            for (place, field) in messages.enumerated() {
                key.words[place] = field.says[templates.position(Int(line), in: field.column)]
            }
            let group = try known[key] ?? group(of: key, open, line, times[Int(line)], labels)
            known[key] = group
            groups[group].lines[buckets.index(of: times[Int(line)])] += 1
        }
    }

    private mutating func messages(
        of leaf: Int, _ columns: [Int], _ block: OpenBlock
    ) throws -> [(column: Int, says: MessageColumn)] {
        let slots = self.slots[leaf] ?? MessageField.slots(of: leaf, in: block.table)
        self.slots[leaf] = slots
        return try slots.map { slot in
            let column = columns[slot]
            let rows = try block.templates().rows(ofColumn: column)
            return (column, words.column(try block.values(block.lines.columns[column], rows: rows)))
        }
    }

    private mutating func group(
        of key: Key, _ block: OpenBlock, _ line: Int32, _ nanoseconds: Int64, _ labels: Labels
    ) throws -> Int {
        let template = block.table.pattern(of: key.leaf)
        var said: [Int: String] = [:]
        for (place, slot) in (slots[key.leaf] ?? []).enumerated() { said[slot] = words.text(key.words[place]) }
        var pattern = block.table.pattern(of: key.leaf, saying: said)
        if numbers[pattern] == nil, pattern != template {
            if variants[template, default: 0] < PatternCounter.variantsMaximum {
                variants[template, default: 0] += 1
            } else {
                pattern = template
            }
        }
        if let number = numbers[pattern] { return number }
        var example: [UInt8] = []
        var ends: [Int] = []
        try block.complete().append(CollectionOfOne(line), to: &example, ends: &ends)
        try context.reserve(buckets.count * 8 + example.count + pattern.utf8.count)
        numbers[pattern] = groups.count
        groups.append(
            LogPatternCounts(
                pattern: pattern, lines: [Int](repeating: 0, count: buckets.count), example: example,
                exampleNanoseconds: nanoseconds, exampleLabels: labels))
        return groups.count - 1
    }
}
