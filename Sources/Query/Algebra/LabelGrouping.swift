internal import Glibc
internal import Telemetry

/// Picks the labels by which series are grouped or matched, without making a set of labels of each series.
struct LabelGrouping: Sendable {
    /// The bytes of the names, ordered as labels are.
    private let names: [[UInt8]]
    /// Whether `names` are kept, rather than dropped.
    private let keepsNames: Bool

    /// `by (names)`, `on (names)`; with `isWithout` `without (names)`, `ignoring (names)`, which leave out the metric's
    /// name too.
    init(_ names: some Sequence<String>, isWithout: Bool) {
        self.init(isWithout ? Set(names).union([Labels.metricNameLabel]) : Set(names), keepsNames: !isWithout)
    }

    /// Exactly `names`, or exactly all others.
    init(_ names: some Sequence<String>, keepsNames: Bool) {
        self.names = Set(names).map { Array($0.utf8) }.sorted { $0.lexicographicallyPrecedes($1) }
        self.keepsNames = keepsNames
    }

    /// The labels that two series must share to match.
    init(_ matching: VectorMatching) {
        self.init(matching.labels, isWithout: !matching.isOn)
    }

    /// Whether every series falls into the one group without labels.
    var isWhole: Bool { keepsNames && names.isEmpty }

    /// Replaces `bytes` by the encoding of the labels that are picked.
    func pick(_ labels: Labels, into bytes: inout [UInt8]) {
        bytes.removeAll(keepingCapacity: true)
        var next = 0
        labels.forEachPair { name, value in
            while next < names.count, LabelGrouping.precedes(names[next], name) { next += 1 }
            let isNamed = next < names.count && LabelGrouping.isSame(names[next], name)
            guard isNamed == keepsNames else { return }
            LabelGrouping.put(name, into: &bytes)
            LabelGrouping.put(value, into: &bytes)
        }
    }

    /// The labels that are picked.
    func picked(_ labels: Labels) -> Labels {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(labels.encoded.count)
        pick(labels, into: &bytes)
        return Labels(canonical: bytes)
    }

    private static func put(_ field: UnsafeRawBufferPointer, into bytes: inout [UInt8]) {
        var length = field.count
        while length >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: length) | 0x80)
            length >>= 7
        }
        bytes.append(UInt8(length))
        bytes.append(contentsOf: field)
    }

    private static func precedes(_ left: [UInt8], _ right: UnsafeRawBufferPointer) -> Bool {
        let order = order(left, right)
        return order == 0 ? left.count < right.count : order < 0
    }

    private static func isSame(_ left: [UInt8], _ right: UnsafeRawBufferPointer) -> Bool {
        left.count == right.count && order(left, right) == 0
    }

    /// The order of the bytes that both have.
    private static func order(_ left: [UInt8], _ right: UnsafeRawBufferPointer) -> Int32 {
        left.withUnsafeBytes { left in
            guard let a = left.baseAddress, let b = right.baseAddress else { return 0 }
            return memcmp(a, b, min(left.count, right.count))
        }
    }
}

/// The groups that series fall into, numbered in the order of appearance.
struct GroupTable: Sendable {
    /// The labels of each group.
    private(set) var labels: [Labels] = []
    private let grouping: LabelGrouping
    private var hashes: [Int] = []
    /// Open addressing: the number of a group, or -1; a power of two of places, at most half of them taken.
    private var slots = [Int32](repeating: -1, count: 16)
    private var picked: [UInt8] = []

    init(_ grouping: LabelGrouping) {
        self.grouping = grouping
    }

    /// The number of the group that a series falls into, which may be new then.
    mutating func place(of series: Labels) -> Int {
        if grouping.isWhole {
            if labels.isEmpty { labels.append(.empty) }
            return 0
        }
        grouping.pick(series, into: &picked)
        let (found, slot, hash) = look()
        if let found { return found }
        slots[slot] = Int32(labels.count)
        labels.append(Labels(canonical: Array(picked)))
        hashes.append(hash)
        if labels.count * 2 > slots.count { grow() }
        return labels.count - 1
    }

    /// The number of the group that a series falls into; nil where there is none.
    mutating func known(_ series: Labels) -> Int? {
        if grouping.isWhole { return labels.isEmpty ? nil : 0 }
        grouping.pick(series, into: &picked)
        return look().found
    }

    private func look() -> (found: Int?, slot: Int, hash: Int) {
        var hasher = Hasher()
        picked.withUnsafeBytes { hasher.combine(bytes: $0) }
        let hash = hasher.finalize()
        var slot = hash & (slots.count - 1)
        while slots[slot] >= 0 {
            let group = Int(slots[slot])
            if hashes[group] == hash, labels[group].encoded == picked { return (group, slot, hash) }
            slot = (slot + 1) & (slots.count - 1)
        }
        return (nil, slot, hash)
    }

    private mutating func grow() {
        slots = [Int32](repeating: -1, count: slots.count * 2)
        for (group, hash) in hashes.enumerated() {
            var slot = hash & (slots.count - 1)
            while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = Int32(group)
        }
    }
}
