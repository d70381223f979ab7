internal import Telemetry

/// `| keep a, b="c"`: keeps these labels and no others.
package struct KeepStage: KeywordStage {
    static let keyword = "keep"
    package var selections: [LabelSelection]
    package var span: SourceSpan

    package var description: String { LogStageText.joined("| keep", selections) }

    static func parse(_ parser: inout LogQLParser, span: SourceSpan) throws(QueryError) -> KeepStage {
        KeepStage(selections: try LabelSelection.list(&parser), span: span)
    }

    var keepsLevel: Bool { false }

    func process(_ line: inout PipelineLine) -> Bool {
        // Errors are not among the labels here, and so stay.
        line.labels.keep { name, value in
            selections.contains { $0.label == name && ($0.matcher?.matches(value) ?? true) }
        }
        return true
    }
}
