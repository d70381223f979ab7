internal import Telemetry

/// Finds series by their labels: the head and every block have one.
protocol LabelIndex {
    /// Every series.
    var allSeries: Postings { get }
    /// The series with exactly this label.
    func postings(name: String, value: String) throws -> Postings
    /// The series whose value of `name` begins with `prefix` and satisfies `isWanted`, which is asked once per distinct
    /// value with the prefix.
    func postings(name: String, prefix: String, where isWanted: (String) -> Bool) throws -> Postings
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
            guard let literals = RegexLiterals.alternatives(of: matcher.value) else {
                let (prefix, isAll) = RegexLiterals.prefix(of: matcher.value)
                return try postings(name: matcher.name, prefix: prefix) { isAll || matcher.matches($0) }
            }
            let found = try literals.map { try postings(name: matcher.name, value: $0) }
            return Postings(joining: found.flatMap(\.runs))
        case .notEqual, .notMatchesRegex: break
        }
        return try postings(name: matcher.name, prefix: "") { matcher.matches($0) }
    }

    private func excluded(by matcher: LabelMatcher) throws -> Postings {
        if matcher.operation == .notEqual, !matcher.value.isEmpty {
            return try postings(name: matcher.name, value: matcher.value)
        }
        return try postings(name: matcher.name, prefix: "") { !matcher.matches($0) }
    }
}

/// Recognises regular expressions that are only a list of literal values, so that they become lookups, and those that
/// begin with literal text, so that only a part of the values is looked at.
enum RegexLiterals {
    private static let special = Set("\\.+*?()[]{}^$|".utf8)

    /// The text that every match begins with, and whether everything that begins with it matches.
    static func prefix(of pattern: String) -> (text: String, isAll: Bool) {
        // The branches of an alternative begin each with their own.
        guard !pattern.utf8.contains(UInt8(ascii: "|")) else { return ("", false) }
        let literal = pattern.utf8.prefix { !special.contains($0) }
        let rest = pattern.utf8.dropFirst(literal.count)
        if rest.elementsEqual(".*".utf8) { return (String(decoding: literal, as: UTF8.self), true) }
        guard let next = rest.first, "*?{".utf8.contains(next) else {
            return (String(decoding: literal, as: UTF8.self), false)
        }
        // The last character may be missing.
        return (String(String(decoding: literal, as: UTF8.self).unicodeScalars.dropLast()), false)
    }

    /// The values of `a|b|c`; nil when the pattern needs RE2. An empty alternative means absence and needs it too.
    static func alternatives(of pattern: String) -> [String]? {
        guard !pattern.utf8.contains(where: { $0 != UInt8(ascii: "|") && special.contains($0) }) else { return nil }
        let pieces = pattern.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        return pieces.contains("") ? nil : pieces
    }
}
