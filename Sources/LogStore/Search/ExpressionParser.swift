/// Reads the part of RE2's syntax that people use in log queries. It is given expressions that RE2 accepted, and gives
/// up
/// on what it does not know: then RE2 sees whole lines.
struct ExpressionParser {
    private let source: [UInt8]
    private var index = 0
    private var foldsCase: Bool
    private var dotMatchesNewline = false

    /// Something that is not understood.
    private struct Unknown: Error {}

    /// The expression of a pattern; nil when it has something unknown.
    static func parse(_ pattern: String, foldCase: Bool) -> LineExpression? {
        var parser = ExpressionParser(source: Array(pattern.utf8), foldsCase: foldCase)
        guard let result = try? parser.alternation(), parser.index == parser.source.count,
            result.size <= LineExpression.sizeMaximum
        else { return nil }
        return result
    }

    private init(source: [UInt8], foldsCase: Bool) {
        self.source = source
        self.foldsCase = foldsCase
    }

    private var next: UInt8? { index < source.count ? source[index] : nil }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: character) else { return false }
        index += 1
        return true
    }

    private mutating func alternation() throws(Unknown) -> LineExpression {
        var parts = [try sequence()]
        while take("|") { parts.append(try sequence()) }
        return parts.count == 1 ? parts[0] : .anyOf(parts)
    }

    private mutating func sequence() throws(Unknown) -> LineExpression {
        var parts: [LineExpression] = []
        while let byte = next, byte != UInt8(ascii: "|"), byte != UInt8(ascii: ")") {
            guard let atom = try atom() else { continue }
            parts.append(try repeated(atom))
        }
        return .sequence(parts)
    }

    private mutating func repeated(_ atom: LineExpression) throws(Unknown) -> LineExpression {
        var result = atom
        while let byte = next {
            switch byte {
            case UInt8(ascii: "*"):
                index += 1
                result = .repeated(result, minimum: 0, maximum: nil)
            case UInt8(ascii: "+"):
                index += 1
                result = .repeated(result, minimum: 1, maximum: nil)
            case UInt8(ascii: "?"):
                index += 1
                result = .repeated(result, minimum: 0, maximum: 1)
            case UInt8(ascii: "{"):
                guard let (minimum, maximum) = bounds() else { return result }
                result = .repeated(result, minimum: minimum, maximum: maximum)
            default: return result
            }
            // Whether as few or as many as possible does not matter to whether there is a match.
            _ = take("?")
            guard result.size <= LineExpression.sizeMaximum else { throw Unknown() }
        }
        return result
    }

    /// `{n}`, `{n,}` or `{n,m}`; nil for a brace that stands for itself.
    private mutating func bounds() -> (Int, Int?)? {
        let start = index
        index += 1
        guard let minimum = number() else {
            index = start
            return nil
        }
        var maximum: Int? = minimum
        if take(",") { maximum = number() }
        guard take("}") else {
            index = start
            return nil
        }
        return (minimum, maximum)
    }

    private mutating func number() -> Int? {
        let start = index
        var value = 0
        while let byte = next, byte &- UInt8(ascii: "0") < 10, value < 100_000 {
            value = value * 10 + Int(byte - UInt8(ascii: "0"))
            index += 1
        }
        return index > start ? value : nil
    }

    /// One element; nil for flags, which are none.
    private mutating func atom() throws(Unknown) -> LineExpression? {
        let byte = source[index]
        index += 1
        switch byte {
        case UInt8(ascii: "("): return try group()
        case UInt8(ascii: "["): return try bracket()
        case UInt8(ascii: "."):
            let ascii = dotMatchesNewline ? ByteSet.ascii : ByteSet([0x0a]).asciiComplement
            return .anyOf([.bytes(ascii), .beyondASCII])
        case UInt8(ascii: "^"): return .begin
        case UInt8(ascii: "$"): return .end
        case UInt8(ascii: "\\"): return try escape()
        // A brace that begins no repetition stands for itself, but where nothing stands before it RE2 decides.
        case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"): throw Unknown()
        default: return try literal(byte)
        }
    }

    private mutating func literal(_ byte: UInt8) throws(Unknown) -> LineExpression {
        if byte < 0x80 { return foldsCase ? LineExpression.folded(byte) : .bytes(ByteSet([byte])) }
        // A character of several bytes is one element.
        guard !foldsCase else { throw Unknown() }
        var bytes = [byte]
        while let more = next, more & 0xc0 == 0x80 {
            bytes.append(more)
            index += 1
        }
        return .text(bytes)
    }

    private mutating func group() throws(Unknown) -> LineExpression? {
        let saved = (foldsCase, dotMatchesNewline)
        if take("?") {
            if take("P") || next == UInt8(ascii: "<") {
                guard take("<") else { throw Unknown() }
                while next.map({ $0 != UInt8(ascii: ">") }) == true { index += 1 }
                guard take(">") else { throw Unknown() }
            } else if try flags() {
                // Flags alone hold to the end of the group around them.
                return nil
            }
        }
        let inner = try alternation()
        guard take(")") else { throw Unknown() }
        (foldsCase, dotMatchesNewline) = saved
        return inner
    }

    /// Flags up to `:` or `)`; true for the latter.
    private mutating func flags() throws(Unknown) -> Bool {
        var value = true
        while let byte = next {
            index += 1
            switch byte {
            case UInt8(ascii: "-"): value = false
            case UInt8(ascii: "i"): foldsCase = value
            case UInt8(ascii: "s"): dotMatchesNewline = value
            case UInt8(ascii: "U"): break
            case UInt8(ascii: ":"): return false
            case UInt8(ascii: ")"): return true
            default: throw Unknown()
            }
        }
        throw Unknown()
    }

    // MARK: Escapes and classes

    /// A class by its letter: its ASCII bytes, and whether it has everything beyond ASCII.
    private static func perlClass(_ byte: UInt8) -> (ByteSet, Bool)? {
        switch byte {
        case UInt8(ascii: "d"): (.digits, false)
        case UInt8(ascii: "D"): (ByteSet.digits.asciiComplement, true)
        case UInt8(ascii: "w"): (.word, false)
        case UInt8(ascii: "W"): (ByteSet.word.asciiComplement, true)
        case UInt8(ascii: "s"): (.space, false)
        case UInt8(ascii: "S"): (ByteSet.space.asciiComplement, true)
        default: nil
        }
    }

    private static func expression(_ set: ByteSet, _ hasRest: Bool) -> LineExpression {
        hasRest ? .anyOf([.bytes(set), .beyondASCII]) : .bytes(set)
    }

    private mutating func escape() throws(Unknown) -> LineExpression {
        guard let byte = next else { throw Unknown() }
        if let (set, hasRest) = ExpressionParser.perlClass(byte) {
            index += 1
            return ExpressionParser.expression(set, hasRest)
        }
        switch byte {
        case UInt8(ascii: "A"):
            index += 1
            return .begin
        case UInt8(ascii: "z"):
            index += 1
            return .end
        case UInt8(ascii: "b"):
            index += 1
            return .wordBoundary
        default: return try literal(try escapedByte())
        }
    }

    /// The byte that an escape stands for.
    private mutating func escapedByte() throws(Unknown) -> UInt8 {
        guard let byte = next else { throw Unknown() }
        index += 1
        switch byte {
        case UInt8(ascii: "n"): return 0x0a
        case UInt8(ascii: "t"): return 0x09
        case UInt8(ascii: "r"): return 0x0d
        case UInt8(ascii: "f"): return 0x0c
        case UInt8(ascii: "v"): return 0x0b
        case UInt8(ascii: "a"): return 0x07
        default:
            let isAlphanumeric = ByteSet.word.contains(byte) && byte != UInt8(ascii: "_")
            guard byte < 0x80, !isAlphanumeric else { throw Unknown() }
            return byte
        }
    }

    private mutating func bracket() throws(Unknown) -> LineExpression {
        let isNegated = take("^")
        var set = ByteSet()
        var hasRest = false
        var isFirst = true
        while true {
            guard let byte = next else { throw Unknown() }
            if byte == UInt8(ascii: "]"), !isFirst { break }
            isFirst = false
            index += 1
            if byte == UInt8(ascii: "\\"), let escaped = next, let (more, rest) = ExpressionParser.perlClass(escaped) {
                index += 1
                set = set.union(more)
                hasRest = hasRest || rest
                continue
            }
            // Named classes and characters beyond ASCII are for RE2.
            guard byte < 0x80, byte != UInt8(ascii: "[") || next != UInt8(ascii: ":") else { throw Unknown() }
            let low = byte == UInt8(ascii: "\\") ? try escapedByte() : byte
            var high = low
            if next == UInt8(ascii: "-"), index + 1 < source.count, source[index + 1] != UInt8(ascii: "]") {
                index += 1
                high = source[index]
                index += 1
                if high == UInt8(ascii: "\\") { high = try escapedByte() }
            }
            guard low <= high, high < 0x80 else { throw Unknown() }
            set = set.union(ByteSet(low...high))
        }
        index += 1
        if foldsCase {
            let special = ByteSet("kKsS".utf8).bytes
            guard !special.contains(where: { set.contains($0) }) || hasRest else { throw Unknown() }
            set = set.foldingCase
        }
        guard isNegated else { return ExpressionParser.expression(set, hasRest) }
        return ExpressionParser.expression(set.asciiComplement, !hasRest)
    }
}
