internal import Telemetry

/// The walk of an automaton over the values of a block, down the tree of templates: the lines of one node move
/// together, and those that are settled go no further.
struct ValueWalk {
    let scan: TemplateScan
    let automaton: ByteAutomaton
    let block: OpenBlock
    private let templates: TemplateValues
    private let range: Range<Int>
    private var matched: [Bool] = []

    /// Templates that are walked: the lines', or those of one of their columns.
    private final class Scope {
        let values: TemplateValues
        /// The lines or the places within the column.
        let range: Range<Int>
        /// The number of the column; nil for the lines.
        let column: Int?
        /// The lines that have the column.
        let rows: ArraySlice<Int32>?
        /// Whether nothing behind these templates can go on with a text that is looked for.
        let isEndedBehind: Bool

        let tree: TemplateTree

        init(
            values: TemplateValues, range: Range<Int>, column: Int?, rows: ArraySlice<Int32>?, isEndedBehind: Bool
        ) {
            self.values = values
            self.range = range
            self.column = column
            self.rows = rows
            self.isEndedBehind = isEndedBehind
            tree = values.stored.tree
        }

        /// The rows of `range` that have a node, rising; nil when all have it. And where in the node's column the
        /// first of them stands.
        func rows(of node: TemplateTree.Node) -> NodeRows {
            guard
                let all = node.column >= 0 ? values.rows(ofColumn: node.column) : values.rows(ofLeaf: node.leaf)
            else { return NodeRows(rows: nil, first: range.lowerBound, count: range.count) }
            var (low, high) = (all.startIndex, all.endIndex)
            if range.lowerBound > 0 { low = all.firstIndex(atOrAfter: Int32(truncatingIfNeeded: range.lowerBound)) }
            if range.upperBound < values.leafIndexes.count {
                high = all.firstIndex(atOrAfter: Int32(truncatingIfNeeded: range.upperBound))
            }
            return NodeRows(rows: all[low..<high], first: low - all.startIndex, count: high - low)
        }
    }

    private struct NodeRows {
        let rows: ArraySlice<Int32>?
        let first: Int
        let count: Int
    }

    /// What is known of the lines below a node before their values are looked at.
    private enum Fate {
        /// They all end like this: a state within a column; of lines 1 for a match and 0 for none.
        case settled(Int32)
        /// They are all in these states behind the node's static text, by the states before.
        case moved([Int32])
        case open
    }

    /// A walk over the lines of `range`.
    init(_ scan: TemplateScan, _ block: OpenBlock, _ templates: TemplateValues, _ range: Range<Int>) {
        self.scan = scan
        automaton = scan.automaton
        self.block = block
        self.templates = templates
        self.range = range
    }

    /// Which lines match; lines outside the range do not.
    mutating func matches() throws -> [Bool] {
        matched = [Bool](repeating: false, count: templates.leafIndexes.count)
        let scope = Scope(values: templates, range: range, column: nil, rows: nil, isEndedBehind: true)
        var ends: [Int32] = []
        try descend(scope, -1, RowStates(count: range.count, state: automaton.start), nil, &ends)
        return matched
    }

    /// Moves lines on that are in `states` behind the static text of a node; for -1, before the topmost nodes. `rows`
    /// are the node's.
    private mutating func descend(
        _ scope: Scope, _ index: Int, _ states: RowStates, _ rows: NodeRows?, _ ends: inout [Int32]
    ) throws {
        let tree = scope.tree
        let column = index < 0 ? nil : scope.values.stored.columns[tree.nodes[index].column]
        let own = rows ?? NodeRows(rows: nil, first: scope.range.lowerBound, count: scope.range.count)
        var advanced: RowStates? = column == nil ? states : nil
        var child = index + 1
        let end = index < 0 ? tree.nodes.count : tree.nodes[index].end
        while child < end {
            defer { child = tree.nodes[child].end }
            let node = tree.nodes[child]
            let lines = scope.rows(of: node)
            if lines.count == 0 { continue }
            switch try fate(scope, child, states.distinct, column) {
            case .settled(let value): settle(scope, lines, value, &ends)
            case .moved(let targets):
                let moved = keeping(states, own, lines).moved(to: targets, states.distinct, below: automaton.states)
                try go(scope, child, moved, lines, &ends)
            case .open:
                let behind = try advanced ?? column.map { try advance(states, $0, own, scope, index) } ?? states
                advanced = behind
                let some = keeping(behind, own, lines)
                let targets = some.distinct.map {
                    scan.reach.state($0, behind: node.text, of: block)
                }
                try go(scope, child, some.moved(to: targets, some.distinct, below: automaton.states), lines, &ends)
            }
        }
    }

