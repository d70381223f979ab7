internal import Telemetry

/// Runs an automaton over the lines of a block without rebuilding them: once over a static text for all lines that have
/// it, once over each entry of a dictionary, and over single values only where the outcome depends on them.
final class TemplateScan {
    let reach: StateReach
    let automaton: ByteAutomaton

    /// What is known of a block's lines.
    enum Verdict {
        case none
        case all
        /// One per line.
        case lines([Bool])
    }

    init(_ automaton: ByteAutomaton) {
        self.automaton = automaton
        reach = StateReach(automaton)
    }

    /// Which lines of `range` contain a match; nil when the automaton grew too large.
    func verdict(_ block: OpenBlock, _ range: Range<Int>) throws -> Verdict? {
        reach.use(block.tableOwner)
        let stored = block.lines
        var outcomes: [Bool?] = []
        for leaf in stored.leaves.indices {
            let states = try states(behind: [automaton.start], leaf, of: stored, block)
            outcomes.append(states.flatMap { outcome($0) })
        }
        if automaton.isOverflown { return nil }
        if outcomes.allSatisfy({ $0 == false }) { return Verdict.none }
        if outcomes.allSatisfy({ $0 == true }) { return .all }
        let templates = try block.templates()
        var lines = [Bool](repeating: false, count: stored.count)
        for (row, leaf) in templates.leafIndexes.enumerated() where outcomes[Int(leaf)] == true { lines[row] = true }
        for leaf in stored.leaves.indices where outcomes[leaf] == nil {
            let rows = templates.rows(ofLeaf: leaf, within: range)
            if rows.isEmpty { continue }
            var states = RowStates(count: rows.count, state: automaton.start)
            try walk(templates, leaf, rows, &states, Scope(block: block, rows: nil, isOutermost: true))
            if let uniform = states.uniform {
                if automaton.acceptsAtEnd(uniform) { for row in rows { lines[Int(row)] = true } }
            } else {
                for (place, row) in rows.enumerated() where automaton.acceptsAtEnd(states.single[place]) {
                    lines[Int(row)] = true
                }
            }
        }
        return automaton.isOverflown ? nil : .lines(lines)
    }

    /// Whether lines that can end in these states match; nil when it depends.
    private func outcome(_ states: [Int32]) -> Bool? {
        let matches = states.count { automaton.acceptsAtEnd($0) }
        return matches == 0 ? false : matches == states.count ? true : nil
    }

    // MARK: Without values

    /// The states behind a template for any values its columns can have; nil when there are too many.
    func states(
        behind starts: [Int32], _ leaf: Int, of stored: StoredTemplates, _ block: OpenBlock
    ) throws -> [Int32]? {
        var current = Set(starts)
        for column in stored.layout.columns[leaf] {
            let node = stored.layout.nodes[column]
            var next = Set<Int32>()
            for state in Set(current.map { reach.state($0, behind: node, of: block.table) }) {
                guard let more = try states(behind: state, stored.columns[column], block) else { return nil }
                next.formUnion(more)
            }
            if next.count > StateReach.statesMaximum { return nil }
            current = next
        }
        return Array(Set(current.map { reach.state($0, behind: stored.leaves[leaf], of: block.table) }))
    }

    /// The states behind a column's values; nil when there are too many.
    func states(behind state: Int32, _ column: StoredColumn, _ block: OpenBlock) throws -> [Int32]? {
        if automaton.isAccepting(state) { return [state] }
        switch column.form {
        case .constant:
            guard case .constant(let bytes) = try block.values(column, rows: nil) else { return nil }
            return [bytes.withUnsafeBytes { automaton.run(state, $0) }]
        case .dictionary:
            let texts = try block.texts(of: column)
            var targets = Set<Int32>()
            for index in 0..<texts.count {
                targets.insert(texts.withText(index) { automaton.run(state, $0) })
                if targets.count > StateReach.statesMaximum { return nil }
            }
            return Array(targets)
        case .templated(let inner):
            var targets = Set<Int32>()
            for leaf in inner.leaves.indices {
                guard let more = try states(behind: [state], leaf, of: inner, block) else { return nil }
                targets.formUnion(more)
            }
            return targets.count > StateReach.statesMaximum ? nil : Array(targets)
        case .timestamps(let form, _): return reach.states(behind: state, form: form)
        case .packed(let width, let isUpper, let hasHyphens, _) where !hasHyphens:
            return reach.states(
                behind: state, bytes: isUpper ? .upperHexadecimal : .lowerHexadecimal, shortest: width, longest: width)
        default:
            guard let (bytes, lengths) = column.extent else { return nil }
            return reach.states(behind: state, bytes: bytes, shortest: lengths.lowerBound, longest: lengths.upperBound)
        }
    }
}

extension StoredColumn {
    /// The bytes that its values can have, and their lengths, as far as the description tells; nil for any bytes.
    var extent: (ByteSet, ClosedRange<Int>)? {
        switch form {
        case .integers(let stored):
            guard let bounds = stored.bounds else { return (.signedDigits, 1...19) }
            let longest = max(String(bounds.lowerBound).utf8.count, String(bounds.upperBound).utf8.count)
            return (bounds.lowerBound < 0 ? .signedDigits : .digits, 1...longest)
        case .fixed(let width, _): return (.digits, width...width)
        case .decimals: return (.decimalDigits, 3...19)
        case .addresses: return (.addressDigits, 7...15)
        case .hexadecimal(let width, let isUpper, _):
            return (isUpper ? .upperHexadecimal : .lowerHexadecimal, width...width)
        case .packed(_, let isUpper, _, _):
            return ((isUpper ? ByteSet.upperHexadecimal : .lowerHexadecimal).union(ByteSet("-".utf8)), 36...36)
        default: return nil
        }
    }
}

extension ByteSet {
    static let signedDigits = digits.union(ByteSet("-".utf8))
    static let decimalDigits = digits.union(ByteSet("-.".utf8))
    static let addressDigits = digits.union(ByteSet(".".utf8))
    static let lowerHexadecimal = digits.union(ByteSet("abcdef".utf8))
    static let upperHexadecimal = digits.union(ByteSet("ABCDEF".utf8))
}

extension TimestampForm {
    /// The bytes that can stand at each place of a value.
    var places: [ByteSet] {
        func one(_ byte: UInt8) -> ByteSet { ByteSet(CollectionOfOne(byte)) }
        let two = [ByteSet.digits, .digits]
        let clock = two + [one(UInt8(ascii: ":"))] + two + [one(UInt8(ascii: ":"))] + two
        var places: [ByteSet]
        switch kind {
        case .epoch: places = [ByteSet](repeating: .digits, count: 10)
        case .date:
            places = two + two + [one(dateSeparator)] + two + [one(dateSeparator)] + two + [one(timeSeparator)] + clock
        case .webServer:
            let slash = one(UInt8(ascii: "/"))
            let letters = ByteSet.lower.union(.upper)
            places = two + [slash, letters, letters, letters, slash] + two + two + [one(UInt8(ascii: ":"))] + clock
        }
        if fractionDigits > 0 {
            places += [one(fractionSeparator)] + [ByteSet](repeating: .digits, count: fractionDigits)
        }
        return places + suffix.map { one($0) }
    }
}
