internal import Telemetry

/// A line filter at work on the blocks of one query: rules blocks out by their words, runs automata over templates and
/// columns, and looks at rebuilt lines only for what no automaton can decide.
final class BlockSearch {
    let filter: LineFilter
    /// The severities that are asked for; nil for all. Lines with one of their own are always among them.
    let severities: SeveritySet?
    /// For each predicate its automaton; nil for one that needs whole lines.
    private var scans: [TemplateScan?]
    /// Texts of which every line that passes must contain one, for each predicate that has such texts.
    private let needles: [[NeedleWords]]
    /// What columns tell of fields; lines in memory are not looked at for that.
    private let fields: FieldSearch?
    /// What settled the block that was selected from last without a look at its values; nil when they were looked at.
    private(set) var settledBy: WritableKeyPath<SkippedBlocks, Int>?

    /// A search for lines that pass `filter` and, as far as columns tell, the comparisons with fields in `fragment`.
    init(_ filter: LineFilter, _ fragment: LogPlanFragment = LogPlanFragment()) {
        self.filter = filter
        severities = fragment.severities.map { $0.union(.own) }
        fields = FieldSearch(fragment)
        scans = filter.sources.map { ByteAutomaton.of($0).map { TemplateScan($0) } }
        needles = filter.predicates.compactMap { predicate in predicate.needles.map { $0.map { NeedleWords($0) } } }
    }

    /// What kind of filter says that no line of a block can pass, from its row in the index and its words; nil when
    /// some may. A filter that cannot be read rules nothing out.
    func obstacle(_ block: StoredBlock, _ blocks: BlockCache) -> WritableKeyPath<SkippedBlocks, Int>? {
        if let severities, block.summary.severities.isKnown,
            severities.isDisjoint(with: block.summary.severities.set)
        {
            return \.severity
        }
        return mayHaveWords(block, blocks) ? nil : \.words
    }

    private func mayHaveWords(_ block: StoredBlock, _ blocks: BlockCache) -> Bool {
        for alternatives in needles {
            let isPossible = alternatives.contains { needle in
                switch needle.demand(block.summary) {
                case .nothing: return true
                case .impossible: return false
                case .words(let hashes):
                    guard let filter = try? blocks.filter(block) else { return true }
                    return hashes.allSatisfy { filter.contains($0) }
                }
            }
            if !isPossible { return false }
        }
        return true
    }

    /// Whether a severity is asked for.
    @inline(__always)
    func wants(_ number: UInt8) -> Bool { severities?.contains(SeveritySet(number: number)) ?? true }

    /// The lines of `range` that pass, rising, of a stream with these labels. `stored` is the block that was opened.
    func select(
        _ block: OpenBlock, _ range: Range<Int>, of stored: StoredBlock, labels: Labels = .empty
    ) throws -> [Int32] {
        settledBy = nil
        var lines = try lines(block, range)
        if let severities, !lines.isEmpty,
            !block.summary.severities.isKnown || !severities.isSuperset(of: block.summary.severities.set)
        {
            let numbers = try LineSeverities.numbers(of: block, stored: stored, labels: labels)
            lines.removeAll { !wants(numbers[Int($0)]) }
        }
        guard let fields, !lines.isEmpty else { return lines }
        lines = try fields.select(block, lines, labels: labels)
        if lines.isEmpty { settledBy = fields.evidence.skipped }
        return lines
    }

    private func lines(_ block: OpenBlock, _ range: Range<Int>) throws -> [Int32] {
        if filter.isEmpty { return range.map { Int32($0) } }
        if filter.hasTexts, let text = try block.smallText() {
            return text.bytes.withUnsafeBytes { filter.select($0, ends: text.ends, range: range) }
        }
        var lines: [Bool]?
        var open: [Int] = []
        for (index, predicate) in filter.sources.enumerated() {
            guard let scan = scans[index], let verdict = try scan.verdict(block, range) else {
                scans[index] = nil
                open.append(index)
                continue
            }
            switch verdict {
            case .all where predicate.isNegated, .none where !predicate.isNegated:
                settledBy = scan.evidence.skipped
                return []
            case .all, .none: break
            case .lines(let found):
                guard var passing = lines else {
                    lines = predicate.isNegated ? found.map { !$0 } : found
                    continue
                }
                for row in passing.indices where passing[row] { passing[row] = found[row] != predicate.isNegated }
                lines = passing
            }
        }
        var selected: [Int32] = []
        if let lines {
            for row in range where lines[row] { selected.append(Int32(row)) }
        } else {
            selected = range.map { Int32($0) }
        }
        return open.isEmpty || selected.isEmpty ? selected : try rebuild(block, selected, open)
    }

    /// Those of `candidates` that pass the predicates `open`, seen as whole lines.
    private func rebuild(_ block: OpenBlock, _ candidates: [Int32], _ open: [Int]) throws -> [Int32] {
        var bytes: [UInt8] = []
        var ends: [Int] = []
        try block.complete().append(candidates, to: &bytes, ends: &ends)
        return bytes.withUnsafeBytes { bytes in
            candidates.indices.compactMap { index in
                let line = UnsafeRawBufferPointer(rebasing: bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]])
                return open.allSatisfy { filter.predicates[$0].matches(line) } ? candidates[index] : nil
            }
        }
    }
}

/// What the words of a text that is searched for say about blocks.
struct NeedleWords {
    private struct Word {
        let hash: UInt64
        let count: Int
        /// Whether it begins or ends the text: then the line's word may be longer.
        let isOpen: Bool
        /// Whether it is made of hexadecimal digits and hyphens.
        let isIdentifier: Bool
    }

    /// What a block must have.
    enum Demand {
        /// Nothing that could be looked up.
        case nothing
        case impossible
        /// All of these.
        case words([UInt64])
    }

    private let words: [Word]

    /// The words of `text`.
    init(_ text: [UInt8]) {
        words = text.withUnsafeBytes { bytes in
            var words: [Word] = []
            WordCollector.forEachWord(of: bytes) { range in
                let isOpen = range.lowerBound == 0 || range.upperBound == bytes.count
                let word = UnsafeRawBufferPointer(rebasing: bytes[range])
                let isIdentifier = WordRuns(identifiersIn: word).whole >= 0
                words.append(
                    Word(hash: WordHash.hash(word), count: word.count, isOpen: isOpen, isIdentifier: isIdentifier))
            }
            return words
        }
    }

    /// What a block with this summary must have to contain the text.
    func demand(_ summary: BlockSummary) -> Demand {
        var hashes: [UInt64] = []
        for word in words {
            // Words up to the longest one that is not in the filter may be anywhere; an identifier only where a run of
            // its bytes is that long.
            let unindexed = word.isIdentifier ? summary.longestUnindexedRun : summary.longestUnindexedWord
            guard word.count > unindexed else { continue }
            let indexed = word.isIdentifier ? summary.longestIndexedRun : summary.longestIndexedWord
            if word.count > indexed { return .impossible }
            // Part of a longer word is not in the filter either.
            if !word.isOpen || word.count == indexed { hashes.append(word.hash) }
        }
        return hashes.isEmpty ? .nothing : .words(hashes)
    }
}
