internal import Telemetry

/// One line of the text format, read from left to right.
struct ExpositionLine {
    private let bytes: UnsafeRawBufferPointer
    private let number: Int
    private var offset = 0

    init(_ bytes: UnsafeRawBufferPointer, number: Int) {
        self.bytes = bytes.last == 0x0d ? UnsafeRawBufferPointer(rebasing: bytes.dropLast()) : bytes
        self.number = number
    }

    /// What the line says; nil for an empty line or a comment.
    mutating func item() throws(ExpositionError) -> ExpositionParser.Item? {
        skipSpace()
        guard let first = peek() else { return nil }
        return first == UInt8(ascii: "#") ? try comment() : try sample()
    }

    private mutating func comment() throws(ExpositionError) -> ExpositionParser.Item? {
        offset += 1
        skipSpace()
        let keyword = token()
        guard keyword.elementsEqual("HELP".utf8) || keyword.elementsEqual("TYPE".utf8) else { return nil }
        skipSpace()
        let name: String
        if peek() == UInt8(ascii: "\"") {
            name = try quoted()
        } else {
            name = try text(token())
        }
        guard !name.isEmpty else {
            throw wrong("expected a metric name behind \(String(decoding: keyword, as: UTF8.self))")
        }
        skipSpace()
        if keyword.elementsEqual("HELP".utf8) {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
            return .help(name: name, text: try unescaped(rest, quotes: false))
        }
        let word = try text(token())
        let kind = word == "untyped" ? MetricKind.unknown : MetricKind(rawValue: word)
        guard let kind else { throw wrong("invalid metric type \(QuotedText.quoted(word))") }
        return .type(name: name, kind: kind)
    }

    private mutating func sample() throws(ExpositionError) -> ExpositionParser.Item {
        var pairs: [(name: String, value: String)] = []
        if peek() != UInt8(ascii: "{") {
            let name = try bareName(allowsColon: true, "a metric name")
            pairs.append((Labels.metricNameLabel, name))
            skipSpace()
        }
        if peek() == UInt8(ascii: "{") { try labels(into: &pairs) }
        guard pairs.contains(where: { $0.name == Labels.metricNameLabel && !$0.value.isEmpty }) else {
            throw wrong("a sample without a metric name")
        }
        guard Set(pairs.map(\.name)).count == pairs.count else { throw wrong("a label is given twice") }
        skipSpace()
        let digits = token()
        guard let value = FloatText.parse(digits) else {
            let found =
                digits.isEmpty ? "the end of the line" : QuotedText.quoted(String(decoding: digits, as: UTF8.self))
            throw wrong("expected a value, found \(found)")
        }
        skipSpace()
        var milliseconds: Int64?
        let time = token()
        if !time.isEmpty {
            milliseconds = IntegerText.parse(time)
            if milliseconds == nil {
                let found = QuotedText.quoted(String(decoding: time, as: UTF8.self))
                throw wrong("expected a timestamp in milliseconds, found \(found)")
            }
        }
        skipSpace()
        guard offset == bytes.count else { throw wrong("text behind the timestamp") }
        return .sample(labels: Labels(pairs), value: value, milliseconds: milliseconds)
    }

    private mutating func labels(into pairs: inout [(name: String, value: String)]) throws(ExpositionError) {
        offset += 1
        while true {
            skipSpace()
            if peek() == UInt8(ascii: "}") { break }
            let isQuoted = peek() == UInt8(ascii: "\"")
            let name = isQuoted ? try quoted() : try bareName(allowsColon: false, "a label name")
            skipSpace()
            if isQuoted, let next = peek(), next == UInt8(ascii: ",") || next == UInt8(ascii: "}") {
                // The UTF-8 extension: a quoted name without a value is the metric's.
                pairs.append((Labels.metricNameLabel, name))
            } else {
                guard peek() == UInt8(ascii: "=") else {
                    throw wrong("expected '=' behind a label name, found \(found)")
                }
                offset += 1
                skipSpace()
                guard peek() == UInt8(ascii: "\"") else { throw wrong("expected '\"' behind '=', found \(found)") }
                pairs.append((name, try quoted()))
            }
            guard pairs.count <= ExpositionParser.labelsMaximum else {
                throw wrong("more than \(ExpositionParser.labelsMaximum) labels")
            }
            skipSpace()
            if peek() == UInt8(ascii: ",") {
                offset += 1
            } else if peek() != UInt8(ascii: "}") {
                throw wrong("expected ',' or '}' behind a label, found \(found)")
            }
        }
        offset += 1
    }

    private mutating func bareName(allowsColon: Bool, _ what: String) throws(ExpositionError) -> String {
        let start = offset
        while let byte = peek(), LabelName.isNameByte(byte, isFirst: offset == start, allowsColon: allowsColon) {
            offset += 1
        }
        guard offset > start else { throw wrong("expected \(what), found \(found)") }
        return String(decoding: bytes[start..<offset], as: UTF8.self)
    }

    /// The text between two quotes, of which the first is the next byte.
    private mutating func quoted() throws(ExpositionError) -> String {
        offset += 1
        let start = offset
        while let byte = peek(), byte != UInt8(ascii: "\"") {
            offset += byte == UInt8(ascii: "\\") ? 2 : 1
        }
        guard offset < bytes.count else { throw wrong("a quote is not closed") }
        defer { offset += 1 }
        return try unescaped(UnsafeRawBufferPointer(rebasing: bytes[start..<offset]), quotes: true)
    }

    /// Resolves \\, \n and, where `quotes`, \"; any other escape stays as it is, as in Prometheus.
    private func unescaped(_ raw: UnsafeRawBufferPointer, quotes: Bool) throws(ExpositionError) -> String {
        guard raw.contains(UInt8(ascii: "\\")) else { return try text(raw) }
        var result: [UInt8] = []
        var index = 0
        while index < raw.count {
            let next = index + 1 < raw.count ? raw[index + 1] : 0
            switch (raw[index], next) {
            case (UInt8(ascii: "\\"), UInt8(ascii: "\\")): result.append(next)
            case (UInt8(ascii: "\\"), UInt8(ascii: "n")): result.append(0x0a)
            case (UInt8(ascii: "\\"), UInt8(ascii: "\"")) where quotes: result.append(next)
            default:
                result.append(raw[index])
                index -= 1
            }
            index += 2
        }
        return try result.withUnsafeBytes { raw in
            Result { () throws(ExpositionError) in try text(raw) }
        }.get()
    }

    private func text(_ raw: UnsafeRawBufferPointer) throws(ExpositionError) -> String {
        guard let text = String(validating: raw, as: UTF8.self) else { throw wrong("text is not UTF-8") }
        return text
    }

    /// Everything up to the next white space.
    private mutating func token() -> UnsafeRawBufferPointer {
        let start = offset
        while let byte = peek(), byte != 0x20, byte != 0x09 { offset += 1 }
        return UnsafeRawBufferPointer(rebasing: bytes[start..<offset])
    }

    private mutating func skipSpace() {
        while let byte = peek(), byte == 0x20 || byte == 0x09 { offset += 1 }
    }

    private func peek() -> UInt8? { offset < bytes.count ? bytes[offset] : nil }

    private var found: String {
        guard let byte = peek() else { return "the end of the line" }
        let isPrintable = (0x21..<0x7f).contains(byte)
        return isPrintable ? "'\(Character(Unicode.Scalar(byte)))'" : "byte 0x\(Hexadecimal.text([byte]))"
    }

    private func wrong(_ reason: String) -> ExpositionError { ExpositionError(line: number, reason: reason) }
}
