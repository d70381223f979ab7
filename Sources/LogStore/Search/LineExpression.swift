internal import Telemetry

/// What a line predicate looks for, as a regular expression over bytes.
indirect enum LineExpression: Sendable, Equatable {
    case nothing
    case bytes(ByteSet)
    /// Any UTF-8 sequence of more than one byte, as generously as RE2 takes them.
    case beyondASCII
    case sequence([LineExpression])
    case anyOf([LineExpression])
    /// At least `minimum` and at most `maximum` times; nil for no limit.
    case repeated(LineExpression, minimum: Int, maximum: Int?)
    case begin
    case end
    /// Between a letter, digit or underscore of ASCII and anything else, or either end of the line.
    case wordBoundary

    /// A text as it is.
    static func text(_ bytes: some Sequence<UInt8>) -> LineExpression {
        .sequence(bytes.map { .bytes(ByteSet(CollectionOfOne($0))) })
    }

    /// A text whose ASCII letters may have either case; nil when it has other letters.
    static func foldedText(_ bytes: some Sequence<UInt8>) -> LineExpression? {
        var pieces: [LineExpression] = []
        for byte in bytes {
            guard byte < 0x80 else { return nil }
            pieces.append(folded(byte))
        }
        return .sequence(pieces)
    }

    /// One ASCII character in either case. Unicode folds two of them to characters beyond ASCII: the Kelvin sign and
    /// the
    /// long s.
    static func folded(_ byte: UInt8) -> LineExpression {
        let set = LineExpression.bytes(ByteSet(CollectionOfOne(byte)).foldingCase)
        switch byte | 0x20 {
        case UInt8(ascii: "k"): return .anyOf([set, .text([0xe2, 0x84, 0xaa])])
        case UInt8(ascii: "s"): return .anyOf([set, .text([0xc5, 0xbf])])
        default: return set
        }
    }

    /// What a line must contain to satisfy a predicate, or must not to satisfy a negated one; nil when it cannot be
    /// written
    /// as an expression: then whole lines are looked at.
    static func of(_ predicate: LinePredicate) -> LineExpression? {
        var parts: [LineExpression] = []
        for text in predicate.alternatives {
            let part: LineExpression? =
                switch predicate.kind {
                case .contains where predicate.foldsCase: foldedText(text.utf8)
                case .contains: .text(text.utf8)
                case .matchesRegex: ExpressionParser.parse(text, foldCase: predicate.foldsCase)
                // The first place of each text counts, which no expression says.
                case .matchesPattern, .containsAddress: nil
                }
            guard let part else { return nil }
            parts.append(part)
        }
        let whole = LineExpression.anyOf(parts)
        return whole.size <= sizeMaximum ? whole : nil
    }

    /// A bound for the size of the program it becomes.
    var size: Int {
        switch self {
        case .nothing, .begin, .end, .wordBoundary, .bytes: 1
        case .beyondASCII: 12
        case .sequence(let parts), .anyOf(let parts): parts.reduce(1) { min($0 + $1.size, 1 << 20) }
        case .repeated(let part, let minimum, let maximum):
            min((part.size + 1) * max(1, (maximum ?? minimum + 1)), 1 << 20)
        }
    }

    /// Larger expressions are left to RE2 and whole lines.
    static let sizeMaximum = 4000
}
