/// Cuts a template into tokens: text, `{{`, the words of an action, `}}`; trim markers and comments are used up here.
struct TemplateLexer {
    private let text: [UInt8]
    private var offset = 0
    private var tokens: [TemplateToken] = []

    /// All tokens of `text`, an `end` token last.
    static func tokens(of text: [UInt8]) throws(TemplateError) -> [TemplateToken] {
        var lexer = TemplateLexer(text: text)
        try lexer.run()
        return lexer.tokens
    }

    private init(text: [UInt8]) {
        self.text = text
    }

    private mutating func run() throws(TemplateError) {
        var trimsLeading = false
        while true {
            let start = offset
            let open = find("{{", from: offset) ?? text.count
            var piece = text[start..<open]
            offset = open
            let isAction = open < text.count
            let trimsTrailing =
                isAction && open + 3 < text.count && text[open + 2] == UInt8(ascii: "-")
                && text[open + 3].isTemplateSpace
            if trimsLeading { piece = piece.drop { $0.isTemplateSpace } }
            if trimsTrailing { while let last = piece.last, last.isTemplateSpace { piece.removeLast() } }
            if !piece.isEmpty { add(.text(String(decoding: piece, as: UTF8.self)), from: start) }
            guard isAction else { break }
            trimsLeading = try action(trimsTrailing: trimsTrailing)
        }
        add(.end, from: text.count)
    }

    /// Reads an action from its `{{` on; returns whether its end trims the text behind it.
    private mutating func action(trimsTrailing: Bool) throws(TemplateError) -> Bool {
        let start = offset
        offset += trimsTrailing ? 3 : 2
        if let trims = try comment(from: start) { return trims }
        add(.leftDelimiter, from: start)
        var depth = 0
        while true {
            let spaceStart = offset
            skipSpace()
            let followsSpace = offset > spaceStart
            guard offset < text.count else { throw error("unclosed action", at: start) }
            if followsSpace, hasPrefix("-}}") {
                return try close(bytes: 3, depth: depth, trims: true)
            }
            if hasPrefix("}}") { return try close(bytes: 2, depth: depth, trims: false) }
            try word(followsSpace: followsSpace, depth: &depth)
        }
    }

    private mutating func close(bytes: Int, depth: Int, trims: Bool) throws(TemplateError) -> Bool {
        if depth > 0 { throw error("unclosed left paren", at: offset) }
        add(.rightDelimiter, from: offset, bytes: bytes)
        offset += bytes
        return trims
    }

    /// Skips a comment, which must be alone in its action; nil when there is none.
    private mutating func comment(from start: Int) throws(TemplateError) -> Bool? {
        var cursor = offset
        while cursor < text.count, text[cursor].isTemplateSpace { cursor += 1 }
        guard starts(with: "/*", at: cursor) else { return nil }
        guard let close = find("*/", from: cursor + 2) else { throw error("unclosed comment", at: start) }
        cursor = close + 2
        let spaceStart = cursor
        while cursor < text.count, text[cursor].isTemplateSpace { cursor += 1 }
        if cursor > spaceStart, starts(with: "-}}", at: cursor) {
            offset = cursor + 3
            return true
        }
        guard starts(with: "}}", at: close + 2) else {
            throw error("comment ends before closing delimiter", at: close)
        }
        offset = close + 4
        return false
    }

    private mutating func word(followsSpace: Bool, depth: inout Int) throws(TemplateError) {
        let start = offset
        let byte = text[offset]
        switch byte {
        case UInt8(ascii: "|"): single(.pipe, followsSpace)
        case UInt8(ascii: ","): single(.comma, followsSpace)
        case UInt8(ascii: "("):
            depth += 1
            single(.leftParenthesis, followsSpace)
        case UInt8(ascii: ")"):
            depth -= 1
            if depth < 0 { throw error("unexpected right paren", at: start) }
            single(.rightParenthesis, followsSpace)
        case UInt8(ascii: "="): single(.assign, followsSpace)
        case UInt8(ascii: ":"):
            guard starts(with: ":=", at: offset) else { throw error("expected :=", at: start) }
            offset += 2
            add(.declare, from: start, followsSpace: followsSpace)
        case UInt8(ascii: "\""), UInt8(ascii: "`"), UInt8(ascii: "'"): try quoted(followsSpace)
        case UInt8(ascii: "$"):
            offset += 1
            add(.variable("$" + name()), from: start, followsSpace: followsSpace)
        case UInt8(ascii: "."): try dotted(followsSpace)
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"): try number(followsSpace)
        default:
            guard byte.startsTemplateName else {
                throw error("unexpected character \(characterText()) in command", at: start)
            }
            add(.identifier(name()), from: start, followsSpace: followsSpace)
        }
    }

    private mutating func dotted(_ followsSpace: Bool) throws(TemplateError) {
        let start = offset
        if offset + 1 < text.count, text[offset + 1] >= UInt8(ascii: "0"), text[offset + 1] <= UInt8(ascii: "9") {
            return try number(followsSpace)
        }
        offset += 1
        let field = name()
        add(field.isEmpty ? .dot : .field(field), from: start, followsSpace: followsSpace)
    }

