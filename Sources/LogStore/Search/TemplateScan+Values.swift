internal import Telemetry

/// The walk over the values of columns, for lines of one template.
extension TemplateScan {
    /// Where templates stand: in the lines themselves or in a column of them.
    struct Scope {
        let block: OpenBlock
        /// The lines of the values; nil for all lines.
        let rows: [Int32]?
        /// Whether the end of a value is the end of the line.
        let isOutermost: Bool
    }

    /// Moves the states of the values `rows`, all of template `leaf`, behind the template.
    func walk(
        _ values: TemplateValues, _ leaf: Int, _ rows: [Int32], _ states: inout RowStates, _ scope: Scope
    ) throws {
        let columns = values.stored.layout.columns[leaf]
        let table = scope.block.table
        let end = values.stored.leaves[leaf]
        var isBehindStatic = false
        for (place, column) in columns.enumerated() {
            let node = values.stored.layout.nodes[column]
            if !isBehindStatic { states.map { reach.state($0, behind: node, of: table) } }
            isBehindStatic = false
            if let state = states.uniform, automaton.isAccepting(state) { return }
            let isLast = place + 1 == columns.count
            let next = isLast ? end : values.stored.layout.nodes[columns[place + 1]]
            let stored = values.stored.columns[column]
            let isDecisive = isLast && scope.isOutermost
            if let moves = try collapse(states.distinct(), stored, next, isDecisive, scope.block) {
                states.map { moves[$0] ?? $0 }
                isBehindStatic = true
                if isLast { return }
                continue
            }
            let inner = Scope(
                block: scope.block, rows: OpenBlock.rows(values.rows[column], of: scope.rows), isOutermost: false)
            try advance(&states, stored, values.positions(rows, in: column), inner)
        }
        states.map { reach.state($0, behind: end, of: table) }
    }

    /// For each state the one behind a column and the static text that follows it, if that is the same whatever the
    /// column's values are; nil when it is not for one of them. Where nothing follows the line's end decides, and it is
    /// enough that all outcomes are the same.
    private func collapse(
        _ states: [Int32], _ column: StoredColumn, _ next: Int, _ isDecisive: Bool, _ block: OpenBlock
    ) throws -> [Int32: Int32]? {
        guard states.count <= StateReach.statesMaximum else { return nil }
        var moves: [Int32: Int32] = [:]
        for state in states {
            guard let behind = try self.states(behind: state, column, block), let first = behind.first else {
                return nil
            }
            let target = reach.state(first, behind: next, of: block.table)
            for other in behind.dropFirst() {
                let rival = reach.state(other, behind: next, of: block.table)
                if rival == target { continue }
                guard isDecisive, automaton.acceptsAtEnd(rival) == automaton.acceptsAtEnd(target) else { return nil }
            }
            moves[state] = target
        }
        return moves
    }

    /// Moves states behind the values at `positions` of a column.
    private func advance(
        _ states: inout RowStates, _ column: StoredColumn, _ positions: [Int32], _ scope: Scope
    ) throws {
        if case .templated = column.form { return try advanceTemplated(&states, column, positions, scope) }
        switch try scope.block.values(column, rows: scope.rows) {
        case .constant(let bytes):
            states.map { state in bytes.withUnsafeBytes { automaton.run(state, $0) } }
        case .dictionary(let texts, let indexes):
            advance(&states, positions, entries: texts.count) { index in
                Int(indexes[index])
            } text: { entry, state in
                texts.withText(entry) { self.automaton.run(state, $0) }
            }
        case .raw(let texts):
            advance(&states, positions) { index, state in texts.withText(index) { self.automaton.run(state, $0) } }
        case .integers(let values): advanceIntegers(&states, positions, values, width: nil)
        case .fixed(let width, let values): advanceIntegers(&states, positions, values, width: width)
        case .addresses(let values): advanceAddresses(&states, positions, values)
        case .packed(let width, let isUpper, let hasHyphens, let bytes) where !hasHyphens:
            advancePacked(&states, positions, width, isUpper, bytes)
        case let values:
            var text: [UInt8] = []
            advance(&states, positions) { index, state in
                text.removeAll(keepingCapacity: true)
                values.append(index, to: &text)
                return text.withUnsafeBytes { self.automaton.run(state, $0) }
            }
        }
    }

    /// Moves each state by itself.
    private func advance(_ states: inout RowStates, _ positions: [Int32], _ body: (Int, Int32) -> Int32) {
        var result = [Int32](repeating: 0, count: positions.count)
        for (row, position) in positions.enumerated() {
            let state = states[row]
            result[row] = automaton.isAccepting(state) ? state : body(Int(position), state)
        }
        states.set(result)
    }

