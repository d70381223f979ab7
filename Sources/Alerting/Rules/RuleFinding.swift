internal import Wire

/// Something wrong in a rule or remedy file: where, what, and what to do.
package struct RuleFinding: Error, Hashable, Sendable, CustomStringConvertible {
    /// Whether the file can be used all the same.
    package enum Severity: String, Sendable {
        case error
        case warning
    }

    package var severity: Severity
    /// The path as it was given.
    package var file: String
    /// From 1; 0 when the whole file is meant.
    package var line: Int
    /// From 1; 0 when the whole line is meant.
    package var column: Int
    /// Empty outside groups.
    package var group: String
    /// The alert, series or remedy; empty outside rules.
    package var rule: String
    /// What is wrong and what to do, lower case, without a full stop.
    package var message: String

    /// `rules/a.yml:12:7: group "g", rule "R": unknown key exprr; did you mean expr?`
    package var description: String {
        var place: [String] = []
        if !group.isEmpty { place.append("group \"\(group)\"") }
        if !rule.isEmpty { place.append("rule \"\(rule)\"") }
        let owner = place.isEmpty ? "" : place.joined(separator: ", ") + ": "
        let position = line == 0 ? file : column == 0 ? "\(file):\(line)" : "\(file):\(line):\(column)"
        return "\(position): \(owner)\(message)"
    }
}

/// Gathers what readers find, so that one pass over a file tells of every rule that is wrong and not only of the first.
final class FindingCollector {
    let file: String
    var group = ""
    var rule = ""
    /// Whether keys that nobody knows are passed over.
    var ignoresUnknownFields = false
    private(set) var findings: [RuleFinding] = []

    init(file: String) {
        self.file = file
    }

    /// Keeps an error of the YAML reader.
    func add(_ error: ConfigurationError) {
        let finding = RuleFinding(
            severity: .error, file: file, line: error.line, column: error.column, group: group, rule: rule,
            message: error.message)
        if !findings.contains(finding) { findings.append(finding) }
    }

    /// Runs `body`; what it throws becomes a finding.
    @discardableResult
    func collecting<Value>(_ body: () throws(ConfigurationError) -> Value) -> Value? {
        do throws(ConfigurationError) {
            return try body()
        } catch {
            add(error)
            return nil
        }
    }

    /// Runs `body`, which may find nothing; what it throws becomes a finding.
    func gathering<Value>(_ body: () throws(ConfigurationError) -> Value?) -> Value? {
        collecting(body) ?? nil
    }
}
