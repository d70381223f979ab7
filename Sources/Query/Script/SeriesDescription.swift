internal import Telemetry

/// Reads `metric{label="value"} 1+2x3 _ stale {{sum:1 count:2}}x2`, the notation of promtool's unit tests.
struct SeriesDescription {
    private let line: Int
    private var scanner: TextScanner

    private init(_ text: String, line: Int) {
        self.line = line
        scanner = TextScanner(text)
    }

    static func parse(_ text: String, line: Int) throws(ScriptError) -> (labels: Labels, values: [ScriptValue]) {
        var description = SeriesDescription(text, line: line)
        let labels = try SeriesDescription.labels(description.takeMetric(), line: line)
        return (labels, try description.values())
    }

    /// The values of a series, without its labels.
    static func values(_ text: String, line: Int) throws(ScriptError) -> [ScriptValue] {
        var description = SeriesDescription(text, line: line)
        return try description.values()
    }

    private mutating func values() throws(ScriptError) -> [ScriptValue] {
        var values: [ScriptValue] = []
        while true {
            scanner.acceptRun { $0.isSpace }
            guard scanner.peek() != nil else { return values }
            values += try item()
        }
    }

    /// The labels of a metric as a selector with nothing but equalities writes it.
    static func labels(_ text: String, line: Int) throws(ScriptError) -> Labels {
        do {
            let selector = try PromQLParser.selector(text)
            return Labels(selector.matchers.map { ($0.name, $0.value) })
        } catch {
            throw ScriptError(line: line, "\(error)")
        }
    }

    /// Everything up to the first space outside braces and quotes.
    private mutating func takeMetric() -> String {
        scanner.start = scanner.position
        var quote: UInt8?
        var depth = 0
        while let byte = scanner.peek() {
            if let open = quote {
                if byte == UInt8(ascii: "\\"), open != UInt8(ascii: "`") { scanner.position += 1 }
                if byte == open { quote = nil }
            } else if "\"'`".utf8.contains(byte) {
                quote = byte
            } else if byte == UInt8(ascii: "{") {
                depth += 1
            } else if byte == UInt8(ascii: "}") {
                depth -= 1
            } else if byte.isSpace, depth == 0 {
                break
            }
            scanner.position += 1
        }
        scanner.position = min(scanner.position, scanner.bytes.count)
        return scanner.word
    }

    private func failure(_ message: String) -> ScriptError { ScriptError(line: line, message) }

    private mutating func item() throws(ScriptError) -> [ScriptValue] {
        if scanner.isAt("{{") { return try histograms() }
        scanner.start = scanner.position
        scanner.acceptRun { !$0.isSpace }
        let word = scanner.word
        if word == "_" { return [.omitted] }
        if word.hasPrefix("_x") {
            return [ScriptValue](repeating: .omitted, count: try count(word.dropFirst(2)))
        }
        return try numbers(word)
    }

    private func count(_ text: Substring) throws(ScriptError) -> Int {
        guard let count = Int(text), count >= 0, count <= 1_000_000 else {
            throw failure("invalid repetition in series values: \(text)")
        }
        return count
    }

    /// `a`, `axn`, `a+bxn`, `a-bxn`.
    private func numbers(_ word: String) throws(ScriptError) -> [ScriptValue] {
        let parts = word.split(separator: "x", maxSplits: 1, omittingEmptySubsequences: false)
        var (first, rest) = SeriesDescription.number(parts[0])
        guard var value = try self.value(first) else { throw failure("not a number: \(word)") }
        guard parts.count == 2 else {
            if rest.isEmpty { return [.number(value)] }
            throw failure("not a number: \(word)")
        }
        var change: Double = 0
        if !rest.isEmpty {
            (first, rest) = SeriesDescription.number(rest)
            guard let found = try self.value(first), rest.isEmpty else { throw failure("not a number: \(word)") }
            change = found
        }
        var values: [ScriptValue] = []
        for _ in 0...(try count(parts[1])) {
            values.append(.number(value))
            if change != 0 { value += change }
        }
        return values
    }

    private func value(_ text: Substring) throws(ScriptError) -> Double? {
        if text == "stale" { return Sample.stale }
        return try? GoText.number(String(text))
    }

    /// Splits a signed number from what follows it.
    private static func number(_ text: Substring) -> (number: Substring, rest: Substring) {
        var end = text.startIndex
        if let sign = text.first, sign == "+" || sign == "-" { end = text.index(after: end) }
        while end < text.endIndex {
            let character = text[end]
            let isExponentSign =
                (character == "+" || character == "-") && end > text.startIndex
                && ["e", "E"].contains(text[text.index(before: end)])
            if character == "+" || character == "-", !isExponentSign { break }
            end = text.index(after: end)
        }
        return (text[..<end], text[end...])
    }

    // MARK: Histograms

    private mutating func histograms() throws(ScriptError) -> [ScriptValue] {
        let (first, checksHint) = try histogram()
        var change: NativeHistogram?
        var isSubtraction = false
        var checksSecond = checksHint
        if scanner.isAt("+{{") || scanner.isAt("-{{") {
            isSubtraction = scanner.peek() == UInt8(ascii: "-")
            scanner.position += 1
            let second = try histogram()
            (change, checksSecond) = (second.histogram, second.checksHint)
        }
        guard scanner.accept("x") else { return [.histogram(first, checksHint: checksHint)] }
        scanner.start = scanner.position
        scanner.acceptRun { $0.isDigit }
        let count = try count(Substring(scanner.word))
        var values: [ScriptValue] = []
        var histogram = first
        for index in 0...count {
            values.append(.histogram(histogram, checksHint: checksSecond))
            guard let change, index < count else { continue }
            do throws(HistogramMismatch) {
                _ = isSubtraction ? try histogram.subtract(change) : try histogram.add(change)
            } catch {
                throw failure("\(error)")
            }
        }
        return values
    }

    private mutating func histogram() throws(ScriptError) -> (histogram: NativeHistogram, checksHint: Bool) {
        scanner.position += 2
        scanner.start = scanner.position
        while !scanner.isAt("}}") {
            guard scanner.peek() != nil else { throw failure("histogram without “}}”") }
            scanner.position += 1
        }
        let body = scanner.word
        scanner.position += 2
        return try HistogramDescription.parse(body, line: line)
    }
}
