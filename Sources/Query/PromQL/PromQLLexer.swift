/// Cuts a PromQL text into tokens, with the rules and error texts of Prometheus' own lexer.
struct PromQLLexer {
    private var scanner: TextScanner
    private var tokens: [Token] = []
    private var parenthesisDepth = 0
    private var isInBraces = false
    private var isInBrackets = false
    private var hasColon = false
    private var hasDuration = false

    private struct Failure: Error {
        let message: String
    }

    private init(_ text: String) {
        scanner = TextScanner(text)
    }

    /// All tokens of `text`; the last one is `endOfInput` or `failure`. Comments and spaces are left out.
    static func tokens(of text: String) -> [Token] {
        var lexer = PromQLLexer(text)
        do throws(Failure) {
            while lexer.tokens.last?.kind != .endOfInput { try lexer.next() }
        } catch {
            let span = SourceSpan(start: lexer.scanner.start, end: lexer.scanner.bytes.count)
            lexer.tokens.append(Token(kind: .failure, span: span, text: error.message))
        }
        return lexer.tokens
    }

    private mutating func emit(_ kind: Token.Kind) {
        tokens.append(Token(kind: kind, span: scanner.span, text: scanner.word))
        scanner.start = scanner.position
    }

    private mutating func next() throws(Failure) {
        scanner.acceptRun { $0.isSpace }
        scanner.start = scanner.position
        if scanner.peek() == UInt8(ascii: "#") {
            scanner.acceptRun { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
            return
        }
        if isInBraces { return try insideBraces() }
        try isInBrackets && !hasColon && !hasDuration ? insideBrackets() : statement()
    }

    // MARK: Statements

    private mutating func statement() throws(Failure) {
        guard let byte = scanner.peek() else {
            if parenthesisDepth != 0 { throw Failure(message: "unclosed left parenthesis") }
            if isInBrackets { throw Failure(message: "unclosed left bracket") }
            return emit(.endOfInput)
        }
        if byte.isDigit || (byte == UInt8(ascii: ".") && scanner.peek(1)?.isDigit == true) {
            return try numberOrDuration()
        }
        if byte.isAlpha || byte == UInt8(ascii: ":") {
            return try isInBrackets ? wordInsideBrackets() : keywordOrIdentifier()
        }
        let character = scanner.takeCharacter()
        switch character {
        case ",": emit(.comma)
        case "*": emit(.binary(.multiply))
        case "/": emit(.binary(.divide))
        case "%": emit(.binary(.modulo))
        case "+": emit(.binary(.add))
        case "-": emit(.binary(.subtract))
        case "^": emit(.binary(.power))
        case "@": emit(.at)
        case "=", "!", "<", ">": try comparison(after: character)
        case "\"", "'": try string(quote: byte)
        case "`": try rawString()
        case "(": openParenthesis()
        case ")": try closeParenthesis()
        case "{":
            emit(.leftBrace)
            isInBraces = true
        case "[", "]": try bracket(opens: character == "[")
        default: throw Failure(message: "unexpected character: \(Unicode.Scalar.quoted(character))")
        }
    }

    private mutating func comparison(after character: Unicode.Scalar?) throws(Failure) {
        let following = scanner.character(at: scanner.position)
        switch (character, following) {
        case ("=", "="): take(.binary(.equal))
        case ("=", "~"): throw Failure(message: "unexpected character after '=': '~'")
        case ("=", _): emit(.equal)
        case ("!", "="): take(.binary(.notEqual))
        case ("!", _):
            throw Failure(message: "unexpected character after '!': \(Unicode.Scalar.quoted(following))")
        case ("<", "="): take(.binary(.lessOrEqual))
        case ("<", "/"): take(.binary(.trimUpper))
        case ("<", _): emit(.binary(.less))
        case (_, "="): take(.binary(.greaterOrEqual))
        case (_, "/"): take(.binary(.trimLower))
        default: emit(.binary(.greater))
        }
    }

    /// Takes one more byte and emits.
    private mutating func take(_ kind: Token.Kind) {
        scanner.position += 1
        emit(kind)
    }

    private mutating func openParenthesis() {
        emit(.leftParenthesis)
        parenthesisDepth += 1
    }

    private mutating func closeParenthesis() throws(Failure) {
        parenthesisDepth -= 1
        guard parenthesisDepth >= 0 else {
            scanner.start = scanner.position
            throw Failure(message: "unexpected right parenthesis ')'")
        }
        emit(.rightParenthesis)
    }

    private mutating func bracket(opens: Bool) throws(Failure) {
        if opens == isInBrackets {
            throw Failure(message: opens ? "unexpected left bracket '['" : "unexpected right bracket ']'")
        }
        emit(opens ? .leftBracket : .rightBracket)
        isInBrackets = opens
        hasColon = false
        hasDuration = false
    }

    private mutating func keywordOrIdentifier() throws(Failure) {
        scanner.acceptRun { $0.isAlphaNumeric || $0 == UInt8(ascii: ":") }
        let word = scanner.word
        if word == "logs", isBeforeParenthesis {
            guard let end = endOfLogQL() else { throw Failure(message: "unclosed left parenthesis") }
            scanner.position = end
            return emit(.logQL)
        }
        switch Token.word(word.lowercased()) {
        // So that metrics of these names keep working.
        case .keyword(let keyword) where keyword.isFill && !isBeforeParenthesis: emit(.identifier)
        case let kind?: emit(kind)
        case nil: emit(word.utf8.contains(UInt8(ascii: ":")) ? .metricIdentifier : .identifier)
        }
    }

    /// Behind the parenthesis that closes the next one by LogQL's rules of texts and comments; nil when none does.
    private func endOfLogQL() -> Int? {
        var index = scanner.position
        var depth = 0
        while index < scanner.bytes.count {
            let byte = scanner.bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")"):
                depth -= 1
                if depth == 0 { return index }
            case UInt8(ascii: "#"):
                while index < scanner.bytes.count, scanner.bytes[index] != UInt8(ascii: "\n") { index += 1 }
            case UInt8(ascii: "\""), UInt8(ascii: "`"), UInt8(ascii: "'"):
                while index < scanner.bytes.count, scanner.bytes[index] != byte {
                    index += scanner.bytes[index] == UInt8(ascii: "\\") && byte != UInt8(ascii: "`") ? 2 : 1
                }
                index += 1
            default: break
            }
        }
        return nil
    }

    private var isBeforeParenthesis: Bool {
        scanner.bytes[scanner.position...].first { !$0.isSpace } == UInt8(ascii: "(")
    }

    // MARK: Brackets

    /// Behind `[`: arithmetic on durations, until the first number or colon was seen.
    private mutating func insideBrackets() throws(Failure) {
        guard let byte = scanner.peek() else {
            throw Failure(message: "unexpected end of input in duration expression")
        }
        if byte.isDigit || (byte == UInt8(ascii: ".") && scanner.peek(1)?.isDigit == true) {
            hasDuration = true
            return try numberOrDuration()
        }
        if "smr".utf8.contains(byte | 0x20), durationKeyword() { return }
        let character = scanner.takeCharacter()
        switch character {
        case "]": try bracket(opens: false)
        case ":":
            scanner.start = scanner.position
            throw Failure(message: "unexpected colon before duration in duration expression")
        case "(": openParenthesis()
        case ")": try closeParenthesis()
        case "+": emit(.binary(.add))
        case "-": emit(.binary(.subtract))
        case "*": emit(.binary(.multiply))
        case "/": emit(.binary(.divide))
        case "%": emit(.binary(.modulo))
        case "^": emit(.binary(.power))
        case ",": emit(.comma)
        default:
            throw Failure(
                message: "unexpected character in duration expression: \(Unicode.Scalar.quoted(character))")
        }
    }

    /// A word between brackets is `step`, `range`, `max_of`, `min_of` or wrong.
    private mutating func wordInsideBrackets() throws(Failure) {
        if scanner.peek() == UInt8(ascii: ":") {
            if hasColon { throw Failure(message: "unexpected colon ':'") }
            scanner.position += 1
            emit(.colon)
            hasColon = true
            return
        }
        let first = scanner.character(at: scanner.position)
        if durationKeyword() { return }
        throw Failure(message: "unexpected character: \(Unicode.Scalar.quoted(first)), expected ':'")
    }

    private mutating func durationKeyword() -> Bool {
        let before = scanner.position
        scanner.acceptRun { $0.isAlpha }
        switch Token.word(scanner.word.lowercased()) {
        case .preprocessor(let word) where word != .start && word != .end:
            emit(.preprocessor(word))
            return true
        default:
            scanner.position = before
            return false
        }
    }

    // MARK: Braces

    private mutating func insideBraces() throws(Failure) {
        guard let byte = scanner.peek() else { throw Failure(message: "unexpected end of input inside braces") }
        if byte.isAlpha {
            scanner.acceptRun { $0.isAlphaNumeric }
            return emit(.identifier)
        }
        let character = scanner.takeCharacter()
        let following = scanner.character(at: scanner.position)
        switch character {
        case ",": emit(.comma)
        case "\"", "'": try string(quote: byte)
        case "`": try rawString()
        case "=": following == "~" ? take(.matchesRegex) : emit(.equal)
        case "!":
            guard following == "=" || following == "~" else {
                throw Failure(
                    message: "unexpected character after '!' inside braces: \(Unicode.Scalar.quoted(following))")
            }
            take(following == "=" ? .binary(.notEqual) : .notMatchesRegex)
        case "{": throw Failure(message: "unexpected left brace '{'")
        case "}":
            emit(.rightBrace)
            isInBraces = false
        default:
            throw Failure(message: "unexpected character inside braces: \(Unicode.Scalar.quoted(character))")
        }
    }

    // MARK: Literals

    private mutating func string(quote: UInt8) throws(Failure) {
        while true {
            switch scanner.takeCharacter() {
            case "\\": try escape(quote: quote)
            case "\u{fffd}": throw Failure(message: "invalid UTF-8 rune")
            case nil, "\n": throw Failure(message: "unterminated quoted string")
            case let character? where character.value == UInt32(quote): return emit(.string)
            default: continue
            }
        }
    }

    private mutating func rawString() throws(Failure) {
        while true {
            switch scanner.takeCharacter() {
            case "\u{fffd}": throw Failure(message: "invalid UTF-8 rune")
            case nil: throw Failure(message: "unterminated raw string")
            case "`": return emit(.string)
            default: continue
            }
        }
    }

    private mutating func escape(quote: UInt8) throws(Failure) {
        guard let kind = scanner.takeCharacter() else { throw Failure(message: "escape sequence not terminated") }
        let (count, radix, maximum): (Int, UInt32, UInt32)
        switch kind {
        case "a", "b", "f", "n", "r", "t", "v", "\\", Unicode.Scalar(quote): return
        case "0"..."7":
            scanner.position -= 1
            (count, radix, maximum) = (3, 8, 255)
        case "x": (count, radix, maximum) = (2, 16, 255)
        case "u": (count, radix, maximum) = (4, 16, 0x10ffff)
        case "U": (count, radix, maximum) = (8, 16, 0x10ffff)
        default: throw Failure(message: "unknown escape sequence \(PromQLLexer.codePoint(kind))")
        }
        var number: UInt32 = 0
        for _ in 0..<count {
            guard let character = scanner.takeCharacter() else {
                throw Failure(message: "escape sequence not terminated")
            }
            guard let digit = Character(character).hexDigitValue, digit < radix, character.isASCII else {
                throw Failure(
                    message: "illegal character \(PromQLLexer.codePoint(character)) in escape sequence")
            }
            number = number &* radix &+ UInt32(digit)
        }
        if number > maximum || (0xd800..<0xe000).contains(number) {
            throw Failure(message: "escape sequence is an invalid Unicode code point")
        }
    }

    /// `U+0063 'c'`, as Go's `%#U` prints it.
    private static func codePoint(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16, uppercase: true)
        return "U+\(String(repeating: "0", count: max(0, 4 - digits.count)))\(digits) '\(scalar)'"
    }

    private mutating func numberOrDuration() throws(Failure) {
        if scanner.acceptNumber() { return emit(.number) }
        if scanner.acceptRestOfDuration() { return emit(.duration) }
        throw Failure(message: "bad number or duration syntax: \(GoText.quoted(scanner.word))")
    }
}

