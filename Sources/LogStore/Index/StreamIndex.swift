internal import Telemetry

/// Which streams exist and which of them satisfy matchers. Identifiers are local to the process and never reused.
struct StreamIndex: Sendable {
    private var identifiers: [Labels: Int] = [:]
    /// The labels by identifier; nil for a stream that was forgotten.
    private var labelsByIdentifier: [Labels?] = []
    /// How many streams each source has.
    private var countsBySource: [LineSource: Int] = [:]
    /// Label name ↦ value ↦ rising identifiers.
    private var postings: [String: [String: [Int]]] = [:]

    /// The number of streams that exist.
    var count: Int { identifiers.count }

    /// The number of streams of a source.
    func count(of source: LineSource) -> Int { countsBySource[source] ?? 0 }

    /// One more than the largest identifier given out.
    var identifierBound: Int { labelsByIdentifier.count }

    /// The identifiers of all streams, rising.
    var all: [Int] { labelsByIdentifier.indices.filter { labelsByIdentifier[$0] != nil } }

    /// The labels of a stream; empty when it was forgotten.
    func labels(of identifier: Int) -> Labels { labelsByIdentifier[identifier] ?? .empty }

    /// The identifier of a stream that exists.
    func identifier(of labels: Labels) -> Int? { identifiers[labels] }

    /// The identifier of a stream, which exists from now on.
    mutating func insert(_ labels: Labels) -> Int {
        if let known = identifiers[labels] { return known }
        let identifier = labelsByIdentifier.count
        identifiers[labels] = identifier
        labelsByIdentifier.append(labels)
        countsBySource[LineSource(labels), default: 0] += 1
        for pair in labels.pairs { postings[pair.name, default: [:]][pair.value, default: []].append(identifier) }
        return identifier
    }

    /// Forgets a stream without lines.
    mutating func remove(_ identifier: Int) {
        guard let labels = labelsByIdentifier[identifier] else { return }
        labelsByIdentifier[identifier] = nil
        identifiers[labels] = nil
        let source = LineSource(labels)
        let left = (countsBySource[source] ?? 0) - 1
        countsBySource[source] = left > 0 ? left : nil
        for pair in labels.pairs {
            postings[pair.name]?[pair.value]?.removeAll { $0 == identifier }
            if postings[pair.name]?[pair.value]?.isEmpty == true { postings[pair.name]?[pair.value] = nil }
            if postings[pair.name]?.isEmpty == true { postings[pair.name] = nil }
        }
    }

    /// The identifiers of the streams that satisfy all matchers, rising. An absent label has the empty value.
    func select(_ matchers: [LabelMatcher]) -> [Int] {
        var selected: [Int]?
        // A matcher that absence does not satisfy names its streams by the values of its label.
        for matcher in matchers where !matcher.matchesAbsence {
            let matching = streams(withValueSatisfying: matcher)
            selected = selected.map { StreamIndex.intersection($0, matching) } ?? matching
            if selected?.isEmpty == true { return [] }
        }
        var result = selected ?? all
        // The others exclude streams by the values that do not satisfy them.
        for matcher in matchers where matcher.matchesAbsence {
            let excluded = Set(streams(withValueNotSatisfying: matcher))
            if !excluded.isEmpty { result.removeAll { excluded.contains($0) } }
        }
        return result
    }

    private func streams(withValueSatisfying matcher: LabelMatcher) -> [Int] {
        guard let values = postings[matcher.name] else { return [] }
        if matcher.operation == .equal { return values[matcher.value] ?? [] }
        return StreamIndex.union(values.filter { matcher.matches($0.key) }.map(\.value))
    }

    private func streams(withValueNotSatisfying matcher: LabelMatcher) -> [Int] {
        guard let values = postings[matcher.name] else { return [] }
        if matcher.operation == .notEqual { return values[matcher.value] ?? [] }
        return StreamIndex.union(values.filter { !matcher.matches($0.key) }.map(\.value))
    }

    private static func union(_ lists: [[Int]]) -> [Int] {
        // Every stream has one value per label, so the lists are disjoint.
        lists.count == 1 ? lists[0] : lists.flatMap { $0 }.sorted()
    }

    private static func intersection(_ left: [Int], _ right: [Int]) -> [Int] {
        var result: [Int] = []
        var a = 0
        var b = 0
        while a < left.count, b < right.count {
            if left[a] == right[b] {
                result.append(left[a])
                a += 1
                b += 1
            } else if left[a] < right[b] {
                a += 1
            } else {
                b += 1
            }
        }
        return result
    }

    /// The most frequent names, names by distinct values, and pairs, at most `limit` of each.
    func cardinality(limit: Int) -> (byName: [CardinalityEntry], byPair: [CardinalityEntry]) {
        let names = postings.map { CardinalityEntry(name: $0.key, count: $0.value.count) }
        let pairs = postings.flatMap { name, values in
            values.map { CardinalityEntry(name: "\(name)=\($0.key)", count: $0.value.count) }
        }
        return (StreamIndex.largest(names, limit), StreamIndex.largest(pairs, limit))
    }

    private static func largest(_ entries: [CardinalityEntry], _ limit: Int) -> [CardinalityEntry] {
        let sorted = entries.sorted { $0.count == $1.count ? $0.name < $1.name : $0.count > $1.count }
        return Array(sorted.prefix(limit))
    }
}
