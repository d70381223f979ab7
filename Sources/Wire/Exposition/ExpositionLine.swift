internal import Telemetry

/// One line of the text format, read from left to right.
struct ExpositionLine {
    private let bytes: UnsafeRawBufferPointer
    private let number: Int
    private let dialect: ExpositionParser.Dialect
    private var offset = 0
    /// The labels that were given with an empty value.
    private(set) var emptyNames: [String] = []
    private(set) var exemplar: ExpositionParser.Exemplar?

    init(_ bytes: UnsafeRawBufferPointer, number: Int, dialect: ExpositionParser.Dialect) {
        self.bytes = bytes.last == 0x0d ? UnsafeRawBufferPointer(rebasing: bytes.dropLast()) : bytes
        self.number = number
        self.dialect = dialect
    }

    /// What the line says; nil for an empty line or a comment. `builder` is lent for the labels.
    mutating func item(with builder: inout LabelsBuilder) throws(ExpositionError) -> ExpositionParser.Item? {
        skipSpace()
        guard let first = peek() else { return nil }
        return first == UInt8(ascii: "#") ? try comment() : try sample(&builder)
    }

    private mutating func comment() throws(ExpositionError) -> ExpositionParser.Item? {
        offset += 1
        skipSpace()
        let keyword = token()
        if dialect == .openMetrics, keyword.isSame(as: "EOF") { return .end }
        let isHelp = keyword.isSame(as: "HELP")
        let isUnit = dialect == .openMetrics && keyword.isSame(as: "UNIT")
        guard isHelp || isUnit || keyword.isSame(as: "TYPE") else { return nil }
        skipSpace()
        let name = peek() == UInt8(ascii: "\"") ? try text(quoted()) : try text(Piece(token()))
        guard !name.isEmpty else {
            throw wrong("expected a metric name behind \(String(decoding: keyword, as: UTF8.self))")
        }
        skipSpace()
        if isHelp {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
            return .help(name: name, text: try text(Piece(rest, hasEscapes: rest.contains(UInt8(ascii: "\\")))))
        }
        let word = try text(Piece(token()))
        if isUnit { return .unit(name: name, text: word) }
        let kind = word == "untyped" ? MetricKind.unknown : MetricKind(rawValue: word)
        guard let kind else { throw wrong("invalid metric type \(QuotedText.quoted(word))") }
        return .type(name: name, kind: kind)
    }

    private mutating func sample(_ builder: inout LabelsBuilder) throws(ExpositionError) -> ExpositionParser.Item {
        var hasName = false
        if peek() != UInt8(ascii: "{") {
            add(ExpositionLine.metricNameLabel, Piece(try bareName(allowsColon: true, "a metric name")), to: &builder)
            hasName = true
            skipSpace()
        }
        if peek() == UInt8(ascii: "{") { try labels(into: &builder, &hasName) }
        guard let labels = builder.buildWithoutRepetition() else { throw wrong("a label is given twice") }
        guard hasName else { throw wrong("a sample without a metric name") }
        skipSpace()
        let digits = token()
        guard let value = FloatText.parse(digits) else {
            throw wrong("expected a value, found \(digits.isEmpty ? "the end of the line" : shown(digits))")
        }
        skipSpace()
        let milliseconds = try time()
        skipSpace()
        if dialect == .openMetrics, peek() == UInt8(ascii: "#") { exemplar = try readExemplar(&builder) }
        guard offset == bytes.count else { throw wrong("text behind the timestamp") }
        return .sample(labels: labels, value: value, milliseconds: milliseconds)
    }

    /// A time, nil where none is given: whole milliseconds, in OpenMetrics seconds with decimals.
    private mutating func time() throws(ExpositionError) -> Int64? {
        if dialect == .openMetrics, peek() == UInt8(ascii: "#") { return nil }
        let time = token()
        if time.isEmpty { return nil }
        if dialect == .openMetrics {
            guard let seconds = FloatText.parse(time), abs(seconds) < 9e15 else {
                throw wrong("expected a timestamp in seconds, found \(shown(time))")
            }
            return Int64((seconds * 1000).rounded())
        }
        guard let milliseconds = IntegerText.parse(time) else {
            throw wrong("expected a timestamp in milliseconds, found \(shown(time))")
        }
        return milliseconds
    }

    /// `# {trace_id="…"} 0.5 1700000000.5` behind a sample.
    private mutating func readExemplar(
        _ builder: inout LabelsBuilder
    ) throws(ExpositionError) -> ExpositionParser.Exemplar {
        offset += 1
        skipSpace()
        guard peek() == UInt8(ascii: "{") else { throw wrong("expected '{' behind '#', found \(found)") }
        let empty = emptyNames
        var hasName = false
        try self.labels(into: &builder, &hasName)
        emptyNames = empty
        guard let labels = builder.buildWithoutRepetition() else { throw wrong("a label is given twice") }
        skipSpace()
        let digits = token()
        guard let value = FloatText.parse(digits) else { throw wrong("expected the value of an exemplar") }
        skipSpace()
        let milliseconds = try time()
        skipSpace()
        return ExpositionParser.Exemplar(labels: labels, value: value, milliseconds: milliseconds)
    }

