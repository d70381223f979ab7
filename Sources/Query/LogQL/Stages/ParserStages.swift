internal import Telemetry

/// `name="path"`: one field taken out under a name.
package struct LabelExtraction: Hashable, Sendable, CustomStringConvertible {
    package var label: String
    package var path: String

    package var description: String { "\(label)=\(QuotedText.quoted(path))" }

    /// Reads `a, b="c.d[0]"`; nothing is an empty list.
    static func list(_ parser: inout LogQLParser) throws(QueryError) -> [LabelExtraction] {
        var list: [LabelExtraction] = []
        guard parser.isAtIdentifier else { return list }
        repeat {
            let label = try parser.identifier()
            let path = try parser.accept("=") ? parser.string() : label
            list.append(LabelExtraction(label: label, path: path))
        } while parser.accept(",")
        return list
    }
}

/// `| json`: the members of a JSON object become labels.
package struct JSONStage: KeywordStage {
    static let keyword = "json"
    package var extractions: [LabelExtraction]
    package var span: SourceSpan

    package var description: String { LogStageText.joined("| json", extractions) }

    static func parse(_ parser: inout LogQLParser, span: SourceSpan) throws(QueryError) -> JSONStage {
        JSONStage(extractions: try LabelExtraction.list(&parser), span: span)
    }
}

/// `| logfmt`: the pairs of a logfmt line become labels.
package struct LogfmtStage: KeywordStage {
    static let keyword = "logfmt"
    package var isStrict: Bool
    package var keepsEmpty: Bool
    package var extractions: [LabelExtraction]
    package var span: SourceSpan

    package var description: String {
        let flags = (isStrict ? " --strict" : "") + (keepsEmpty ? " --keep-empty" : "")
        return LogStageText.joined("| logfmt\(flags)", extractions)
    }

    static func parse(_ parser: inout LogQLParser, span: SourceSpan) throws(QueryError) -> LogfmtStage {
        var stage = LogfmtStage(isStrict: false, keepsEmpty: false, extractions: [], span: span)
        while case .flag(let flag) = parser.token.kind {
            switch flag {
            case "strict": stage.isStrict = true
            case "keep-empty": stage.keepsEmpty = true
            default: throw parser.unexpected()
            }
            parser.advance()
        }
        stage.extractions = try LabelExtraction.list(&parser)
        return stage
    }
}

/// `| pattern "<ip> - <_>"`: named pieces between literal text become labels.
package struct PatternStage: KeywordStage {
    static let keyword = "pattern"
    package var pattern: String
    package var span: SourceSpan

    package var description: String { "| pattern \(QuotedText.quoted(pattern))" }

    static func parse(_ parser: inout LogQLParser, span: SourceSpan) throws(QueryError) -> PatternStage {
        PatternStage(pattern: try parser.string(), span: span)
    }
}

/// `| regexp "(?P<method>\w+)"`: named groups become labels.
package struct RegexpStage: KeywordStage {
    static let keyword = "regexp"
    package var pattern: String
    package var span: SourceSpan

    package var description: String { "| regexp \(QuotedText.quoted(pattern))" }

    static func parse(_ parser: inout LogQLParser, span: SourceSpan) throws(QueryError) -> RegexpStage {
        let place = parser.token.span
        let pattern = try parser.string()
        let expression: RegularExpression
        do {
            expression = try RegularExpression(pattern)
        } catch {
            throw parser.failure("\(error)", at: place)
        }
        guard expression.groupNames.contains(where: { $0 != nil }) else {
            throw parser.failure("at least one named capture must be supplied", at: place)
        }
        return RegexpStage(pattern: pattern, span: span)
    }
}

/// `| unpack`: undoes the packing of labels into the line.
package struct UnpackStage: KeywordStage {
    static let keyword = "unpack"
    package var span: SourceSpan

    package var description: String { "| unpack" }

    static func parse(_ parser: inout LogQLParser, span: SourceSpan) throws(QueryError) -> UnpackStage {
        UnpackStage(span: span)
    }
}

/// How stages print their arguments.
enum LogStageText {
    static func joined(_ head: String, _ arguments: [some CustomStringConvertible]) -> String {
        arguments.isEmpty ? head : "\(head) \(arguments.map(\.description).joined(separator: ","))"
    }
}
