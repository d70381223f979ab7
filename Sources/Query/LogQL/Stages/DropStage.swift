internal import Telemetry

/// `| drop a, b="c"`: takes labels away.
package struct DropStage: KeywordStage {
    static let keyword = "drop"
    package var selections: [LabelSelection]
    package var span: SourceSpan

    package var description: String { LogStageText.joined("| drop", selections) }

    static func parse(_ parser: inout LogQLParser, span: SourceSpan) throws(QueryError) -> DropStage {
        DropStage(selections: try LabelSelection.list(&parser), span: span)
    }

    var keepsLevel: Bool { false }

    func process(_ line: inout PipelineLine) -> Bool {
        for selection in selections {
            let isMeant = selection.matcher.map { $0.matches(line.labels.text(selection.label)) } ?? true
            guard isMeant else { continue }
            switch selection.label {
            case LineLabels.errorName: line.labels.clearError()
            case LineLabels.errorDetailsName: line.labels.clearErrorDetails()
            default: line.labels.remove(selection.label)
            }
        }
        return true
    }
}
