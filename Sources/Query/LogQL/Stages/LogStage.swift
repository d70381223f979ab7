/// One stage of a pipeline: a filter, a parser, a formatter. Its `description` is its canonical text.
package protocol LogStage: Sendable, CustomStringConvertible {
    var name: String { get }
    var span: SourceSpan { get }
}

/// What a stage does with a line.
protocol LineProcessing: LogStage {
    /// Changes the line or its labels; false drops the line. What goes wrong is noted in the labels.
    func process(_ line: inout PipelineLine) -> Bool
    /// Whether it may change the line's text.
    var changesText: Bool { get }
    /// Whether it leaves the line's level as it is. Parsers do: a field of that name gets another one.
    var keepsLevel: Bool { get }
}

extension LineProcessing {
    var changesText: Bool { false }
    var keepsLevel: Bool { true }
}

/// A stage that begins with a keyword behind the bar.
protocol KeywordStage: LineProcessing {
    /// The word behind the bar.
    static var keyword: String { get }
    /// Reads what follows the keyword, which the parser has taken.
    static func parse(_ parser: inout LogQLParser, span: SourceSpan) throws(QueryError) -> Self
}

extension KeywordStage {
    package var name: String { Self.keyword }
}

/// The stages that begin with a keyword.
enum LogStages {
    /// The only place a stage is listed.
    static let all: [any KeywordStage.Type] = [
        DecolorizeStage.self,
        DropStage.self,
        JSONStage.self,
        KeepStage.self,
        LabelFormatStage.self,
        LineFormatStage.self,
        LogfmtStage.self,
        PatternStage.self,
        RegexpStage.self,
        UnpackStage.self,
    ]
}