    /// Moves states behind values of which there are few: once per state and entry.
    private func advance(
        _ states: inout RowStates, _ positions: [Int32], entries: Int, entry: (Int) -> Int,
        text: (Int, Int32) -> Int32
    ) {
        var tables: [(state: Int32, targets: [Int32])] = []
        var last = 0
        advance(&states, positions) { index, state in
            if tables.isEmpty || tables[last].state != state {
                if let known = tables.firstIndex(where: { $0.state == state }) {
                    last = known
                } else {
                    last = tables.count
                    tables.append((state, [Int32](repeating: -1, count: entries)))
                }
            }
            let entry = entry(index)
            let known = tables[last].targets[entry]
            if known >= 0 { return known }
            let target = text(entry, state)
            tables[last].targets[entry] = target
            return target
        }
    }

    /// Integers of a small range are looked up; others are written out, digit by digit.
    private func advanceIntegers(_ states: inout RowStates, _ positions: [Int32], _ values: [Int64], width: Int?) {
        guard let low = values.min(), let high = values.max() else { return }
        let (span, overflows) = high.subtractingReportingOverflow(low)
        var buffer: [UInt8] = []
        let write: (Int64, Int32) -> Int32 = { value, state in
            buffer.removeAll(keepingCapacity: true)
            if let width {
                TimestampForm.append(value, width: width, to: &buffer)
            } else {
                ColumnValues.appendInteger(value, to: &buffer)
            }
            return buffer.withUnsafeBytes { self.automaton.run(state, $0) }
        }
        if !overflows, span < Int64(max(256, positions.count)) {
            advance(&states, positions, entries: Int(span) + 1) {
                Int(values[$0] &- low)
            } text: { entry, state in
                write(low &+ Int64(entry), state)
            }
        } else {
            advance(&states, positions) { index, state in write(values[index], state) }
        }
    }

    /// Addresses octet by octet: what an octet does to a state is looked up after the first time.
    private func advanceAddresses(_ states: inout RowStates, _ positions: [Int32], _ values: [Int64]) {
        var memo: [Int32] = []
        var buffer: [UInt8] = []
        advance(&states, positions) { index, start in
            var state = start
            var shift: Int64 = 24
            while shift >= 0 {
                if shift < 24 { state = self.automaton.step(state, UInt8(ascii: ".")) }
                let octet = Int(values[index] >> shift & 255)
                let key = Int(state) << 8 | octet
                if key >= memo.count { memo += [Int32](repeating: 0, count: ((Int(state) + 1) << 8) - memo.count) }
                if memo[key] == 0 {
                    buffer.removeAll(keepingCapacity: true)
                    ColumnValues.appendInteger(Int64(octet), to: &buffer)
                    memo[key] = buffer.withUnsafeBytes { self.automaton.run(state, $0) } + 1
                }
                state = memo[key] - 1
                shift -= 8
            }
            return state
        }
    }

    private func advancePacked(
        _ states: inout RowStates, _ positions: [Int32], _ width: Int, _ isUpper: Bool, _ bytes: [UInt8]
    ) {
        let digits = Array((isUpper ? "0123456789ABCDEF" : "0123456789abcdef").utf8)
        let stride = (width + 1) / 2
        advance(&states, positions) { index, start in
            var state = start
            for place in 0..<width {
                let byte = bytes[index * stride + place / 2]
                state = self.automaton.step(state, digits[Int(place & 1 == 0 ? byte >> 4 : byte & 15)])
            }
            return state
        }
    }

    /// Values that are templates again: lines of one inner template move together.
    private func advanceTemplated(
        _ states: inout RowStates, _ column: StoredColumn, _ positions: [Int32], _ scope: Scope
    ) throws {
        let inner = try scope.block.templates(of: column)
        var members = [[Int32]](repeating: [], count: inner.stored.leaves.count)
        for (row, position) in positions.enumerated() {
            members[Int(inner.leafIndexes[Int(position)])].append(Int32(row))
        }
        var result = [Int32](repeating: 0, count: positions.count)
        for (leaf, rows) in members.enumerated() where !rows.isEmpty {
            var some =
                states.uniform.map { RowStates(count: rows.count, state: $0) }
                ?? RowStates(rows.map { states.single[Int($0)] })
            try walk(inner, leaf, rows.map { positions[Int($0)] }, &some, scope)
            for (place, row) in rows.enumerated() { result[Int(row)] = some[place] }
        }
        states.set(result)
    }
}
