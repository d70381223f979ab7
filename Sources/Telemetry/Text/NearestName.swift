/// What somebody may have meant by a name that does not exist: for the hints of error messages and empty answers.
package enum NearestName {
    /// The candidates that are nearest to `name`, nearest first, at most `maximum`: those that are at most a third of
    /// its length (but two) edits away, or have it inside; equal distances in alphabetic order.
    package static func of(
        _ name: String, among candidates: some Sequence<String>, maximum: Int = 3
    ) -> [String] {
        let reach = max(2, name.count / 3)
        let wanted = Array(name.lowercased().unicodeScalars)
        var found: [(distance: Int, name: String)] = []
        for candidate in candidates {
            let other = Array(candidate.lowercased().unicodeScalars)
            let isInside = wanted.count >= 3 && candidate.lowercased().contains(name.lowercased())
            guard isInside || abs(other.count - wanted.count) <= reach else { continue }
            let distance = isInside ? 1 : self.distance(wanted, other)
            if distance <= reach { found.append((distance, candidate)) }
        }
        return found.sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }.prefix(maximum).map(\.name)
    }

    /// Levenshtein's distance.
    private static func distance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Int {
        var row = Array(0...right.count)
        for (i, scalar) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, other) in right.enumerated() {
                let above = row[j + 1]
                row[j + 1] = min(above + 1, row[j] + 1, diagonal + (scalar == other ? 0 : 1))
                diagonal = above
            }
        }
        return row[right.count]
    }
}
