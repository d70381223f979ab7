internal import Telemetry

/// Templates as one tree, so that lines which begin alike share what they begin with.
///
/// A node is a static text and the slot behind it; a leaf is the static text behind the last slot. The path to a leaf
/// is
/// one template. Node 0 is the root; nodes 1 and 2 are the template that is a single slot, for whatever fits no other.
struct TemplateTable: Sendable, Equatable {
    private(set) var parents: [Int32] = [-1]
    private(set) var leaves: [Bool] = [false]
    private(set) var textEnds: [Int] = [0]
    private(set) var texts: [UInt8] = []

    /// The leaf of the template that is a single slot.
    static let rawLeaf = 2
    static let nodesMaximum = 1 << 20
    static let textBytesMaximum = 64 << 20

    /// A table with nothing but the template that is a single slot.
    init() {
        append(parent: 0, isLeaf: false, text: UnsafeRawBufferPointer(start: nil, count: 0))
        append(parent: 1, isLeaf: true, text: UnsafeRawBufferPointer(start: nil, count: 0))
    }

    /// The number of nodes.
    var count: Int { parents.count }

    /// Where the static text of a node lies in `texts`.
    func textRange(_ node: Int) -> Range<Int> { (node == 0 ? 0 : textEnds[node - 1])..<textEnds[node] }

    /// The static text of a node.
    func text(_ node: Int) -> ArraySlice<UInt8> { texts[textRange(node)] }

    /// Adds a node.
    mutating func append(parent: Int, isLeaf: Bool, text: UnsafeRawBufferPointer) {
        parents.append(Int32(parent))
        leaves.append(isLeaf)
        texts.append(contentsOf: text)
        textEnds.append(texts.count)
    }

    /// The nodes of a template that have a slot, from its start; without the leaf.
    func slots(of leaf: Int) -> [Int] {
        var path: [Int] = []
        var node = Int(parents[leaf])
        while node > 0 {
            path.append(node)
            node = Int(parents[node])
        }
        return path.reversed()
    }

    /// A template for people: its texts with `<_>` for its slots, or what `saying` has for the slot of a number.
    func pattern(of leaf: Int, saying: [Int: String] = [:]) -> String {
        var bytes: [UInt8] = []
        for (number, node) in slots(of: leaf).enumerated() {
            bytes += text(node) + Array((saying[number] ?? "<_>").utf8)
        }
        return String(decoding: bytes + text(leaf), as: UTF8.self)
    }

    // MARK: Bytes

    /// Appends the table: the nodes behind the first three, then their texts.
    func encode(to writer: inout ByteWriter) {
        writer.putVarint(UInt64(count - 3))
        for node in 3..<max(3, count) {
            writer.putVarint(UInt64(node - Int(parents[node])) << 1 | (leaves[node] ? 1 : 0))
            writer.putVarint(UInt64(textRange(node).count))
        }
        writer.put(texts)
    }

    /// Reads a table.
    init(decoding reader: inout ByteReader) throws {
        self.init()
        let more = try reader.count(upTo: min(reader.remaining, TemplateTable.nodesMaximum), "number of templates")
        var lengths: [Int] = []
        for node in 3..<3 + more {
            let field = try reader.count(upTo: node << 1 | 1, "parent of a template")
            guard field >> 1 > 0 else { throw FormatError("a template is its own parent") }
            let parent = node - field >> 1
            guard !leaves[parent] else { throw FormatError("a template goes on behind its end") }
            parents.append(Int32(parent))
            leaves.append(field & 1 == 1)
            lengths.append(try reader.count(upTo: reader.remaining, "length of a template's text"))
        }
        var end = 0
        for length in lengths {
            end += length
            guard end <= reader.remaining else { throw FormatError("the texts of templates are cut short") }
            textEnds.append(end)
        }
        texts = Array(try reader.slice(end))
    }
}
