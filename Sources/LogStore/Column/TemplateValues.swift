internal import Telemetry

/// Restored values that were split into templates: which template each has, and where in each column its slots are.
struct TemplateValues: Sendable {
    /// Which values have a column.
    private enum Users: Sendable {
        case all
        case leaf(Int)
        case list([Int32])
    }

    let table: TemplateTable
    let stored: StoredTemplates
    /// For each value the index of its leaf.
    let leafIndexes: [Int32]
    /// The values ordered by leaf, then by place; empty where there is one leaf.
    private let rowsByLeaf: [Int32]
    private let leafEnds: [Int]
    private let users: [Users]
    /// The restored columns; filled by the block as they are needed.
    var columns: [ColumnValues?]

    /// Restores which templates there are, and no column.
    init(_ stored: StoredTemplates, table: TemplateTable, _ source: BlockSource) throws {
        self.stored = stored
        self.table = table
        let leaves = stored.leaves.count
        var indexes = [Int32](repeating: 0, count: stored.count)
        if leaves > 1 || stored.leafIndexes.bounds != 0...0 {
            var isInside = true
            let restored = try stored.leafIndexes.column(source)
            restored.forEachChunk(0..<restored.count) { chunk, first in
                for index in chunk.indices {
                    if chunk[index] < 0 || chunk[index] >= Int64(leaves) { isInside = false }
                    indexes[first + index] = Int32(truncatingIfNeeded: chunk[index])
                }
            }
            guard isInside else { throw FormatError("a value has no template") }
        }
        leafIndexes = indexes
        (rowsByLeaf, leafEnds) = TemplateValues.sorted(indexes, leaves: leaves)
        users = TemplateValues.users(stored, indexes, leafEnds)
        columns = stored.columns.map { _ in nil }
        for (column, description) in stored.columns.enumerated() where description.count != count(ofColumn: column) {
            throw FormatError("a column has more or fewer values than its templates")
        }
    }

    /// The values ordered by leaf, and where those of each leaf end.
    private static func sorted(_ indexes: [Int32], leaves: Int) -> (rows: [Int32], ends: [Int]) {
        if leaves <= 1 { return ([], [indexes.count]) }
        var ends = [Int](repeating: 0, count: leaves)
        for leaf in indexes { ends[Int(leaf)] += 1 }
        var next = ends
        var start = 0
        for leaf in 0..<leaves {
            next[leaf] = start
            start += ends[leaf]
            ends[leaf] = start
        }
        let rows = [Int32](unsafeUninitializedCapacity: indexes.count) { rows, count in
            next.withUnsafeMutableBufferPointer { next in
                for (row, leaf) in indexes.enumerated() {
                    rows[next[Int(leaf)]] = Int32(truncatingIfNeeded: row)
                    next[Int(leaf)] += 1
                }
            }
            count = indexes.count
        }
        return (rows, ends)
    }

    private static func users(_ stored: StoredTemplates, _ indexes: [Int32], _ leafEnds: [Int]) -> [Users] {
        var users = [Users](repeating: .all, count: stored.columns.count)
        for (number, node) in stored.tree.nodes.enumerated() where node.column >= 0 {
            let leaves = stored.tree.leaves(below: number)
            if leaves.count == stored.leaves.count { continue }
            if leaves.count == 1 {
                users[node.column] = .leaf(leaves[0])
                continue
            }
            var isUser = [Bool](repeating: false, count: stored.leaves.count)
            for leaf in leaves { isUser[leaf] = true }
            var rows: [Int32] = []
            rows.reserveCapacity(leaves.reduce(0) { $0 + leafEnds[$1] - ($1 == 0 ? 0 : leafEnds[$1 - 1]) })
            for (row, leaf) in indexes.enumerated() where isUser[Int(leaf)] { rows.append(Int32(row)) }
            users[node.column] = .list(rows)
        }
        return users
    }

    /// The memory of the lists of values.
    var rowBytes: Int {
        users.reduce(rowsByLeaf.count * 4) { sum, users in
            if case .list(let rows) = users { return sum + rows.count * 4 }
            return sum
        }
    }

    /// The values that have a column, rising; nil when all have it.
    func rows(ofColumn column: Int) -> ArraySlice<Int32>? {
        switch users[column] {
        case .all: nil
        case .leaf(let leaf): rows(ofLeaf: leaf)
        case .list(let rows): rows[...]
        }
    }

    /// The values that have a template, rising; nil when all have it.
    func rows(ofLeaf leaf: Int) -> ArraySlice<Int32>? {
        if stored.leaves.count == 1 { return nil }
        return rowsByLeaf[(leaf == 0 ? 0 : leafEnds[leaf - 1])..<leafEnds[leaf]]
    }

    private func count(ofColumn column: Int) -> Int { rows(ofColumn: column)?.count ?? leafIndexes.count }

    /// The place of value `row` in a column that it has.
    func position(_ row: Int, in column: Int) -> Int {
        guard let rows = rows(ofColumn: column) else { return row }
        return rows.firstIndex(atOrAfter: Int32(truncatingIfNeeded: row)) - rows.startIndex
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
        let users = stored.columns.indices.map { self.rows(ofColumn: $0) }
        var cursors = users.map { $0?.startIndex ?? 0 }
        let restored = columns.map { $0 ?? .constant([]) }
        restored.withUnsafeBufferPointer { restored in
            for row in rows {
                let leaf = Int(leafIndexes[Int(row)])
                for column in stored.layout.columns[leaf] {
                    text.append(contentsOf: table.text(stored.layout.nodes[column]))
                    var place = Int(row)
                    if let users = users[column] {
                        cursors[column] = TemplateValues.advance(cursors[column], to: row, users)
                        place = cursors[column] - users.startIndex
                    }
                    restored[column].append(place, to: &text)
                }
                text.append(contentsOf: table.text(stored.leaves[leaf]))
                ends.append(text.count)
            }
        }
    }

    /// The index of `row` in `rows` at or behind `start`, in widening steps.
    private static func advance(_ start: Int, to row: Int32, _ rows: ArraySlice<Int32>) -> Int {
        var low = start
        var step = 1
        while low + step < rows.endIndex, rows[low + step] <= row {
            low += step
            step *= 2
        }
        while step > 0 {
            if low + step < rows.endIndex, rows[low + step] <= row { low += step } else { step /= 2 }
        }
        return low
    }
}

extension ArraySlice<Int32> {
    /// The index of the first element at or above `value`, of elements that rise.
    func firstIndex(atOrAfter value: Int32) -> Int {
        var low = startIndex
        var high = endIndex
        while low < high {
            let middle = (low + high) / 2
            if self[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
