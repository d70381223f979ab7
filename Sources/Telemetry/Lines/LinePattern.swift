/// LogQL's `|>`: texts with `<_>` between them, which stand for one byte or more.
package struct LinePattern: Sendable {
    private enum Piece: Sendable {
        case text([UInt8])
        case anything
    }

    private let pieces: [Piece]

    /// Reads a pattern; everything but `<_>` stands for itself.
    package init(_ source: String) {
        let bytes = Array(source.utf8)
        let gap = Array("<_>".utf8)
        var pieces: [Piece] = []
        var text: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index...].starts(with: gap) {
                if !text.isEmpty { pieces.append(.text(text)) }
                text = []
                // Two gaps in a row are one.
                if case .anything? = pieces.last {} else { pieces.append(.anything) }
                index += gap.count
            } else {
                text.append(bytes[index])
                index += 1
            }
        }
        if !text.isEmpty { pieces.append(.text(text)) }
        self.pieces = pieces
    }

    /// The longest text, which every matching line contains.
    package var longestText: [UInt8]? {
        let texts = pieces.compactMap { piece -> [UInt8]? in if case .text(let text) = piece { text } else { nil } }
        return texts.max { $0.count < $1.count }
    }

    /// Whether `line` matches, as Loki decides it: each text is looked for from the end of the one before, and where it
    /// is first found it counts. Only a text at the start of the pattern may have anything before it; a gap stands for
    /// at least one byte; the end of the pattern is the end of the line.
    package func matches(_ line: UnsafeRawBufferPointer) -> Bool {
        guard let last = pieces.last, !line.isEmpty else { return pieces.isEmpty && line.isEmpty }
        var position = 0
        for (index, piece) in pieces.enumerated() {
            guard case .text(let text) = piece else { continue }
            guard let found = line.offset(of: text, from: position), index == 0 || found > position else {
                return false
            }
            position = found + text.count
        }
        if case .anything = last { return position < line.count }
        return position == line.count
    }
}
