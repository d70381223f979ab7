internal import Telemetry

/// `<ip> - <_> "<method> <path>"`: texts with captures between them, as `| pattern` reads them.
struct CapturePattern: Sendable {
    private enum Piece: Sendable {
        case text([UInt8])
        /// Nil for `<_>`.
        case capture(String?)
    }

    private let pieces: [Piece]

    /// The names of the captures, in order.
    var names: [String] { pieces.compactMap { if case .capture(let name) = $0 { name } else { nil } } }

    /// Whether two captures stand side by side, so that nothing says where the first ends.
    var hasAdjacentCaptures: Bool {
        zip(pieces, pieces.dropFirst()).contains { pair in
            if case (.capture, .capture) = pair { true } else { false }
        }
    }

    /// Reads a pattern; what is no capture stands for itself.
    init(_ source: String) {
        let bytes = Array(source.utf8)
        var pieces: [Piece] = []
        var text: [UInt8] = []
        var index = 0
        while index < bytes.count {
            guard let end = CapturePattern.endOfCapture(bytes, index) else {
                text.append(bytes[index])
                index += 1
                continue
            }
            if !text.isEmpty { pieces.append(.text(text)) }
            text = []
            let name = String(decoding: bytes[index + 1..<end], as: UTF8.self)
            pieces.append(.capture(name == "_" ? nil : name))
            index = end + 1
        }
        if !text.isEmpty { pieces.append(.text(text)) }
        self.pieces = pieces
    }

    /// The place of the `>` of a capture that begins at `start`.
    private static func endOfCapture(_ bytes: [UInt8], _ start: Int) -> Int? {
        guard bytes[start] == UInt8(ascii: "<"), start + 1 < bytes.count, bytes[start + 1].isAlpha else { return nil }
        var end = start + 1
        while end < bytes.count, bytes[end].isAlphaNumeric { end += 1 }
        return end < bytes.count && bytes[end] == UInt8(ascii: ">") ? end : nil
    }

    /// Calls `body` with each capture of `line`. A text before the first capture must begin the line; where a later
    /// text is missing, its capture takes the rest of the line and is the last.
    func forEachCapture(in line: UnsafeRawBufferPointer, _ body: (String, UnsafeRawBufferPointer) -> Void) {
        guard !line.isEmpty else { return }
        var position = 0
        var open: String??
        for (index, piece) in pieces.enumerated() {
            switch piece {
            case .capture(let name): open = .some(name)
            case .text(let text):
                let found = line.offset(of: text, from: position)
                if index == 0 {
                    guard found == 0 else { return }
                } else {
                    let end = found ?? line.count
                    if let name = open ?? nil { body(name, UnsafeRawBufferPointer(rebasing: line[position..<end])) }
                    open = nil
                }
                guard let found else { return }
                position = found + text.count
            }
        }
        if let name = open ?? nil { body(name, UnsafeRawBufferPointer(rebasing: line[position...])) }
    }
}
