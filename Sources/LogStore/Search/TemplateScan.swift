internal import Telemetry

/// Runs an automaton over the lines of blocks without rebuilding them: once over a static text for all lines that have
/// it, once over each entry of a dictionary, and over single values only where the outcome depends on them.
///
/// First it follows templates down their tree with what the descriptions tell of each column: most templates are
/// settled by that alone. Only where the outcome is open are values looked at, column by column, the lines of one node
/// together.
final class TemplateScan {
    let automaton: ByteAutomaton
    let reach: StateReach
    let digits: DigitMoves
    /// For a text that numbers or identifiers may have.
    let literal: LiteralMoves?
    /// What of the block that was looked at last was asked for beside static texts, the costliest of it.
    private(set) var evidence = Evidence.templates
    // What is known of the block that is looked at.
    private let outcomes = StateMap()
    private let exits = StateMap()
    private var exitSets: [[Int32]?] = []
    private var singles: [[Int32]] = []
    /// For columns that are texts, each or once for equal ones, the states behind each text.
    private let entries = StateMap(capacity: 32)
    private var entryTargets: [[Int32]] = []

    /// What is known of a block's lines.
    enum Verdict {
        case none
        case all
        /// One per line.
        case lines([Bool])
    }

    /// How the lines below a node can end; both bits where that depends on their values.
    private enum Outcome {
        static let misses: Int32 = 1
        static let matches: Int32 = 2
        static let open: Int32 = 3
    }

    init(_ automaton: ByteAutomaton) {
        self.automaton = automaton
        reach = StateReach(automaton)
        digits = DigitMoves(automaton)
        literal = LiteralMoves(automaton.literal)
    }

    deinit {
        outcomes.deallocate()
        exits.deallocate()
        entries.deallocate()
    }

    /// Which lines of `range` contain a match; nil when the automaton grew too large.
    func verdict(_ block: OpenBlock, _ range: Range<Int>) throws -> Verdict? {
        reach.use(block.tableOwner)
        forgetBlock()
        evidence = .templates
        let tree = block.lines.tree
        var outcome: Int32 = 0
        try tree.forEachChild(of: -1) { child in
            let state = reach.state(automaton.start, behind: tree.nodes[child].text, of: block)
            outcome |= try self.outcome(block, child, state)
            return outcome != Outcome.open
        }
        if automaton.isOverflown { return nil }
        if outcome == Outcome.misses { return Verdict.none }
        if outcome == Outcome.matches { return .all }
        var walk = ValueWalk(self, block, try block.templates(), range)
        let lines = try walk.matches()
        return automaton.isOverflown ? nil : .lines(lines)
    }

    private func forgetBlock() {
        outcomes.removeAll()
        exits.removeAll()
        exitSets.removeAll(keepingCapacity: true)
        entries.removeAll()
        entryTargets.removeAll(keepingCapacity: true)
    }

    // MARK: Without values

    /// How lines below a node end that are in `state` behind the node's static text.
    func outcome(_ block: OpenBlock, _ index: Int, _ state: Int32) throws -> Int32 {
        try block.lines.tree.nodes.withUnsafeBufferPointer { try outcome(block, $0, index, state) }
    }

    private func outcome(
        _ block: OpenBlock, _ nodes: UnsafeBufferPointer<TemplateTree.Node>, _ index: Int, _ state: Int32
    ) throws -> Int32 {
        let node = nodes[index]
        if node.column < 0 { return automaton.acceptsAtEnd(state) ? Outcome.matches : Outcome.misses }
        if automaton.isAccepting(state) { return Outcome.matches }
        if let known = outcomes[index, state] { return known }
        var outcome: Int32 = 0
        if let behind = try states(behind: state, block.lines.columns[node.column], block) {
            var child = index + 1
            while child < node.end, outcome != Outcome.open {
                for next in behind where outcome != Outcome.open {
                    let target = reach.state(next, behind: nodes[child].text, of: block)
                    outcome |= try self.outcome(block, nodes, child, target)
                }
                child = nodes[child].end
            }
        } else {
            outcome = Outcome.open
        }
        outcomes.set(index, state, outcome)
        return outcome
    }

    /// The states behind a column's values, whatever they are; nil when there are too many.
    func states(behind state: Int32, _ column: StoredColumn, _ block: OpenBlock) throws -> [Int32]? {
        if automaton.isAccepting(state) { return single(state) }
        if let extent = column.extent {
            evidence.rise(to: .numbers)
            return reach.states(behind: state, extent)
        }
        if let constant = column.constant {
            return single(exits[column.number, state] ?? read(state, constant, column.number))
        }
        if let known = exits[column.number, state] { return exitSets[Int(known)] }
        let result = try follow(state, column, block)
        exits.set(column.number, state, Int32(exitSets.count))
        exitSets.append(result)
        return result
    }

