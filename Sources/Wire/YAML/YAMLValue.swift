internal import Telemetry
internal import Yams

/// A value of a YAML file that knows where it stands, so that every complaint names file, line and column.
///
/// Reading is strict: a mapping reports the keys nobody asked for. Aliases and merge keys are resolved by the parser.
package struct YAMLValue: Sendable {
    /// The shape of a value.
    private enum Shape: Sendable {
        case null
        /// The text as written, and whether it stood in quotes (so that "1" is a text and 1 a number).
        case scalar(String, isQuoted: Bool)
        case sequence([YAMLValue])
        case mapping([(key: YAMLValue, value: YAMLValue)])
    }

    /// Deeper files are refused.
    package static let depthMaximum = 64

    private let shape: Shape
    package let file: String
    /// 1-based.
    package let line: Int
    /// 1-based.
    package let column: Int

    /// Parses one document; nil for a file without any. Throws `ConfigurationError`.
    package static func parse(_ text: String, file: String) throws(ConfigurationError) -> YAMLValue? {
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch {
            throw translated(error, text, file: file)
        }
        return try root.map { (node) throws(ConfigurationError) in try YAMLValue(node, file: file, depth: 0) }
    }

    private init(_ node: Node, file: String, depth: Int) throws(ConfigurationError) {
        self.file = file
        line = node.mark?.line ?? 0
        column = node.mark?.column ?? 0
        guard depth < YAMLValue.depthMaximum else {
            throw ConfigurationError(file: file, line: line, column: column, "nested deeper than 64 levels")
        }
        switch node {
        case .scalar(let scalar):
            let isQuoted = scalar.style != .plain
            let isNull = !isQuoted && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
            shape = isNull ? .null : .scalar(scalar.string, isQuoted: isQuoted)
        case .sequence(let sequence):
            var elements: [YAMLValue] = []
            for element in sequence { elements.append(try YAMLValue(element, file: file, depth: depth + 1)) }
            shape = .sequence(elements)
        case .mapping(let mapping):
            var pairs: [(key: YAMLValue, value: YAMLValue)] = []
            for (key, value) in mapping {
                let name = try YAMLValue(key, file: file, depth: depth + 1)
                pairs.append((name, try YAMLValue(value, file: file, depth: depth + 1)))
            }
            shape = .mapping(pairs)
        case .alias:
            throw ConfigurationError(file: file, line: line, column: column, "an alias without its anchor")
        }
    }

    /// Whether nothing was written.
    package var isNull: Bool {
        if case .null = shape { return true }
        return false
    }

    /// A complaint about this place.
    package func error(_ message: String) -> ConfigurationError {
        ConfigurationError(file: file, line: line, column: column, message)
    }

    /// The text of a scalar; numbers and truths as they were written. Null is an error.
    package func text(_ what: String = "text") throws(ConfigurationError) -> String {
        guard case .scalar(let text, _) = shape else { throw error("\(what) wanted, found \(shapeName)") }
        return text
    }

    /// A whole number within `range`.
    package func integer(in range: ClosedRange<Int64> = .min ... .max) throws(ConfigurationError) -> Int64 {
        guard case .scalar(let text, false) = shape, let value = Int64(text) else {
            throw error("whole number wanted, found \(shapeName)")
        }
        guard range.contains(value) else {
            throw error("\(value) is not between \(range.lowerBound) and \(range.upperBound)")
        }
        return value
    }

    /// A number.
    package func number() throws(ConfigurationError) -> Double {
        guard case .scalar(let text, false) = shape, let value = Double(text) else {
            throw error("number wanted, found \(shapeName)")
        }
        return value
    }

    /// true or false.
    package func truth() throws(ConfigurationError) -> Bool {
        guard case .scalar(let text, false) = shape, let value = Bool(text.lowercased()) else {
            throw error("true or false wanted, found \(shapeName)")
        }
        return value
    }

    /// A duration as Prometheus writes it (15s, 1h30m, 90d), in milliseconds.
    package func durationMilliseconds() throws(ConfigurationError) -> Int64 {
        let text = try text("a duration such as 15s")
        do {
            return try Durations.milliseconds(prometheus: text)
        } catch let failure {
            throw error("\(failure); write for example 15s, 5m, 1h30m or 7d")
        }
    }

    /// A size such as 512MiB or 2GB, in bytes.
    package func byteSize() throws(ConfigurationError) -> Int64 {
        let text = try text("a size such as 512MiB")
        guard let bytes = ByteSizes.bytes(text) else {
            throw error("\(QuotedText.quoted(text)) is no size; write for example 512MiB or 2GB")
        }
        return bytes
    }

    /// The elements of a list; null is an empty list.
    package func elements() throws(ConfigurationError) -> [YAMLValue] {
        switch shape {
        case .sequence(let elements): return elements
        case .null: return []
        default: throw error("list wanted, found \(shapeName)")
        }
    }

    /// The texts of a list; a lone scalar is a list of one.
    package func texts() throws(ConfigurationError) -> [String] {
        if case .scalar(let text, _) = shape { return [text] }
        var texts: [String] = []
        for element in try elements() { texts.append(try element.text()) }
        return texts
    }

    /// The pairs of a mapping, in the order of the file; null is an empty mapping. For keys that people choose.
    package func pairs() throws(ConfigurationError) -> [(key: YAMLValue, value: YAMLValue)] {
        switch shape {
        case .mapping(let pairs): return pairs
        case .null: return []
        default: throw error("mapping wanted, found \(shapeName)")
        }
    }

    /// The texts of a mapping, for example labels.
    package func textPairs() throws(ConfigurationError) -> [(name: String, value: String)] {
        var texts: [(name: String, value: String)] = []
        for (key, value) in try pairs() { texts.append((try key.text(), try value.text())) }
        return texts
    }

    /// A mapping with keys that we choose; ask for each, then call `finish`.
    package func mapping() throws(ConfigurationError) -> YAMLMapping {
        var entries: [(key: String, value: YAMLValue, place: YAMLValue)] = []
        for (key, value) in try pairs() { entries.append((try key.text(), value, key)) }
        return YAMLMapping(self, entries)
    }

    private var shapeName: String {
        switch shape {
        case .null: "nothing"
        case .scalar(let text, _): QuotedText.quoted(text)
        case .sequence: "a list"
        case .mapping: "a mapping"
        }
    }

    /// The parser speaks of tokens; nearly always it is the indentation.
    private static func hint(_ text: String, line: Int) -> String {
        let lines = text.split(separator: "\n", maxSplits: line, omittingEmptySubsequences: false)
        guard line >= 1, line <= lines.count else { return "" }
        let indentation = lines[line - 1].prefix { $0 == " " || $0 == "\t" }
        if indentation.contains("\t") { return "; YAML is indented with blanks, and there is a tab" }
        return "; see whether this line is indented like its neighbours, and whether quotes and brackets are closed"
    }

    private static func translated(_ error: any Error, _ text: String, file: String) -> ConfigurationError {
        switch error {
        case YamlError.scanner(let context, let problem, let mark, _),
            YamlError.parser(let context, let problem, let mark, _),
            YamlError.composer(let context, let problem, let mark, _):
            let around = context.map { " \($0.text)" } ?? ""
            let hint = hint(text, line: mark.line)
            return ConfigurationError(
                file: file, line: mark.line, column: mark.column, "not YAML: \(problem)\(around)\(hint)")
        case YamlError.duplicatedKeysInMapping(let duplicates, let context):
            let names = duplicates.sorted().joined(separator: ", ")
            let mark = context.mark
            return ConfigurationError(
                file: file, line: mark.line, column: mark.column, "written twice in one mapping: \(names)")
        case YamlError.reader(let problem, _, _, _):
            return ConfigurationError(file: file, "not text: \(problem)")
        default:
            return ConfigurationError(file: file, "not YAML: \(error)")
        }
    }
}
