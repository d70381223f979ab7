internal import Telemetry

/// How the series of one group are numbered, and what of their labels they share.
///
/// Series of one family stand together: buckets in the order of their bounds, then count and sum, so that columns which
/// are alike are neighbours. The order follows from the labels alone, without those that all series of the group have:
/// equal targets are numbered alike.
struct SeriesLayout {
    /// Below this, only labels of the target are taken to be shared: what few series share tells nothing.
    private static let countMinimum = 8

    /// The labels that every series has.
    let common: Labels
    /// What is left of each series' labels, in the order of their numbers.
    private(set) var rests: [Labels] = []
    /// The place of each number in the list it was made of.
    private(set) var order: [Int] = []

    /// Lays out a group's series, given in any order.
    init(_ series: [Labels], target: Labels) {
        common = Self.common(of: series, target: target)
        let names = Set(common.pairs.map(\.name))
        let rests = names.isEmpty ? series : series.map { $0.dropping(names) }
        let keys = rests.map { FamilyKey($0).bytes }
        order = series.indices.sorted { keys[$0].lexicographicallyPrecedes(keys[$1]) }
        self.rests = order.map { rests[$0] }
    }

    private static func common(of series: [Labels], target: Labels) -> Labels {
        guard let first = series.first else { return .empty }
        var shared = first.setting(Labels.metricNameLabel, to: nil)
        if series.count < countMinimum { shared = shared.keeping(Set(target.pairs.map(\.name))) }
        for labels in series.dropFirst() {
            var lost: Set<String> = []
            for pair in shared.pairs where labels[pair.name] != pair.value { lost.insert(pair.name) }
            if !lost.isEmpty { shared = shared.dropping(lost) }
            if shared.isEmpty { break }
        }
        return shared
    }
}

/// What series are ordered by: family, labels, bound of the bucket, suffix. As bytes that compare as they are.
struct FamilyKey {
    private static let suffixes = ["_bucket", "_count", "_sum"]

    /// Different for different labels.
    let bytes: [UInt8]

    /// The key of a series.
    init(_ labels: Labels) {
        let name = labels.metricName ?? ""
        let bound = labels["le"]
        var family = Substring(name)
        var rank = UInt8(Self.suffixes.count)
        for (number, suffix) in Self.suffixes.enumerated() where name.utf8.count > suffix.utf8.count {
            guard name.hasSuffix(suffix) else { continue }
            family = name.dropLast(suffix.count)
            rank = UInt8(number)
        }
        var writer = ByteWriter(capacity: labels.encoded.count + 24)
        writer.put(Array(family.utf8))
        writer.put(0)
        writer.put(labels.dropping([Labels.metricNameLabel, "le"]).encoded)
        writer.put(0)
        writer.putFixed(Self.rising(bound.flatMap { Double($0) } ?? .infinity).bigEndian)
        writer.put(rank)
        writer.put(Array((bound ?? "").utf8))
        bytes = writer.bytes
    }

    /// Integers in the order of doubles.
    private static func rising(_ value: Double) -> UInt64 {
        let pattern = value.bitPattern
        return pattern >> 63 == 0 ? pattern | 1 << 63 : ~pattern
    }
}