    private mutating func labels(into builder: inout LabelsBuilder, _ hasName: inout Bool) throws(ExpositionError) {
        offset += 1
        while true {
            skipSpace()
            if peek() == UInt8(ascii: "}") { break }
            let isQuoted = peek() == UInt8(ascii: "\"")
            let name = isQuoted ? try quoted() : Piece(try bareName(allowsColon: false, "a label name"))
            skipSpace()
            if isQuoted, let next = peek(), next == UInt8(ascii: ",") || next == UInt8(ascii: "}") {
                // The UTF-8 extension: a quoted name without a value is the metric's.
                hasName = hasName || !name.raw.isEmpty
                add(ExpositionLine.metricNameLabel, name, to: &builder)
            } else {
                guard peek() == UInt8(ascii: "=") else {
                    throw wrong("expected '=' behind a label name, found \(found)")
                }
                offset += 1
                skipSpace()
                guard peek() == UInt8(ascii: "\"") else { throw wrong("expected '\"' behind '=', found \(found)") }
                let value = try quoted()
                if value.raw.isEmpty { emptyNames.append(try text(name)) }
                add(name, value, to: &builder)
            }
            guard builder.count <= ExpositionParser.labelsMaximum else {
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

    private func add(_ name: Piece, _ value: Piece, to builder: inout LabelsBuilder) {
        name.withBytes { name in value.withBytes { builder.add(name, $0) } }
    }

    private static var metricNameLabel: Piece {
        let name: StaticString = "__name__"
        return Piece(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
    }

    private mutating func bareName(
        allowsColon: Bool, _ what: StaticString
    ) throws(ExpositionError) -> UnsafeRawBufferPointer {
        let start = offset
        while let byte = peek(), LabelName.isNameByte(byte, isFirst: offset == start, allowsColon: allowsColon) {
            offset += 1
        }
        guard offset > start else { throw wrong("expected \(what), found \(found)") }
        return UnsafeRawBufferPointer(rebasing: bytes[start..<offset])
    }

    /// The text between two quotes, of which the first is the next byte.
    private mutating func quoted() throws(ExpositionError) -> Piece {
        offset += 1
        let start = offset
        var hasEscapes = false
        while let byte = peek(), byte != UInt8(ascii: "\"") {
            let isEscape = byte == UInt8(ascii: "\\")
            hasEscapes = hasEscapes || isEscape
            offset += isEscape ? 2 : 1
        }
        guard offset < bytes.count else { throw wrong("a quote is not closed") }
        let raw = UnsafeRawBufferPointer(rebasing: bytes[start..<offset])
        guard UTF8Text.isValid(raw) else { throw wrong("text is not UTF-8") }
        offset += 1
        return Piece(raw, hasEscapes: hasEscapes, resolvesQuotes: true)
    }

    private func text(_ piece: Piece) throws(ExpositionError) -> String {
        guard let text = piece.withBytes({ String(validating: $0, as: UTF8.self) }) else {
            throw wrong("text is not UTF-8")
        }
        return text
    }

    private func shown(_ raw: UnsafeRawBufferPointer) -> String {
        QuotedText.quoted(String(decoding: raw, as: UTF8.self))
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

extension ExpositionLine {
    /// A name, value or help text as it stands in the line.
    private struct Piece {
        let raw: UnsafeRawBufferPointer
        let hasEscapes: Bool
        let resolvesQuotes: Bool

        init(_ raw: UnsafeRawBufferPointer, hasEscapes: Bool = false, resolvesQuotes: Bool = false) {
            self.raw = raw
            self.hasEscapes = hasEscapes
            self.resolvesQuotes = resolvesQuotes
        }

        /// Calls `body` with the bytes that are meant: \\, \n and in quotes \" resolved, any other escape left as it
        /// is, as in Prometheus.
        func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
            guard hasEscapes else { return body(raw) }
            var resolved: [UInt8] = []
            var index = 0
            while index < raw.count {
                let next = index + 1 < raw.count ? raw[index + 1] : 0
                switch (raw[index], next) {
                case (UInt8(ascii: "\\"), UInt8(ascii: "\\")): resolved.append(next)
                case (UInt8(ascii: "\\"), UInt8(ascii: "n")): resolved.append(0x0a)
                case (UInt8(ascii: "\\"), UInt8(ascii: "\"")) where resolvesQuotes: resolved.append(next)
                default:
                    resolved.append(raw[index])
                    index -= 1
                }
                index += 2
            }
            return resolved.withUnsafeBytes(body)
        }
    }
}
