internal import Telemetry

/// `| line_format "{{.method}} {{.path}}"`: rewrites the line.
package struct LineFormatStage: KeywordStage {
    static let keyword = "line_format"
    package let text: String
    package let span: SourceSpan
    private let template: Template

    package var description: String { "| line_format \(QuotedText.quoted(text))" }

    static func parse(_ parser: inout LogQLParser, span: SourceSpan) throws(QueryError) -> LineFormatStage {
        let place = parser.token.span
        let text = try parser.string()
        do {
            return LineFormatStage(text: text, span: span, template: try Template(logQL: text))
        } catch {
            throw parser.failure("invalid line template: \(error)", at: place)
        }
    }

    var changesText: Bool { true }

    func process(_ line: inout PipelineLine) -> Bool {
        do {
            line.text = Array(try template.expand(line).utf8)[...]
        } catch {
            line.labels.fail(LineError.template, "\(error)")
        }
        return true
    }
}
