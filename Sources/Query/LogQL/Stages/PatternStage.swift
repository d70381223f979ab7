internal import Telemetry

/// `| pattern "<ip> - <_>"`: named pieces between literal text become labels.
package struct PatternStage: KeywordStage {
    static let keyword = "pattern"
    package let pattern: String
    package let span: SourceSpan
    private let captures: CapturePattern

    package var description: String { "| pattern \(QuotedText.quoted(pattern))" }

    static func parse(_ parser: inout LogQLParser, span: SourceSpan) throws(QueryError) -> PatternStage {
        let place = parser.token.span
        let pattern = try parser.string()
        let captures = CapturePattern(pattern)
        let names = captures.names
        guard !names.isEmpty else { throw parser.failure("at least one capture is required", at: place) }
        if let name = names.first(where: { name in names.count { $0 == name } > 1 }) {
            throw parser.failure("duplicate capture name (\(name)): invalid expression", at: place)
        }
        if captures.hasAdjacentCaptures {
            throw parser.failure("found consecutive capture: literal expected in between", at: place)
        }
        return PatternStage(pattern: pattern, span: span, captures: captures)
    }

    func process(_ line: inout PipelineLine) -> Bool {
        if line.labels.hasAllNeeded { return true }
        let text = line.text
        text.withUnsafeBytes { raw in
            captures.forEachCapture(in: raw) { name, value in
                let label = line.labels.parsedName(name)
                guard line.labels.isNeeded(label), !line.labels.isParsed(label) else { return }
                line.labels.set(label, String(decoding: value, as: UTF8.self))
            }
        }
        return true
    }
}
