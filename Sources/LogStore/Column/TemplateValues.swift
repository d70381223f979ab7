internal import Telemetry

/// Restored values that were split into templates: which template each has, and where in each column its slots are.
struct TemplateValues: Sendable {
    let table: TemplateTable
    let stored: StoredTemplates
    /// For each value the index of its leaf.
    let leafIndexes: [Int32]
    /// For each column the values that have it, rising; nil when all have it.
    let rows: [[Int32]?]
    /// The restored columns; filled by the block as they are needed.
    var columns: [ColumnValues?]

    /// Restores which templates there are, and no column.
    init(_ stored: StoredTemplates, table: TemplateTable, _ source: BlockSource) throws {
        self.stored = stored
        self.table = table
        let leaves = stored.leaves.count
        let indexes = try stored.leafIndexes.values(source)
        for index in indexes where index < 0 || index >= Int64(leaves) { throw FormatError("a value has no template") }
        leafIndexes = indexes.map { Int32(truncatingIfNeeded: $0) }
        rows = TemplateValues.rows(stored, leafIndexes)
        for (column, rows) in zip(stored.columns, rows) where column.count != rows?.count ?? stored.count {
            throw FormatError("a column has more or fewer values than its templates")
        }
        columns = stored.columns.map { _ in nil }
    }

    private static func rows(_ stored: StoredTemplates, _ leafIndexes: [Int32]) -> [[Int32]?] {
        var users = [[Bool]](
            repeating: [Bool](repeating: false, count: stored.leaves.count), count: stored.columns.count)
        for (leaf, columns) in stored.layout.columns.enumerated() {
            for column in columns { users[column][leaf] = true }
        }
        return users.map { users in
            if users.allSatisfy({ $0 }) { return nil }
            var rows: [Int32] = []
            for (row, leaf) in leafIndexes.enumerated() where users[Int(leaf)] { rows.append(Int32(row)) }
            return rows
        }
    }

    /// The values of `range` that have a template, rising.
    func rows(ofLeaf leaf: Int, within range: Range<Int>) -> [Int32] {
        if stored.leaves.count == 1 { return range.map { Int32($0) } }
        var rows: [Int32] = []
        for row in range where Int(leafIndexes[row]) == leaf { rows.append(Int32(row)) }
        return rows
    }

    /// The places of the values `wanted`, rising, in a column that they have.
    func positions(_ wanted: [Int32], in column: Int) -> [Int32] {
        guard let rows = rows[column] else { return wanted }
        if rows.count == wanted.count { return wanted.indices.map { Int32($0) } }
        var place = wanted.first.map { position(Int($0), in: column) } ?? 0
        return wanted.map { row in
            while rows[place] < row { place += 1 }
            return Int32(place)
        }
    }

    /// The place of value `row` in a column that it has.
    func position(_ row: Int, in column: Int) -> Int {
        guard let rows = rows[column] else { return row }
        var low = 0
        var high = rows.count
        while low < high {
            let middle = (low + high) / 2
            if Int(rows[middle]) < row { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Appends the text of value `row`; all columns must be restored.
    func append(_ row: Int, to text: inout [UInt8]) {
        let leaf = Int(leafIndexes[row])
        for column in stored.layout.columns[leaf] {
            text.append(contentsOf: table.text(stored.layout.nodes[column]))
            columns[column]?.append(position(row, in: column), to: &text)
        }
        text.append(contentsOf: table.text(stored.leaves[leaf]))
    }

    /// Appends values one after another, `rows` rising, noting where each ends; all columns must be restored.
    func append(_ rows: some Sequence<Int32>, to text: inout [UInt8], ends: inout [Int]) {
        var cursors = [Int](repeating: 0, count: columns.count)
        let restored = columns.map { $0 ?? .constant([]) }
        for row in rows {
            let leaf = Int(leafIndexes[Int(row)])
            for column in stored.layout.columns[leaf] {
                text.append(contentsOf: table.text(stored.layout.nodes[column]))
                var place = Int(row)
                if let users = self.rows[column] {
                    place = TemplateValues.advance(cursors[column], to: row, users)
                    cursors[column] = place
                }
                restored[column].append(place, to: &text)
            }
            text.append(contentsOf: table.text(stored.leaves[leaf]))
            ends.append(text.count)
        }
    }

    /// The index of `row` in `rows` at or behind `start`, in widening steps.
    private static func advance(_ start: Int, to row: Int32, _ rows: [Int32]) -> Int {
        var low = start
        var step = 1
        while low + step < rows.count, rows[low + step] <= row {
            low += step
            step *= 2
        }
        while step > 0 {
            if low + step < rows.count, rows[low + step] <= row { low += step } else { step /= 2 }
        }
        return low
    }
}
