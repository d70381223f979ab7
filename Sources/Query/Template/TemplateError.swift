/// Why a template cannot be read or expanded, and where in its text.
package struct TemplateError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, in the words of Go's `text/template` where it has words for it.
    package let message: String
    /// The line in the template, from 1.
    package let line: Int
    /// The column in bytes, from 1.
    package let column: Int

    /// An error at a place.
    package init(_ message: String, line: Int, column: Int) {
        self.message = message
        self.line = line
        self.column = column
    }

    /// "1:12: function \"humanise\" not defined"
    package var description: String { "\(line):\(column): \(message)" }
}

/// A place in a template: the offset of a byte.
struct TemplatePosition: Hashable, Sendable {
    var offset: Int

    /// The error `message` at this place of `text`.
    func error(_ message: String, in text: [UInt8]) -> TemplateError {
        var line = 1
        var lineStart = 0
        for index in 0..<min(offset, text.count) where text[index] == UInt8(ascii: "\n") {
            line += 1
            lineStart = index + 1
        }
        return TemplateError(message, line: line, column: offset - lineStart + 1)
    }
}
