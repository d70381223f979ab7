/// LogQL's `|>`: texts with `<_>` between them, which stand for any bytes. The pattern must cover the whole line.
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

    /// Whether the pattern covers `line`. Each text is taken where it occurs first, but the last one, without a gap
    /// behind it, at the end of the line.
    package func matches(_ line: UnsafeRawBufferPointer) -> Bool {
        if pieces.isEmpty { return line.isEmpty }
        var position = 0
        for (index, piece) in pieces.enumerated() {
            guard case .text(let text) = piece else { continue }
            if index == pieces.count - 1 {
                let start = line.count - text.count
                guard start >= position, index > 0 || start == 0 else { return false }
                return line[start...].elementsEqual(text)
            }
            guard let found = line.offset(of: text, from: position) else { return false }
            if index == 0, found != 0 { return false }
            position = found + text.count
        }
        return true
    }
}