    private func read(_ state: Int32, _ constant: [UInt8], _ column: Int) -> Int32 {
        let target = constant.withUnsafeBytes { automaton.run(state, $0) }
        exits.set(column, state, target)
        return target
    }

    /// A list of one state, made once.
    private func single(_ state: Int32) -> [Int32] {
        while singles.count <= Int(state) { singles.append([Int32(singles.count)]) }
        return singles[Int(state)]
    }

    private func follow(_ state: Int32, _ column: StoredColumn, _ block: OpenBlock) throws -> [Int32]? {
        switch column.form {
        case .constant:
            guard case .constant(let bytes) = try block.values(column, rows: nil) else { return nil }
            return [bytes.withUnsafeBytes { automaton.run(state, $0) }]
        case .dictionary, .raw:
            let targets = try targets(behind: state, column, block)
            return StateSet(targets, maximum: StateReach.statesMaximum)?.states
        case .templated(let inner):
            var found = StateSet()
            let visited = StateMap(capacity: 32)
            defer { visited.deallocate() }
            var isOpen = true
            try inner.tree.forEachChild(of: -1) { child in
                let next = reach.state(state, behind: inner.tree.nodes[child].text, of: block)
                isOpen = try collect(inner, child, next, block, &found, visited)
                return isOpen
            }
            return isOpen ? found.states : nil
        case .timestamps(let form, _): return reach.states(behind: state, form: form)
        default: return nil
        }
    }

    /// Adds the states in which values below a node of a column's own templates end; false when there are too many.
    private func collect(
        _ inner: StoredTemplates, _ index: Int, _ state: Int32, _ block: OpenBlock, _ found: inout StateSet,
        _ visited: StateMap
    ) throws -> Bool {
        let node = inner.tree.nodes[index]
        if node.column < 0 || automaton.isAccepting(state) {
            return found.insert(state, maximum: StateReach.statesMaximum)
        }
        if visited[index, state] != nil { return true }
        visited.set(index, state, 1)
        guard let behind = try states(behind: state, inner.columns[node.column], block) else { return false }
        var isOpen = true
        try inner.tree.forEachChild(of: index) { child in
            for next in behind where isOpen {
                let target = reach.state(next, behind: inner.tree.nodes[child].text, of: block)
                isOpen = try collect(inner, child, target, block, &found, visited)
            }
            return isOpen
        }
        return isOpen
    }

    /// The state in which every value below a node of a column's own templates ends; nil when it depends on them.
    func exit(_ inner: StoredTemplates, _ index: Int, _ state: Int32, _ block: OpenBlock) throws -> Int32? {
        if inner.tree.nodes[index].column < 0 || automaton.isAccepting(state) { return state }
        let key = 1 << 24 + inner.nodeBase + index
        if let known = outcomes[key, state] { return known < 0 ? nil : known }
        var found = StateSet()
        let visited = StateMap(capacity: 32)
        defer { visited.deallocate() }
        let isOpen = try collect(inner, index, state, block, &found, visited)
        let result = isOpen && found.states.count == 1 ? found.states[0] : nil
        outcomes.set(key, state, result ?? -1)
        return result
    }

    /// The states behind each text of a column that is a dictionary or bytes as they are.
    func targets(behind state: Int32, _ column: StoredColumn, _ block: OpenBlock) throws -> [Int32] {
        if let known = entries[column.number, state] { return entryTargets[Int(known)] }
        let texts: Texts
        if case .raw = column.form {
            guard case .raw(let all) = try block.values(column, rows: nil) else {
                throw FormatError("a column has another type than its description")
            }
            texts = all
        } else {
            texts = try block.texts(of: column)
        }
        evidence.rise(to: .dictionaries)
        let targets = automaton.run(state, texts)
        entries.set(column.number, state, Int32(entryTargets.count))
        entryTargets.append(targets)
        return targets
    }
}

/// A few states.
struct StateSet {
    private(set) var states: [Int32] = []

    init() {}

    /// The states of a list; nil when there are more than `maximum`.
    init?(_ list: [Int32], maximum: Int) {
        var last: Int32 = -1
        for state in list where state != last {
            last = state
            guard insert(state, maximum: maximum) else { return nil }
        }
    }

    /// Adds a state; false when there are too many.
    mutating func insert(_ state: Int32, maximum: Int) -> Bool {
        if states.contains(state) { return true }
        states.append(state)
        return states.count <= maximum
    }
}
