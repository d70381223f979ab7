internal import Telemetry

/// Puts the templates of several tables into one, each once.
struct TemplateInterner {
    private struct Key: Hashable {
        var parent: Int
        var isLeaf: Bool
        var text: [UInt8]
    }

    private(set) var table = TemplateTable()
    private var nodes: [Key: Int] = [:]

    init() {}

    /// The leaf of a template of `other`.
    mutating func leaf(_ leaf: Int, of other: TemplateTable) -> Int {
        // Lines that fit no template share nothing with those that begin with a slot.
        if leaf == TemplateTable.rawLeaf { return leaf }
        var node = 0
        for slot in other.slots(of: leaf) { node = child(of: node, Array(other.text(slot)), isLeaf: false) }
        return child(of: node, Array(other.text(leaf)), isLeaf: true)
    }

    private mutating func child(of parent: Int, _ text: [UInt8], isLeaf: Bool) -> Int {
        let key = Key(parent: parent, isLeaf: isLeaf, text: text)
        if let known = nodes[key] { return known }
        let node = table.count
        text.withUnsafeBytes { table.append(parent: parent, isLeaf: isLeaf, text: $0) }
        nodes[key] = node
        return node
    }
}