extension TextScanner {
    /// Takes a number in any of its forms. It may still be none: the parser finds out.
    fileprivate mutating func acceptNumber() -> Bool {
        let before = position
        var isHexadecimal = false
        if accept("0"), accept("xX") {
            _ = accept("_")
            isHexadecimal = true
        }
        let isDigit: (UInt8) -> Bool = { isHexadecimal ? $0.isHexDigit : $0.isDigit }
        _ = accept(".")
        _ = accept(isDigit)
        var hasPoint = false
        var hasExponent = false
        while let byte = peek(), isDigit(byte) || "._eE".utf8.contains(byte) {
            if byte == UInt8(ascii: "."), hasPoint {
                position += 1
                return false
            }
            if byte | 0x20 == UInt8(ascii: "e"), hasExponent {
                position += 1
                return false
            }
            if accept(".") {
                hasPoint = true
                if accept("_.") || isHexadecimal { return false }
            } else if accept("eE") {
                hasExponent = true
                _ = accept("+-")
                if accept("._eE") || peek() == nil { return false }
            } else if accept("_") {
                if accept("._eE") || peek() == nil { return false }
            } else {
                acceptRun(isDigit)
            }
        }
        if position == before { return false }
        return peek()?.isAlphaNumeric != true
    }

    /// Takes the units and further numbers of a duration whose first number was taken.
    fileprivate mutating func acceptRestOfDuration() -> Bool {
        guard accept("smhdwy") else { return false }
        _ = accept("s")
        while accept({ $0.isDigit }) {
            acceptRun { $0.isDigit }
            guard accept("smhdw") else { return false }
            _ = accept("s")
        }
        guard peek()?.isAlphaNumeric == true else { return true }
        position += 1
        return false
    }
}
