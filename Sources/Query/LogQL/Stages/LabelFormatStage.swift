internal import Telemetry

/// `| label_format a=b, c="{{.d}}"`: renames and computes labels.
package struct LabelFormatStage: KeywordStage {
    /// One assignment.
    package struct Assignment: Hashable, Sendable, CustomStringConvertible {
        package var label: String
        /// Another label's name, or a template.
        package var value: String
        package var isTemplate: Bool { template != nil }
        fileprivate var template: Template?

        package var description: String { "\(label)=\(isTemplate ? QuotedText.quoted(value) : value)" }
    }

    static let keyword = "label_format"
    package var assignments: [Assignment]
    package var span: SourceSpan

    package var description: String { LogStageText.joined("| label_format", assignments) }

    static func parse(_ parser: inout LogQLParser, span: SourceSpan) throws(QueryError) -> LabelFormatStage {
        var assignments: [Assignment] = []
        repeat {
            let place = parser.token.span
            let label = try parser.identifier()
            guard !assignments.contains(where: { $0.label == label }) else {
                throw parser.failure(
                    "multiple label name '\(label)' not allowed in a single format operation", at: place)
            }
            guard label != LineLabels.errorName else { throw parser.failure("\(label) cannot be formatted", at: place) }
            try parser.expect("=")
            guard case .string(let text) = parser.token.kind else {
                assignments.append(Assignment(label: label, value: try parser.identifier()))
                continue
            }
            do {
                assignments.append(Assignment(label: label, value: text, template: try Template(logQL: text)))
            } catch {
                throw parser.failure("invalid template for label '\(label)': \(error)", at: parser.token.span)
            }
            parser.advance()
        } while parser.accept(",")
        return LabelFormatStage(assignments: assignments, span: span)
    }

    var keepsLevel: Bool { false }

    func process(_ line: inout PipelineLine) -> Bool {
        // All templates see the labels as they are when the first one is reached.
        var known: [String: String]?
        for assignment in assignments {
            guard let template = assignment.template else {
                guard let value = line.labels[assignment.value] else { continue }
                line.labels.set(assignment.label, value)
                if assignment.label != assignment.value { line.labels.remove(assignment.value) }
                continue
            }
            let labels = known ?? line.labels.dictionary
            known = labels
            do {
                line.labels.set(assignment.label, try template.expand(line, labels: labels))
            } catch {
                line.labels.fail(LineError.template, "\(error)")
            }
        }
        return true
    }
}