    /// Settles lines that are in `states` behind a node's static text, or walks on.
    private mutating func go(
        _ scope: Scope, _ node: Int, _ states: RowStates, _ rows: NodeRows, _ ends: inout [Int32]
    ) throws {
        var settled: Int32?
        for state in states.distinct {
            guard let value = try ending(scope, node, state), settled == nil || settled == value else {
                if scope.tree.nodes[node].column >= 0 { return try descend(scope, node, states, rows, &ends) }
                return settleEach(scope, rows, states, &ends)
            }
            settled = value
        }
        if let settled { settle(scope, rows, settled, &ends) }
    }

    /// How lines end that are in `state` behind a node's static text; nil when that depends on values.
    private func ending(_ scope: Scope, _ node: Int, _ state: Int32) throws -> Int32? {
        if scope.column != nil { return try scan.exit(scope.values.stored, node, state, block) }
        switch try scan.outcome(block, node, state) {
        case 1: return 0
        case 2: return 1
        default: return nil
        }
    }

    private func fate(_ scope: Scope, _ child: Int, _ states: [Int32], _ column: StoredColumn?) throws -> Fate {
        let text = scope.tree.nodes[child].text
        var settledValue: Int32?
        var isSettled = true
        var targets: [Int32] = []
        for state in states {
            var target: Int32?
            guard let behind = try column.map({ try scan.states(behind: state, $0, block) }) ?? [state] else {
                return .open
            }
            for next in behind {
                let moved = scan.reach.state(next, behind: text, of: block)
                if isSettled {
                    let value = try ending(scope, child, moved)
                    if value == nil || (settledValue != nil && settledValue != value) { isSettled = false }
                    settledValue = value
                }
                if target == nil { target = moved } else if target != moved { target = -1 }
            }
            targets.append(target ?? -1)
        }
        if isSettled, let settledValue { return .settled(settledValue) }
        return targets.contains(-1) ? .open : .moved(targets)
    }

    /// The states of those lines of a node that are also of one of its children.
    private func keeping(_ states: RowStates, _ own: NodeRows, _ lines: NodeRows) -> RowStates {
        if states.single.isEmpty { return RowStates(count: lines.count, state: states.distinct[0]) }
        guard let wanted = lines.rows, lines.count != own.count else { return states }
        var places: [Int] = []
        places.reserveCapacity(wanted.count)
        if let rows = own.rows {
            var place = rows.startIndex
            for row in wanted {
                while rows[place] < row { place += 1 }
                places.append(place - rows.startIndex)
            }
        } else {
            for row in wanted { places.append(Int(row) - own.first) }
        }
        return states.keeping(places, below: automaton.states)
    }

    private mutating func settle(_ scope: Scope, _ rows: NodeRows, _ value: Int32, _ ends: inout [Int32]) {
        if scope.column != nil {
            // Where nothing was noted, all end where they began.
            if ends.isEmpty {
                if value == automaton.start { return }
                ends = [Int32](repeating: automaton.start, count: scope.range.count)
            }
            let first = scope.range.lowerBound
            if let rows = rows.rows {
                for row in rows { ends[Int(row) - first] = value }
            } else {
                for place in 0..<rows.count { ends[place] = value }
            }
        } else if value == 1 {
            if let rows = rows.rows {
                for row in rows { matched[Int(row)] = true }
            } else {
                for row in scope.range { matched[row] = true }
            }
        }
    }

    private mutating func settleEach(
        _ scope: Scope, _ rows: NodeRows, _ states: RowStates, _ ends: inout [Int32]
    ) {
        if scope.column != nil, ends.isEmpty {
            ends = [Int32](repeating: automaton.start, count: scope.range.count)
        }
        for place in 0..<rows.count {
            let row = rows.rows.map { Int($0[$0.startIndex + place]) } ?? rows.first + place
            if scope.column != nil {
                ends[row - scope.range.lowerBound] = states[place]
            } else if automaton.acceptsAtEnd(states[place]) {
                matched[row] = true
            }
        }
    }

    // MARK: Values

