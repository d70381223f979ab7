internal import Telemetry

/// Reads LogQL scripts: `load`, `clear`, `eval`. What belongs to a command is indented; `#` begins a comment where no
/// text is open.
struct LogScriptParser {
    private let lines: [Substring]
    private var index = 0

    private init(_ text: String) {
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    }

    static func commands(of text: String) throws(ScriptError) -> [ScriptCommand<LogScriptLoad>] {
        var parser = LogScriptParser(text)
        var commands: [ScriptCommand<LogScriptLoad>] = []
        while parser.index < parser.lines.count {
            let line = parser.lines[parser.index].trimming { $0 == " " || $0 == "\t" || $0 == "\r" }
            switch line.prefix(while: { $0 != " " && $0 != "\t" }) {
            case "", "#": parser.index += 1
            case let word where word.hasPrefix("#"): parser.index += 1
            case "clear":
                commands.append(.clear)
                parser.index += 1
            case "load": commands.append(.load(try parser.load()))
            case "eval": commands.append(.evaluate(try parser.evaluation(line)))
            default: throw parser.reader.failure("invalid command \(GoText.quoted(line))")
            }
        }
        return commands
    }

    private var reader: ScriptLineReader { ScriptLineReader(line: index + 1) }

    /// The next line of the present command, its indentation kept; nil where the next command begins.
    private mutating func nextLine() -> String? {
        while true {
            index += 1
            guard index < lines.count else { return nil }
            let line = lines[index]
            let text = line.trimming { $0 == " " || $0 == "\t" || $0 == "\r" }
            if text.isEmpty || text.hasPrefix("#") { continue }
            guard line.first == " " || line.first == "\t" else { return nil }
            return String(line)
        }
    }

    // MARK: load

    private mutating func load() throws(ScriptError) -> LogScriptLoad {
        var load = LogScriptLoad(number: index + 1)
        while let line = nextLine() {
            var scanner = LogScriptScanner(line, reader: reader)
            load.lines += try scanner.lines()
        }
        return load
    }

    // MARK: eval

    private mutating func evaluation(_ line: String) throws(ScriptError) -> ScriptEvaluation {
        var evaluation = try reader.evaluation(line).evaluation
        evaluation.query = LogScriptScanner.withoutComment(evaluation.query)
        while let line = nextLine() {
            let text = line.trimming { $0 == " " || $0 == "\t" || $0 == "\r" }
            if text.hasPrefix("skip ") { continue }
            if text.hasPrefix("expect ") {
                try expectation(text.dropFirst(7).drop { $0 == " " }, of: &evaluation)
                continue
            }
            var scanner = LogScriptScanner(line, reader: reader)
            if text.hasPrefix("{") {
                let series = try scanner.series()
                evaluation.series.append(series)
            } else if text.hasPrefix("\"") || text.hasPrefix("`") {
                guard !evaluation.series.isEmpty else { throw reader.failure("a line without the labels above it") }
                evaluation.series[evaluation.series.count - 1].lines.append(try scanner.expectedLine())
            } else {
                let number = LogScriptScanner.withoutComment(text)
                guard let scalar = try? GoText.number(number) else { throw reader.failure("not a number: \(number)") }
                evaluation.scalar = scalar
            }
        }
        return evaluation
    }

    private func expectation(_ text: Substring, of evaluation: inout ScriptEvaluation) throws(ScriptError) {
        let kind = text.prefix { $0 != " " }
        let rest = text.dropFirst(kind.count).drop { $0 == " " }
        switch kind {
        case "empty": evaluation.series = []
        case "ordered": evaluation.isOrdered = true
        case "fail": evaluation.failure = try reader.message(rest, isPart: true)
        // Of a log query: newest first, and at most so many lines.
        case "backward": evaluation.isBackward = true
        case "limit":
            guard let limit = Int(LogScriptScanner.withoutComment(String(rest))), limit > 0 else {
                throw reader.failure("invalid limit \(rest)")
            }
            evaluation.limit = limit
        default: throw reader.failure("invalid expectation \(kind)")
        }
    }
}
