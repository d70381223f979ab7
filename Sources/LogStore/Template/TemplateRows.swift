internal import Telemetry

/// A value that stands in a slot: which bytes of the block's lines, and of which line.
struct SlotValue {
    var start: UInt32
    var count: UInt32
    var row: UInt32
}

/// Values split into templates and slots, as an encoder collects them: which template each value has, and one column of
/// slot values for each node that has a slot.
struct TemplateRows {
    /// Handed over at the start and taken back at the end.
    var builder: TemplateBuilder
    /// The leaves that occur, in the order in which they came first.
    private(set) var leaves: [Int] = []
    /// For each value the index of its leaf in `leaves`.
    private(set) var leafIndexes: [Int32] = []
    private var indexOfLeaf: [Int32] = []
    private var columnOfNode: [Int32] = []
    private var columns: [[SlotValue]] = []
    private let leavesMaximum: Int
    // The value that is being split.
    private var node = 0
    private var filled: [Int] = []

    /// Collects values; beyond `leavesMaximum` templates further ones go to the template that is a single slot.
    init(_ builder: consuming TemplateBuilder, values: Int, leavesMaximum: Int) {
        self.builder = builder
        self.leavesMaximum = leavesMaximum
        leafIndexes.reserveCapacity(values)
    }

    /// The node behind which the next static text begins.
    var position: Int { node }

    /// Adds a slot whose static text is `text`; false when there is no room for the template.
    mutating func slot(_ text: UnsafeRawBufferPointer, _ value: SlotValue) -> Bool {
        guard let child = builder.child(of: node, text, isLeaf: false) else { return false }
        take(child, value)
        return true
    }

    /// Adds a slot of a node that is known.
    @inline(__always)
    mutating func take(_ child: Int, _ value: SlotValue) {
        node = child
        while columnOfNode.count <= child { columnOfNode.append(-1) }
        var column = Int(columnOfNode[child])
        if column < 0 {
            column = columns.count
            columns.append([])
            columnOfNode[child] = Int32(column)
        }
        columns[column].append(value)
        filled.append(column)
    }

    /// Ends a value with the static text `text`; false when there is no room for the template.
    mutating func end(_ text: UnsafeRawBufferPointer) -> Bool {
        guard let leaf = builder.child(of: node, text, isLeaf: true) else { return false }
        return end(leaf)
    }

    private mutating func end(_ leaf: Int) -> Bool {
        while indexOfLeaf.count <= leaf { indexOfLeaf.append(-1) }
        var index = Int(indexOfLeaf[leaf])
        if index < 0 {
            guard leaves.count < leavesMaximum || leaf == TemplateTable.rawLeaf else { return false }
            index = leaves.count
            leaves.append(leaf)
            indexOfLeaf[leaf] = Int32(index)
        }
        leafIndexes.append(Int32(index))
        filled.removeAll(keepingCapacity: true)
        node = 0
        return true
    }

    /// Gives the value up that is being split, and keeps it as one slot.
    mutating func keepWhole(_ value: SlotValue) {
        for column in filled { columns[column].removeLast() }
        filled.removeAll(keepingCapacity: true)
        node = 0
        take(TemplateTable.rawLeaf - 1, value)
        _ = end(TemplateTable.rawLeaf)
    }

    /// Gives the builder back.
    mutating func takeBuilder() -> TemplateBuilder {
        var taken = TemplateBuilder.empty
        swap(&taken, &builder)
        return taken
    }

    /// The columns in the order of their nodes along the paths of `leaves`.
    func orderedColumns(_ layout: TemplateLayout) -> [[SlotValue]] {
        layout.nodes.map { columns[Int(columnOfNode[$0])] }
    }
}

/// Which slots the templates of one column have, and which column of values each stands for. Follows from the leaves
/// alone, so nothing of it is stored.
struct TemplateLayout: Sendable {
    /// The node of each column.
    private(set) var nodes: [Int] = []
    /// For each leaf the columns of its slots, from the start of the template.
    private(set) var columns: [[Int]] = []

    /// The layout of `leaves`: columns in the order in which their nodes are met.
    init(leaves: [Int], in table: TemplateTable) {
        var columnOfNode: [Int: Int] = [:]
        for leaf in leaves {
            columns.append(
                table.slots(of: leaf).map { node in
                    if let known = columnOfNode[node] { return known }
                    columnOfNode[node] = nodes.count
                    nodes.append(node)
                    return nodes.count - 1
                })
        }
    }
}
