internal import Telemetry

/// Reads one line of a LogQL script: labels, quoted texts without escapes, times, repetition.
struct LogScriptScanner {
    private let reader: ScriptLineReader
    private var scanner: TextScanner

    init(_ line: String, reader: ScriptLineReader) {
        self.reader = reader
        scanner = TextScanner(line)
    }

    /// `text` without what stands behind a `#` outside quotes, and without spaces at its end.
    static func withoutComment(_ text: String) -> String {
        var quote: Character?
        for index in text.indices {
            let character = text[index]
            if let open = quote {
                if character == open { quote = nil }
            } else if character == "\"" || character == "`" {
                quote = character
            } else if character == "#" {
                return text[..<index].trimming { $0 == " " || $0 == "\t" }
            }
        }
        return text.trimming { $0 == " " || $0 == "\t" }
    }

    /// `{stream} "line" @ 20s [repeat every 20s for 4] [metadata k="v" …]`.
    mutating func lines() throws(ScriptError) -> [LogScriptLoad.Line] {
        let stream = Labels(try labels())
        let text = try quoted()
        let first = try time()
        var metadata = Labels.empty
        var (every, count): (Int64, Int) = (0, 1)
        while try accept("[") {
            let word = word()
            if word == "repeat" {
                guard self.word() == "every" else { throw reader.failure("“every” is missing") }
                every = try duration()
                guard self.word() == "for", let number = Int(self.word()), number > 0, number <= 1_000_000 else {
                    throw reader.failure("“for” and a number are missing")
                }
                count = number
            } else if word == "metadata" {
                metadata = Labels(keepingEmptyValues: try pairs(until: "]"))
            } else {
                throw reader.failure("unknown option \(word)")
            }
            guard try accept("]") else { throw reader.failure("“]” is missing") }
        }
        try end()
        return (0..<count).map { index in
            LogScriptLoad.Line(
                stream: stream, nanoseconds: (first + Int64(index) * every) * 1_000_000,
                text: LogScriptScanner.numbered(text, index), metadata: metadata)
        }
    }

    /// The labels of an expected series and, for numbers, its values.
    mutating func series() throws(ScriptError) -> ScriptEvaluation.Series {
        let labels = Labels(keepingEmptyValues: try self.labels())
        let rest = String(decoding: scanner.bytes[scanner.position...], as: UTF8.self)
        let values = try SeriesDescription.values(LogScriptScanner.withoutComment(rest), line: reader.line)
        return ScriptEvaluation.Series(labels: labels, values: values)
    }

    /// `"text" @ 20s`.
    mutating func expectedLine() throws(ScriptError) -> ScriptEvaluation.Line {
        let text = try quoted()
        let time = try time()
        try end()
        return ScriptEvaluation.Line(nanoseconds: time * 1_000_000, text: text)
    }

    // MARK: Pieces

    private mutating func skipBlanks() { scanner.acceptRun { $0.isSpace } }

    private mutating func accept(_ byte: Unicode.Scalar) throws(ScriptError) -> Bool {
        skipBlanks()
        return scanner.accept { $0 == UInt8(ascii: byte) }
    }

    private mutating func end() throws(ScriptError) {
        skipBlanks()
        guard scanner.peek() == nil || scanner.peek() == UInt8(ascii: "#") else {
            throw reader.failure("unexpected text at column \(scanner.position + 1)")
        }
    }

    private mutating func word() -> String {
        skipBlanks()
        scanner.start = scanner.position
        scanner.acceptRun { !$0.isSpace && $0 != UInt8(ascii: "]") }
        return scanner.word
    }

    private mutating func duration() throws(ScriptError) -> Int64 { try reader.milliseconds(word()) }

    private mutating func time() throws(ScriptError) -> Int64 {
        guard try accept("@") else { throw reader.failure("“@” and a time are missing") }
        return try duration()
    }

    private mutating func quoted() throws(ScriptError) -> String {
        skipBlanks()
        guard let quote = scanner.peek(), quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "`") else {
            throw reader.failure("a quoted text is missing at column \(scanner.position + 1)")
        }
        scanner.position += 1
        scanner.start = scanner.position
        scanner.acceptRun { $0 != quote }
        let text = scanner.word
        guard scanner.accept({ $0 == quote }) else { throw reader.failure("a quote is not closed") }
        return text
    }

    private mutating func labels() throws(ScriptError) -> [(name: String, value: String)] {
        guard try accept("{") else { throw reader.failure("“{” is missing") }
        let pairs = try pairs(until: "}")
        guard try accept("}") else { throw reader.failure("“}” is missing") }
        return pairs
    }

    private mutating func pairs(until end: Unicode.Scalar) throws(ScriptError) -> [(name: String, value: String)] {
        var pairs: [(name: String, value: String)] = []
        while true {
            skipBlanks()
            guard let byte = scanner.peek(), byte != UInt8(ascii: end) else { return pairs }
            scanner.start = scanner.position
            scanner.acceptRun { $0 != UInt8(ascii: "=") && !$0.isSpace }
            let name = scanner.word
            guard try accept("=") else { throw reader.failure("“=” is missing behind \(name)") }
            pairs.append((name, try quoted()))
            _ = try accept(",")
        }
    }

    /// `{{.i}}` is the number of the repetition, from 0.
    private static func numbered(_ text: String, _ index: Int) -> String {
        guard text.contains("{{.i}}") else { return text }
        var result = ""
        var rest = text[...]
        while let place = rest.firstRange(of: "{{.i}}") {
            result += rest[..<place.lowerBound] + String(index)
            rest = rest[place.upperBound...]
        }
        return result + rest
    }
}
