internal import Glibc
internal import Telemetry

/// Grows a template tree while lines are split, and finds known nodes fast: first the child that came last, then by
/// hash.
struct TemplateBuilder {
    private(set) var table = TemplateTable()
    /// For each node the child with a slot, and the leaf, that came last behind it; 0 for none.
    private var lastSlot: [Int32] = [0, 0, 0]
    private var lastLeaf: [Int32] = [0, 0, 0]
    /// An open-addressing table of nodes; 0 is a free place.
    private var places: [Int32] = [Int32](repeating: 0, count: 1024)
    private var hashes: [UInt32] = [0, 0, 0]

    /// Beyond this many nodes no template is added: what fits none goes to the template that is one slot.
    static let nodesMaximum = 16_384
    /// Longer static texts make no template.
    static let textBytesMaximum = 4096

    /// A builder that nothing is added to.
    static let empty = TemplateBuilder()

    /// A builder that knows nothing but the template that is a single slot.
    init() {}

    /// The child with a slot that came last behind `node`, when its text stands at `bytes`; and how long the text is.
    @inline(__always)
    func predicted(_ node: Int, at bytes: UnsafePointer<UInt8>, room: Int) -> (node: Int, length: Int)? {
        let child = Int(lastSlot[node])
        if child == 0 { return nil }
        let range = table.textRange(child)
        guard range.count < room else { return nil }
        let isThere = table.texts.withUnsafeBufferPointer { texts in
            guard let base = texts.baseAddress else { return range.isEmpty }
            return memcmp(base + range.lowerBound, bytes, range.count) == 0
        }
        return isThere ? (child, range.count) : nil
    }

    /// The node behind `parent` with this text; nil when it would be one too many.
    mutating func child(of parent: Int, _ text: UnsafeRawBufferPointer, isLeaf: Bool) -> Int? {
        let last = Int(isLeaf ? lastLeaf[parent] : lastSlot[parent])
        if last > 0, isSame(last, text) { return last }
        guard text.count <= TemplateBuilder.textBytesMaximum else { return nil }
        let hash = TemplateBuilder.hash(text, parent, isLeaf)
        let mask = places.count - 1
        var place = Int(hash) & mask
        while places[place] != 0 {
            let node = Int(places[place])
            if hashes[node] == hash, Int(table.parents[node]) == parent, table.leaves[node] == isLeaf,
                isSame(node, text)
            {
                note(node, parent, isLeaf)
                return node
            }
            place = (place + 1) & mask
        }
        guard table.count < TemplateBuilder.nodesMaximum else { return nil }
        let node = table.count
        table.append(parent: parent, isLeaf: isLeaf, text: text)
        lastSlot.append(0)
        lastLeaf.append(0)
        hashes.append(hash)
        places[place] = Int32(node)
        note(node, parent, isLeaf)
        if table.count * 2 > places.count { grow() }
        return node
    }

    private mutating func note(_ node: Int, _ parent: Int, _ isLeaf: Bool) {
        if isLeaf { lastLeaf[parent] = Int32(node) } else { lastSlot[parent] = Int32(node) }
    }

    private func isSame(_ node: Int, _ text: UnsafeRawBufferPointer) -> Bool {
        let range = table.textRange(node)
        guard range.count == text.count else { return false }
        return table.texts.withUnsafeBytes { texts in
            guard let base = texts.baseAddress, let other = text.baseAddress else { return range.isEmpty }
            return memcmp(base + range.lowerBound, other, text.count) == 0
        }
    }

    private mutating func grow() {
        places = [Int32](repeating: 0, count: places.count * 4)
        let mask = places.count - 1
        for node in 3..<table.count {
            var place = Int(hashes[node]) & mask
            while places[place] != 0 { place = (place + 1) & mask }
            places[place] = Int32(node)
        }
    }

    private static func hash(_ text: UnsafeRawBufferPointer, _ parent: Int, _ isLeaf: Bool) -> UInt32 {
        var hash = UInt64(parent) << 1 | (isLeaf ? 1 : 0)
        var index = 0
        while index + 8 <= text.count {
            let word = text.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            hash = (hash ^ word) &* 0x9e37_79b9_7f4a_7c15
            hash ^= hash >> 29
            index += 8
        }
        while index < text.count {
            hash = (hash ^ UInt64(text[index])) &* 0x9e37_79b9_7f4a_7c15
            index += 1
        }
        return UInt32(truncatingIfNeeded: hash ^ hash >> 32)
    }
}
