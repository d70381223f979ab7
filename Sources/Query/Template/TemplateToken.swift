/// A piece of a template: text between actions, or a word within one.
struct TemplateToken: Hashable, Sendable {
    /// What the piece is.
    enum Kind: Hashable, Sendable {
        /// Text outside actions, trimmed as the markers around it ask.
        case text(String)
        case leftDelimiter
        case rightDelimiter
        /// A function or keyword.
        case identifier(String)
        /// `$`, or `$name` with the dollar sign.
        case variable(String)
        /// `.Name` without the dot.
        case field(String)
        case dot
        case string(String)
        case integer(Int64)
        case float(Double)
        case pipe
        case leftParenthesis
        case rightParenthesis
        case comma
        case declare
        case assign
        case end
    }

    var kind: Kind
    var position: TemplatePosition
    /// Whether white space stands before it: `$a.b` is one operand, `$a .b` are two.
    var followsSpace: Bool
    /// As it was written, for messages.
    var source: String
}
