/// One stage of a pipeline: a filter, a parser, a formatter. Its `description` is its canonical text.
package protocol LogStage: Sendable, CustomStringConvertible {
    /// The name for "not yet supported: NAME at 1:5".
    var name: String { get }
    var span: SourceSpan { get }
}

/// A stage that begins with a keyword behind the bar.
protocol KeywordStage: LogStage {
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
