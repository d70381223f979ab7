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

/// How stages print their arguments.
enum LogStageText {
    static func joined(_ head: String, _ arguments: [some CustomStringConvertible]) -> String {
        arguments.isEmpty ? head : "\(head) \(arguments.map(\.description).joined(separator: ","))"
    }
}
