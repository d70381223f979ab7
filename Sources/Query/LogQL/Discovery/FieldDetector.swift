internal import Telemetry

/// What the fields of lines are called, what they hold and which parser reads them, found out from the lines
/// themselves.
package struct FieldDetector {
    /// What the values of a field look like, by the names of Loki's API.
    package enum Kind: String, Sendable {
        case string
        case int
        case float
        case boolean
        case duration
        case bytes

        /// The kind of one value.
        init(_ value: String) {
            self =
                if Int64(value) != nil {
                    .int
                } else if (try? FieldNumber.plain(value)) != nil {
                    .float
                } else if ["true", "false", "TRUE", "FALSE", "True", "False", "t", "f", "T", "F"].contains(value) {
                    .boolean
                } else if (try? FieldNumber.nanoseconds(value)) != nil {
                    .duration
                } else if (try? FieldNumber.bytes(value)) != nil {
                    .bytes
                } else {
                    .string
                }
        }
    }

    /// One field.
    package struct Field: Sendable {
        package var name: String
        package var kind: Kind
        /// `json`, `logfmt`; none for structured metadata and what stages made.
        package var parsers: [String]
        /// Its values, as many as are kept, in the order in which they were met.
        package var values: [String]
        fileprivate var known: Set<String>
    }

    /// More values of one field are not told apart.
    private static let valuesMaximum = 10_000

    private let fieldsMaximum: Int
    private var places: [String: Int] = [:]
    /// The fields in the order in which they were met.
    package private(set) var fields: [Field] = []

    /// A detector of at most `fieldsMaximum` fields.
    package init(fieldsMaximum: Int) {
        self.fieldsMaximum = fieldsMaximum
    }

    /// Looks at a line: its structured metadata, what stages took from it, and, where they took nothing, what the
    /// first parser that can read it finds.
    package mutating func add(_ line: LogLine) {
        for (name, value) in line.metadata.pairs { add(name, value, parser: nil) }
        let parsed = line.parsed.pairs.filter { !$0.name.hasPrefix("__") }
        if !parsed.isEmpty {
            let parser = FieldDetector.parser(of: line.text)
            for (name, value) in parsed { add(name, value, parser: parser) }
            return
        }
        guard let parser = FieldDetector.parser(of: line.text) else { return }
        let base = LineLabels.Base(stream: line.stream, metadata: line.metadata)
        var working = PipelineLine(
            nanoseconds: line.nanoseconds, text: line.text[...], labels: LineLabels(base), nowMilliseconds: 0)
        switch parser {
        case JSONStage.keyword: _ = JSONStage.all.process(&working)
        default: _ = LogfmtStage.strict.process(&working)
        }
        guard working.labels.error.isEmpty else { return }
        for (name, value) in working.labels.parsed().pairs { add(name, value, parser: parser) }
    }

    private mutating func add(_ name: String, _ value: String, parser: String?) {
        guard !value.isEmpty else { return }
        let place: Int
        if let known = places[name] {
            place = known
        } else {
            guard fields.count < fieldsMaximum else { return }
            place = fields.count
            places[name] = place
            fields.append(Field(name: name, kind: Kind(value), parsers: [], values: [], known: []))
        }
        if let parser, !fields[place].parsers.contains(parser) { fields[place].parsers.append(parser) }
        guard fields[place].values.count < FieldDetector.valuesMaximum, fields[place].known.insert(value).inserted
        else {
            return
        }
        if fields[place].kind != .string { fields[place].kind = fields[place].kind.joined(with: Kind(value)) }
        fields[place].values.append(value)
    }

    /// The parser that reads a line; nil for text without fields.
    private static func parser(of text: [UInt8]) -> String? {
        if text.first(where: { $0 > 0x20 }) == UInt8(ascii: "{") { return JSONStage.keyword }
        guard let equals = text.firstIndex(of: UInt8(ascii: "=")), equals > 0 else { return nil }
        return LogfmtStage.keyword
    }
}

extension FieldDetector.Kind {
    /// The kind of a field that holds values of both.
    fileprivate func joined(with other: FieldDetector.Kind) -> FieldDetector.Kind {
        if self == other { return self }
        let numbers: Set<FieldDetector.Kind> = [.int, .float]
        return numbers.contains(self) && numbers.contains(other) ? .float : .string
    }
}

extension JSONStage {
    /// `| json`.
    fileprivate static let all = JSONStage(extractions: [], span: .none, paths: [])
}

extension LogfmtStage {
    /// `| logfmt --strict`: prose with an equals sign in it is no logfmt.
    fileprivate static let strict = LogfmtStage(isStrict: true, keepsEmpty: false, extractions: [], span: .none)
}
