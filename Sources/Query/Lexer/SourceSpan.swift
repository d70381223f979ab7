/// Where a piece of a query stands in its text, in bytes.
///
/// Two spans are always equal: syntax trees compare by what they mean, not by where it was written.
package struct SourceSpan: Hashable, Sendable {
    /// The offset of the first byte.
    package var start: Int
    /// The offset behind the last byte.
    package var end: Int

    /// The bytes `start..<end`.
    package init(start: Int, end: Int) {
        self.start = start
        self.end = end
    }

    /// A piece that was not read from a text.
    package static let none = SourceSpan(start: 0, end: 0)

    /// The span from the start of `first` to the end of `last`.
    func through(_ last: SourceSpan) -> SourceSpan { SourceSpan(start: start, end: last.end) }

    package static func == (left: SourceSpan, right: SourceSpan) -> Bool { true }

    package func hash(into hasher: inout Hasher) {}
}

extension SourceSpan {
    /// Line and column of byte `offset`, both from 1, columns in bytes.
    static func place(of offset: Int, in text: some Collection<UInt8>) -> (line: Int, column: Int) {
        var line = 1
        var lineStart = 0
        for (index, byte) in text.prefix(max(0, offset)).enumerated() where byte == UInt8(ascii: "\n") {
            line += 1
            lineStart = index + 1
        }
        return (line, max(0, offset) - lineStart + 1)
    }
}
