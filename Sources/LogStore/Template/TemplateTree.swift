/// The templates of one column as a tree: what lines have in common is looked at once for all of them.
///
/// Nodes lie in preorder, so the nodes below node i are those up to its `end`. The values of a node's column are those
/// of all lines below it, in order.
struct TemplateTree: Sendable {
    struct Node: Sendable {
        /// The node of the table whose static text comes first.
        let text: Int
        /// The column of the slot behind the text; -1 for a leaf.
        let column: Int
        /// The index of the leaf; -1 where a slot follows.
        let leaf: Int
        /// The first node that is not below this one.
        fileprivate(set) var end: Int
    }

    private(set) var nodes: [Node] = []

    /// The tree of `leaves` with the columns that `layout` gives them.
    init(leaves: [Int], layout: TemplateLayout) {
        // Children by parent, in the order in which they are met; the parent of the topmost is -1.
        var children: [Int: [Int]] = [:]
        var known: Set<Int> = []
        var leavesOf: [Int: [Int]] = [:]
        for (leaf, columns) in layout.columns.enumerated() {
            var parent = -1
            for column in columns {
                if known.insert(column).inserted { children[parent, default: []].append(column) }
                parent = column
            }
            leavesOf[parent, default: []].append(leaf)
        }
        nodes.reserveCapacity(leaves.count + layout.nodes.count)
        append(below: -1, leaves, layout, children, leavesOf)
    }

    /// Appends the nodes below a column. As deep as a template has slots: a stack of its own instead of calls.
    private mutating func append(
        below root: Int, _ leaves: [Int], _ layout: TemplateLayout, _ children: [Int: [Int]], _ leavesOf: [Int: [Int]]
    ) {
        var open: [(node: Int, next: [Int], place: Int)] = []
        func leafNodes(_ column: Int) -> [Node] {
            (leavesOf[column] ?? []).map { Node(text: leaves[$0], column: -1, leaf: $0, end: 0) }
        }
        func add(_ list: [Node]) {
            for node in list {
                nodes.append(node)
                nodes[nodes.count - 1].end = nodes.count
            }
        }
        add(leafNodes(root))
        open.append((-1, children[root] ?? [], 0))
        while var top = open.popLast() {
            guard top.place < top.next.count else {
                if top.node >= 0 { nodes[top.node].end = nodes.count }
                continue
            }
            let column = top.next[top.place]
            top.place += 1
            open.append(top)
            nodes.append(Node(text: layout.nodes[column], column: column, leaf: -1, end: 0))
            let node = nodes.count - 1
            add(leafNodes(column))
            open.append((node, children[column] ?? [], 0))
        }
    }

    /// Calls `body` with each child of a node; of the topmost nodes for -1. Ends when `body` returns false.
    @inline(__always)
    func forEachChild(of node: Int, _ body: (Int) throws -> Bool) rethrows {
        var child = node + 1
        let end = node < 0 ? nodes.count : nodes[node].end
        while child < end {
            guard try body(child) else { return }
            child = nodes[child].end
        }
    }

    /// The leaves below a node.
    func leaves(below node: Int) -> [Int] {
        nodes[node..<nodes[node].end].compactMap { $0.leaf >= 0 ? $0.leaf : nil }
    }
}
