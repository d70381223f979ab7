internal import Telemetry

/// `| regexp "(?P<method>\w+)"`: named groups become labels.
package struct RegexpStage: KeywordStage {
    static let keyword = "regexp"
    package let pattern: String
    package let span: SourceSpan
    private let expression: RegularExpression
    private let names: [(group: Int, name: String)]

    package var description: String { "| regexp \(QuotedText.quoted(pattern))" }

    static func parse(_ parser: inout LogQLParser, span: SourceSpan) throws(QueryError) -> RegexpStage {
        let place = parser.token.span
        let pattern = try parser.string()
        if let name = duplicateName(in: pattern) {
            throw parser.failure("duplicate extracted label name '\(name)'", at: place)
        }
        let expression: RegularExpression
        do {
            expression = try RegularExpression(pattern)
        } catch {
            throw parser.failure("\(error)", at: place)
        }
        var names: [(group: Int, name: String)] = []
        for (index, name) in expression.groupNames.enumerated() {
            guard let name else { continue }
            names.append((index + 1, FieldName.sanitized(name)))
        }
        guard !names.isEmpty else {
            throw parser.failure("at least one named capture must be supplied", at: place)
        }
        return RegexpStage(pattern: pattern, span: span, expression: expression, names: names)
    }

    /// RE2 would refuse it too, in words that say less.
    private static func duplicateName(in pattern: String) -> String? {
        var seen: Set<Substring> = []
        for piece in pattern.split(separator: "(?", omittingEmptySubsequences: false).dropFirst() {
            let rest = piece.first == "P" ? piece.dropFirst() : piece
            guard rest.first == "<", let end = rest.firstIndex(of: ">") else { continue }
            let name = rest[rest.index(after: rest.startIndex)..<end]
            guard FieldName.isValid(String(name)) else { continue }
            if !seen.insert(name).inserted { return String(name) }
        }
        return nil
    }

    func process(_ line: inout PipelineLine) -> Bool {
        let text = line.text
        text.withUnsafeBytes { raw in
            guard let groups = expression.firstMatch(in: raw) else { return }
            for (group, name) in names where group < groups.count {
                let label = line.labels.parsedName(name)
                guard line.labels.isNeeded(label), !line.labels.isParsed(label) else { continue }
                line.labels.set(label, groups[group].map { String(decoding: raw[$0], as: UTF8.self) } ?? "")
            }
        }
        return true
    }
}
