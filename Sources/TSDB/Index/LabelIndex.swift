internal import Telemetry

/// Finds series by their labels: the head and every block have one.
protocol LabelIndex {
    /// Every series.
    var allSeries: Postings { get }
    /// The series with exactly this label.
    func postings(name: String, value: String) throws -> Postings
    /// The series whose value of `name` satisfies `isWanted`, which is asked once per distinct value.
    func postings(name: String, where isWanted: (String) -> Bool) throws -> Postings
}

extension LabelIndex {
    /// The series that satisfy all matchers. A series without a label has its empty value, so a matcher that accepts
    /// the empty value takes away the series with another value instead of asking for one.
    func select(_ matchers: [LabelMatcher]) throws -> Postings {
        var selected: Postings?
        for matcher in matchers where !matcher.matchesAbsence {
            let found = try included(by: matcher)
            let both = selected?.intersection(found) ?? found
            if both.isEmpty { return .empty }
            selected = both
        }
        var result = selected ?? allSeries
        for matcher in matchers where matcher.matchesAbsence && !result.isEmpty {
            result = result.subtracting(try excluded(by: matcher))
        }
        return result
    }

    private func included(by matcher: LabelMatcher) throws -> Postings {
        switch matcher.operation {
        case .equal: return try postings(name: matcher.name, value: matcher.value)
        case .matchesRegex:
            guard let literals = RegexLiterals.alternatives(of: matcher.value) else { break }
            let found = try literals.map { try postings(name: matcher.name, value: $0) }
            return Postings(joining: found.flatMap(\.runs))
        case .notEqual, .notMatchesRegex: break
        }
        return try postings(name: matcher.name) { matcher.matches($0) }
    }

    private func excluded(by matcher: LabelMatcher) throws -> Postings {
        if matcher.operation == .notEqual, !matcher.value.isEmpty {
            return try postings(name: matcher.name, value: matcher.value)
        }
        return try postings(name: matcher.name) { !matcher.matches($0) }
    }
}

/// Recognises regular expressions that are only a list of literal values, so that they become lookups.
enum RegexLiterals {
    /// The values of `a|b|c`; nil when the pattern needs RE2. An empty alternative means absence and needs it too.
    static func alternatives(of pattern: String) -> [String]? {
        let special = Set("\\.+*?()[]{}^$".utf8)
        guard !pattern.utf8.contains(where: special.contains) else { return nil }
        let pieces = pattern.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        return pieces.contains("") ? nil : pieces
    }
}