    private mutating func quoted(_ followsSpace: Bool) throws(TemplateError) {
        let start = offset
        let quote = text[offset]
        offset += 1
        while offset < text.count, text[offset] != quote {
            if quote != UInt8(ascii: "`") {
                if text[offset] == UInt8(ascii: "\n") { break }
                if text[offset] == UInt8(ascii: "\\") { offset += 1 }
            }
            offset += 1
        }
        let name =
            switch quote {
            case UInt8(ascii: "`"): "unterminated raw quoted string"
            case UInt8(ascii: "'"): "unterminated character constant"
            default: "unterminated quoted string"
            }
        guard offset < text.count, text[offset] == quote else { throw error(name, at: start) }
        offset += 1
        let source = String(decoding: text[start..<offset], as: UTF8.self)
        guard let value = StringLiteralText.unquoted(source) else {
            throw error("malformed string constant \(source)", at: start)
        }
        if quote == UInt8(ascii: "'") {
            let scalars = value.unicodeScalars
            guard scalars.count == 1, let scalar = scalars.first else {
                throw error("malformed character constant: \(source)", at: start)
            }
            add(.integer(Int64(scalar.value)), from: start, followsSpace: followsSpace)
        } else {
            add(.string(value), from: start, followsSpace: followsSpace)
        }
    }

    private mutating func number(_ followsSpace: Bool) throws(TemplateError) {
        let start = offset
        offset += 1
        while offset < text.count {
            let byte = text[offset]
            let previous = text[offset - 1] | 0x20
            let isSign = byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")
            let isExponentSign = isSign && (previous == UInt8(ascii: "e") || previous == UInt8(ascii: "p"))
            guard byte.continuesTemplateName || byte == UInt8(ascii: ".") || isExponentSign else { break }
            offset += 1
        }
        let source = String(decoding: text[start..<offset], as: UTF8.self)
        guard let kind = TemplateLexer.numberKind(source) else {
            throw error("bad number syntax: \(GoPrintf.quoted(source))", at: start)
        }
        add(kind, from: start, followsSpace: followsSpace)
    }

    /// An integer of any base, or a float; nil when it is neither.
    private static func numberKind(_ source: String) -> TemplateToken.Kind? {
        var digits = source.lowercased().filter { $0 != "_" }
        let isNegative = digits.hasPrefix("-")
        if isNegative || digits.hasPrefix("+") { digits.removeFirst() }
        for (prefix, radix) in [("0x", 16), ("0b", 2), ("0o", 8)] where digits.hasPrefix(prefix) {
            if let value = Int64(digits.dropFirst(2), radix: radix) { return .integer(isNegative ? -value : value) }
        }
        if digits.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) {
            let radix = digits.count > 1 && digits.hasPrefix("0") ? 8 : 10
            if let value = Int64(digits, radix: radix) { return .integer(isNegative ? -value : value) }
        }
        guard let first = digits.utf8.first, first != UInt8(ascii: "i"), first != UInt8(ascii: "n") else { return nil }
        if digits.hasPrefix(".") { digits = "0" + digits }
        if digits.hasSuffix(".") { digits += "0" }
        return Double(digits).map { .float(isNegative ? -$0 : $0) }
    }

    private mutating func name() -> String {
        let start = offset
        while offset < text.count, text[offset].continuesTemplateName { offset += 1 }
        return String(decoding: text[start..<offset], as: UTF8.self)
    }

    private mutating func single(_ kind: TemplateToken.Kind, _ followsSpace: Bool) {
        offset += 1
        add(kind, from: offset - 1, followsSpace: followsSpace)
    }

    private mutating func skipSpace() {
        while offset < text.count, text[offset].isTemplateSpace { offset += 1 }
    }

    private mutating func add(
        _ kind: TemplateToken.Kind, from start: Int, bytes: Int? = nil, followsSpace: Bool = false
    ) {
        let end = min(text.count, start + (bytes ?? max(0, offset - start)))
        let source = String(decoding: text[min(start, end)..<end], as: UTF8.self)
        tokens.append(
            TemplateToken(
                kind: kind, position: TemplatePosition(offset: start), followsSpace: followsSpace, source: source))
    }

    private func find(_ needle: StaticString, from start: Int) -> Int? {
        var index = start
        while index + needle.utf8CodeUnitCount <= text.count {
            if starts(with: needle, at: index) { return index }
            index += 1
        }
        return nil
    }

    private func hasPrefix(_ needle: StaticString) -> Bool { starts(with: needle, at: offset) }

    private func starts(with needle: StaticString, at index: Int) -> Bool {
        guard index + needle.utf8CodeUnitCount <= text.count else { return false }
        return needle.withUTF8Buffer { text[index..<index + $0.count].elementsEqual($0) }
    }

    private func characterText() -> String {
        let character = String(decoding: text[offset...].prefix(4), as: UTF8.self).first.map(String.init) ?? ""
        let codes = character.unicodeScalars.map { scalar in
            let digits = String(scalar.value, radix: 16, uppercase: true)
            return "U+" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
        }
        return "\(codes.joined(separator: " ")) '\(character)'"
    }

    private func error(_ message: String, at offset: Int) -> TemplateError {
        TemplatePosition(offset: offset).error(message, in: text)
    }
}

extension UInt8 {
    fileprivate var isTemplateSpace: Bool { self == 0x20 || self == 0x09 || self == 0x0a || self == 0x0d }

    fileprivate var startsTemplateName: Bool {
        self == UInt8(ascii: "_") || self >= 0x80
            || (self | 0x20 >= UInt8(ascii: "a") && self | 0x20 <= UInt8(ascii: "z"))
    }

    fileprivate var continuesTemplateName: Bool {
        startsTemplateName || (self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9"))
    }
}
