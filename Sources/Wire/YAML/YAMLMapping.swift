internal import Telemetry

/// A mapping whose keys are known: what nobody asked for is an error, with the nearest known key as a suggestion.
package struct YAMLMapping {
    /// The mapping itself, for complaints about the whole of it.
    package let value: YAMLValue
    private typealias Entry = (key: String, value: YAMLValue, place: YAMLValue)

    private let entries: [Entry]
    private var asked: Set<String> = []

    init(_ value: YAMLValue, _ entries: [(key: String, value: YAMLValue, place: YAMLValue)]) {
        self.value = value
        self.entries = entries
    }

    /// The value of `key`; nil when it is absent or null.
    package mutating func optional(_ key: String) -> YAMLValue? {
        asked.insert(key)
        guard let found = entries.first(where: { $0.key == key })?.value, !found.isNull else { return nil }
        return found
    }

    /// The value of `key`; an error when it is absent.
    package mutating func required(_ key: String) throws(ConfigurationError) -> YAMLValue {
        guard let found = optional(key) else {
            // What was misspelt is more to the point than what is missing.
            let typo = entries.first { !asked.contains($0.key) && !NearestName.of($0.key, among: [key]).isEmpty }
            throw typo.map { error($0, [key]) } ?? value.error("\(key) is missing")
        }
        return found
    }

    /// The text of `key`, nil when absent.
    package mutating func text(_ key: String) throws(ConfigurationError) -> String? {
        guard let found = optional(key) else { return nil }
        return try found.text()
    }

    /// The duration of `key` in milliseconds, nil when absent.
    package mutating func durationMilliseconds(_ key: String) throws(ConfigurationError) -> Int64? {
        guard let found = optional(key) else { return nil }
        return try found.durationMilliseconds()
    }

    /// The whole number of `key` within `range`, nil when absent.
    package mutating func integer(
        _ key: String, in range: ClosedRange<Int64> = .min ... .max
    ) throws(ConfigurationError) -> Int64? {
        guard let found = optional(key) else { return nil }
        return try found.integer(in: range)
    }

    /// The truth of `key`, nil when absent.
    package mutating func truth(_ key: String) throws(ConfigurationError) -> Bool? {
        guard let found = optional(key) else { return nil }
        return try found.truth()
    }

    /// The elements of the list `key`, empty when absent.
    package mutating func elements(_ key: String) throws(ConfigurationError) -> [YAMLValue] {
        guard let found = optional(key) else { return [] }
        return try found.elements()
    }

    /// Throws for the first key that was not asked for.
    package func finish() throws(ConfigurationError) { try finish(knowing: asked) }

    /// Throws for the first key that is not among `known`, before anything was asked for.
    package func finish(knowing known: Set<String>) throws(ConfigurationError) {
        if let unknown = entries.first(where: { !known.contains($0.key) }) { throw error(unknown, known) }
    }

    /// An error for each key that was not asked for.
    package func unknownKeys() -> [ConfigurationError] {
        entries.filter { !asked.contains($0.key) }.map { error($0, asked) }
    }

    private func error(_ unknown: Entry, _ known: Set<String>) -> ConfigurationError {
        let near = NearestName.of(unknown.key, among: known, maximum: 1).first
        let hint =
            near.map { "; did you mean \($0)?" } ?? "; known here: \(known.sorted().joined(separator: ", "))"
        return unknown.place.error("unknown key \(unknown.key)\(hint)")
    }
}
