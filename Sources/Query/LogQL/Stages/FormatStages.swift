package import Telemetry

/// `| line_format "{{.method}} {{.path}}"`: rewrites the line.
package struct LineFormatStage: KeywordStage {
    static let keyword = "line_format"
    package var template: String
    package var span: SourceSpan

    package var description: String { "| line_format \(QuotedText.quoted(template))" }

    static func parse(_ parser: inout LogQLParser, span: SourceSpan) throws(QueryError) -> LineFormatStage {
        LineFormatStage(template: try parser.string(), span: span)
    }
}

/// `| label_format a=b, c="{{.d}}"`: renames and computes labels.
package struct LabelFormatStage: KeywordStage {
    /// One assignment.
    package struct Assignment: Hashable, Sendable, CustomStringConvertible {
        package var label: String
        /// Another label's name, or a template.
        package var value: String
        package var isTemplate: Bool

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
            try parser.expect("=")
            if case .string(let template) = parser.token.kind {
                parser.advance()
                assignments.append(Assignment(label: label, value: template, isTemplate: true))
            } else {
                assignments.append(Assignment(label: label, value: try parser.identifier(), isTemplate: false))
            }
        } while parser.accept(",")
        return LabelFormatStage(assignments: assignments, span: span)
    }
}

/// `| decolorize`: takes colour codes out of the line.
package struct DecolorizeStage: KeywordStage {
    static let keyword = "decolorize"
    package var span: SourceSpan

    package var description: String { "| decolorize" }

    static func parse(_ parser: inout LogQLParser, span: SourceSpan) throws(QueryError) -> DecolorizeStage {
        DecolorizeStage(span: span)
    }
}

/// A label named by `drop` or `keep`, always or only where a matcher holds.
package struct LabelSelection: Sendable, CustomStringConvertible {
    package var label: String
    package var matcher: LabelMatcher?

    package var description: String { matcher?.description ?? label }

    static func list(_ parser: inout LogQLParser) throws(QueryError) -> [LabelSelection] {
        var list: [LabelSelection] = []
        repeat {
            let label = try parser.identifier()
            let matcher = try parser.matcherTail(of: label)
            list.append(LabelSelection(label: label, matcher: matcher))
        } while parser.accept(",")
        return list
    }
}

/// `| drop a, b="c"`: takes labels away.
package struct DropStage: KeywordStage {
    static let keyword = "drop"
    package var selections: [LabelSelection]
    package var span: SourceSpan

    package var description: String { LogStageText.joined("| drop", selections) }

    static func parse(_ parser: inout LogQLParser, span: SourceSpan) throws(QueryError) -> DropStage {
        DropStage(selections: try LabelSelection.list(&parser), span: span)
    }
}

/// `| keep a, b="c"`: keeps these labels and no others.
package struct KeepStage: KeywordStage {
    static let keyword = "keep"
    package var selections: [LabelSelection]
    package var span: SourceSpan

    package var description: String { LogStageText.joined("| keep", selections) }

    static func parse(_ parser: inout LogQLParser, span: SourceSpan) throws(QueryError) -> KeepStage {
        KeepStage(selections: try LabelSelection.list(&parser), span: span)
    }
}
