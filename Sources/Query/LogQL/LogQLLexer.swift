internal import Telemetry

/// Cuts LogQL into words.
struct LogQLLexer {
    /// Longest first, so that `|=` is not read as `|` and `=`.
    private static let symbols: [StaticString] = [
        "|=", "|~", "|>", "!=", "!~", "!>", "=~", "==", ">=", "<=", "|", "{", "}", "(", ")", "]", ",", "=", ">", "<",
        "+", "-", "*", "/", "%", "^",
    ]

    private static let sizeLetters = Set("BikKMGTPE".utf8)

    private var scanner: TextScanner

    private init(_ text: String) {
        scanner = TextScanner(text)
    }

    /// A longer query is refused, as Loki does.
    private static let bytesMaximum = 131_072

    /// All words of `text`, the last of them `.end`.
    static func tokens(_ text: String) throws(QueryError) -> [LogQLToken] {
        guard text.utf8.count < bytesMaximum else {
            let reason = "input size too long (\(text.utf8.count) > \(bytesMaximum))"
            throw QueryError(.parse, reason, line: 1, column: 1)
        }
        var lexer = LogQLLexer(text)
        var tokens: [LogQLToken] = []
        while true {
            let token = try lexer.next()
            tokens.append(token)
            if token.kind == .end { return tokens }
        }
    }

    private mutating func next() throws(QueryError) -> LogQLToken {
        skipBlanks()
        scanner.start = scanner.position
        guard let byte = scanner.peek() else { return token(.end) }
        if byte.isAlpha {
            scanner.acceptRun { $0.isAlphaNumeric }
            return token(.identifier(scanner.word))
        }
        if byte.isDigit || (byte == UInt8(ascii: ".") && scanner.peek(1)?.isDigit == true) { return try number() }
        if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "`") { return try string(byte) }
        if byte == UInt8(ascii: "[") { return try range() }
        if scanner.isAt("--"), scanner.peek(2)?.isAlpha == true {
            scanner.position += 2
            scanner.acceptRun { $0.isAlphaNumeric || $0 == UInt8(ascii: "-") }
            return token(.flag(String(scanner.word.dropFirst(2))))
        }
        for symbol in LogQLLexer.symbols where scanner.isAt(symbol) {
            scanner.position += symbol.utf8CodeUnitCount
            return token(.symbol(symbol.description))
        }
        let found = Unicode.Scalar.quoted(scanner.character(at: scanner.position))
        throw failure("syntax error: unexpected character \(found)")
    }

    private mutating func skipBlanks() {
        while true {
            scanner.acceptRun { $0.isSpace }
            guard scanner.peek() == UInt8(ascii: "#") else { return }
            scanner.acceptRun { $0 != UInt8(ascii: "\n") }
        }
    }

    /// `5`, `1.5e3`, `5m`, `1h30m`, `20MB`: digits, and what directly follows them decides.
    private mutating func number() throws(QueryError) -> LogQLToken {
        while let byte = scanner.peek() {
            let previous = scanner.position > scanner.start ? scanner.bytes[scanner.position - 1] : 0
            let isExponentSign =
                (byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")) && (previous | 0x20) == UInt8(ascii: "e")
                && scanner.peek(1)?.isDigit == true
            // µs is written in two bytes above ASCII.
            guard byte.isAlphaNumeric || byte == UInt8(ascii: ".") || byte >= 0x80 || isExponentSign else { break }
            scanner.position += 1
        }
        let word = scanner.word
        if let value = try? FieldNumber.plain(word) { return token(.number(value)) }
        if let nanoseconds = try? Durations.nanoseconds(either: word) { return token(.duration(nanoseconds)) }
        // Units of sizes are written as they are, unlike those of fields: `1m` is a minute and `1mb` is nothing.
        let isSize = word.utf8.allSatisfy {
            $0.isDigit || $0 == UInt8(ascii: ".") || LogQLLexer.sizeLetters.contains($0)
        }
        if isSize, let bytes = ByteSizes.bytes(word) { return token(.bytes(bytes)) }
        if (try? GoText.number(word)) != nil { return token(.malformedNumber) }
        throw failure("syntax error: \(QuotedText.quoted(word)) is no number, duration or size")
    }

    /// `[5m]`; what is no duration is said in the words of Prometheus, and stands at the bracket, as in Loki.
    private mutating func range() throws(QueryError) -> LogQLToken {
        scanner.position += 1
        scanner.acceptRun { $0 != UInt8(ascii: "]") }
        let text = String(scanner.word.dropFirst())
        guard scanner.accept("]") else { throw failure("missing closing ']' in duration") }
        if let nanoseconds = try? Durations.nanoseconds(either: text) { return token(.range(nanoseconds)) }
        do throws(DurationError) {
            return token(.range(try Durations.milliseconds(prometheus: text) * 1_000_000))
        } catch {
            throw failure(LogQLLexer.unknownUnit(in: text) ?? error.description)
        }
    }

    /// What Prometheus says of a duration whose unit it does not know.
    private static func unknownUnit(in text: String) -> String? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(digits.count).prefix { !($0.isASCII && $0.isNumber) }
        guard !digits.isEmpty, !unit.isEmpty, !["y", "w", "d", "h", "m", "s", "ms"].contains(unit) else { return nil }
        return "unknown unit \(QuotedText.quoted(String(unit))) in duration \(QuotedText.quoted(text))"
    }

    private mutating func string(_ quote: UInt8) throws(QueryError) -> LogQLToken {
        scanner.position += 1
        while let byte = scanner.peek() {
            scanner.position += 1
            if byte == quote {
                guard let text = StringLiteralText.unquoted(scanner.word) else {
                    throw failure("syntax error: malformed string")
                }
                return token(.string(text))
            }
            if byte == UInt8(ascii: "\\"), quote != UInt8(ascii: "`") { scanner.position += 1 }
        }
        throw failure("syntax error: literal not terminated")
    }

    private func token(_ kind: LogQLToken.Kind) -> LogQLToken {
        LogQLToken(kind: kind, text: scanner.word, span: scanner.span)
    }

    private func failure(_ message: String) -> QueryError {
        let place = SourceSpan.place(of: scanner.start, in: scanner.bytes)
        return QueryError(.parse, message, line: place.line, column: place.column)
    }
}