    /// Whether behind the column of a node nothing can go on with the text that is looked for.
    private func isEnded(behind index: Int, _ scope: Scope, _ literal: LiteralMoves) -> Bool {
        var isEnded = true
        scope.tree.forEachChild(of: index) { child in
            let node = scope.tree.nodes[child]
            if let first = block.table.text(node.text).first {
                isEnded = literal.isEnded(by: first)
            } else {
                // The end of a line ends everything; behind the end of a value its line goes on.
                isEnded = node.leaf >= 0 && scope.isEndedBehind
            }
            return isEnded
        }
        return isEnded
    }

    /// Notes the lines that have the text in a column, where that can be told by what the values are. False where it
    /// cannot; then none was noted.
    private mutating func find(
        _ literal: LiteralMoves, _ column: StoredColumn, _ own: NodeRows, _ scope: Scope
    ) throws -> Bool {
        let places = own.first..<own.first + own.count
        let note = LineNotes(own: own, scope: scope)
        switch column.form {
        case .templated: return false
        case .raw:
            let targets = try scan.targets(behind: 0, column, block)
            note.lines(&matched) { note in
                for place in places where targets[place] == literal.found { note(place) }
                return true
            }
        case .dictionary:
            let targets = try scan.targets(behind: 0, column, block)
            guard targets.contains(literal.found) else { return true }
            guard case .dictionary(_, let indexes) = try block.values(column, rows: nil) else { return false }
            note.lines(&matched) { note in
                targets.withUnsafeBufferPointer { targets in
                    indexes.forEachIndex(
                        places,
                        where: { place in
                            place < targets.count && targets[Int(place)] == literal.found
                        }, note)
                }
                return true
            }
        default:
            let values = try block.values(column, rows: OpenBlock.rows(columnRows(scope, column), of: scope.rows))
            let automaton = automaton
            return note.lines(&matched) { literal.forEach(values, places, automaton, $0) }
        }
        return true
    }

    /// Notes lines by the places they have in a column.
    private struct LineNotes {
        let own: NodeRows
        let scope: Scope

        /// Hands `body` what notes the line that has a place.
        @discardableResult
        func lines(_ matched: inout [Bool], _ body: ((Int) -> Void) -> Bool) -> Bool {
            matched.withUnsafeMutableBufferPointer { matched in
                guard own.rows != nil || scope.rows != nil else { return body { matched[$0] = true } }
                let (inner, outer, first) = (own.rows, scope.rows, own.first)
                return body { place in
                    let row = inner.map { Int($0[$0.startIndex + place - first]) } ?? place
                    matched[outer.map { Int($0[$0.startIndex + row]) } ?? row] = true
                }
            }
        }
    }

    /// The states behind the values of the column of node `index`.
    private mutating func advance(
        _ states: RowStates, _ column: StoredColumn, _ own: NodeRows, _ scope: Scope, _ index: Int
    ) throws -> RowStates {
        let places = own.first..<own.first + own.count
        if let literal = scan.literal, states.distinct.allSatisfy({ $0 == 0 || $0 == literal.found }),
            isEnded(behind: index, scope, literal), try find(literal, column, own, scope)
        {
            return states
        }
        switch column.form {
        case .templated:
            let inner = Scope(
                values: try block.templates(of: column), range: places, column: column.number,
                rows: OpenBlock.rows(columnRows(scope, column), of: scope.rows),
                isEndedBehind: scan.literal.map { isEnded(behind: index, scope, $0) } ?? false)
            var ends: [Int32] = []
            try descend(inner, -1, states, nil, &ends)
            if ends.isEmpty { return RowStates(count: own.count, state: automaton.start) }
            return RowStates(ends, below: automaton.states)
        case .raw:
            var tables = [[Int32]](repeating: [], count: automaton.states)
            for state in states.distinct { tables[Int(state)] = try scan.targets(behind: state, column, block) }
            return ColumnMoves(scan, states, places).texts(tables)
        case .dictionary:
            var tables = [[Int32]](repeating: [], count: automaton.states)
            for state in states.distinct { tables[Int(state)] = try scan.targets(behind: state, column, block) }
            guard case .dictionary(_, let indexes) = try block.values(column, rows: nil) else { return states }
            return ColumnMoves(scan, states, places).dictionary(indexes, tables)
        default:
            let values = try block.values(column, rows: OpenBlock.rows(columnRows(scope, column), of: scope.rows))
            return ColumnMoves(scan, states, places).moved(by: values)
        }
    }

    private func columnRows(_ scope: Scope, _ column: StoredColumn) -> ArraySlice<Int32>? {
        guard let place = scope.values.stored.columns.firstIndex(where: { $0.number == column.number }) else {
            return nil
        }
        return scope.values.rows(ofColumn: place)
    }
}
