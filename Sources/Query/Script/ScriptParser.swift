internal import Telemetry

/// Reads scripts in the language of Prometheus' `promqltest`: `load`, `clear`, `eval` and what they expect.
struct ScriptParser {
    /// Trimmed; comments are empty.
    private let lines: [String]
    private var index = 0

    private init(_ text: String) {
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            let trimmed = line.trimming { $0 == " " || $0 == "\t" || $0 == "\r" }
            return trimmed.hasPrefix("#") ? "" : trimmed
        }
    }

    static func commands(of text: String) throws(ScriptError) -> [ScriptCommand<ScriptLoad>] {
        var parser = ScriptParser(text)
        var commands: [ScriptCommand<ScriptLoad>] = []
        while parser.index < parser.lines.count {
            let line = parser.lines[parser.index]
            if line.isEmpty {
                parser.index += 1
                continue
            }
            let word = line.prefix { $0 != " " && $0 != "\t" }.lowercased()
            if word == "clear" {
                commands.append(.clear)
                parser.index += 1
            } else if word.hasPrefix("load") {
                commands.append(.load(try parser.load()))
            } else if word.hasPrefix("eval") {
                commands.append(.evaluate(try parser.evaluation()))
            } else {
                throw parser.failure("invalid command \(GoText.quoted(line))")
            }
        }
        return commands
    }

    private var reader: ScriptLineReader { ScriptLineReader(line: index + 1) }

    private func failure(_ message: String) -> ScriptError { reader.failure(message) }

    /// The next line of the present command; nil behind an empty one.
    private mutating func nextLine() -> String? {
        index += 1
        guard index < lines.count, !lines[index].isEmpty else { return nil }
        return lines[index]
    }

    private func milliseconds(_ text: some StringProtocol) throws(ScriptError) -> Int64 {
        try reader.milliseconds(text)
    }

    // MARK: load

    private mutating func load() throws(ScriptError) -> ScriptLoad {
        let words = lines[index].split { $0 == " " || $0 == "\t" }
        guard words.count == 2, words[0] == "load" || words[0] == "load_with_nhcb" else {
            throw failure("invalid load command. (load[_with_nhcb] <step:duration>)")
        }
        var load = ScriptLoad(
            stepMilliseconds: try milliseconds(words[1]), addsNativeHistograms: words[0] == "load_with_nhcb")
        var offsets: (labels: Labels, values: [Int64?])?
        while let line = nextLine() {
            let metric = line.prefix { $0 != " " && $0 != "\t" }
            if metric.hasSuffix("@st") {
                let labels = try SeriesDescription.labels(String(metric.dropLast(3)), line: index + 1)
                offsets = (labels, try startOffsets(line.dropFirst(metric.count)))
                continue
            }
            let (labels, values) = try SeriesDescription.parse(line, line: index + 1)
            var series = ScriptLoad.Series(labels: labels, values: values)
            if let known = offsets {
                guard known.labels == labels, known.values.count == values.count else {
                    throw failure("the @st line does not fit the series below it")
                }
                series.startOffsets = known.values
                offsets = nil
            }
            // Of two lines for one series the last one counts.
            if let place = load.series.firstIndex(where: { $0.labels == labels }) {
                load.series[place] = series
            } else {
                load.series.append(series)
            }
        }
        if offsets != nil { throw failure("@st line has no following sample line") }
        return load
    }

    /// `_`, `_x3`, `-30s`, `-30sx2`, `-30s-1mx2`.
    private func startOffsets(_ text: Substring) throws(ScriptError) -> [Int64?] {
        var offsets: [Int64?] = []
        for item in text.split(whereSeparator: { $0 == " " || $0 == "\t" }) {
            let parts = item.split(separator: "x", maxSplits: 1)
            let repetitions = parts.count > 1 ? Int(parts[1]) : 0
            guard let repetitions, repetitions >= 0, repetitions < 1_000_000 else {
                throw failure("invalid repeat count")
            }
            if parts[0] == "_" {
                offsets += [Int64?](repeating: nil, count: parts.count > 1 ? repetitions : 1)
                continue
            }
            let signs = parts[0].indices.dropFirst().filter { "+-".contains(parts[0][$0]) }
            let split = signs.first ?? parts[0].endIndex
            var offset = try signedMilliseconds(parts[0][..<split])
            let change = split < parts[0].endIndex ? try signedMilliseconds(parts[0][split...]) : 0
            for _ in 0...repetitions {
                offsets.append(offset)
                offset += change
            }
        }
        return offsets
    }

    private func signedMilliseconds(_ text: Substring) throws(ScriptError) -> Int64 {
        let magnitude = try milliseconds(text.drop { $0 == "-" || $0 == "+" })
        return text.hasPrefix("-") ? -magnitude : magnitude
    }

    // MARK: eval

    private mutating func evaluation() throws(ScriptError) -> ScriptEvaluation {
        var (evaluation, modifier) = try reader.evaluation(lines[index])
        switch modifier {
        case "ordered": evaluation.isOrdered = true
        case "fail": evaluation.failure = ScriptEvaluation.Expectation()
        case "warn": evaluation.warnings = [ScriptEvaluation.Expectation()]
        case "info": evaluation.infos = [ScriptEvaluation.Expectation()]
        case "": break
        default: throw failure("invalid evaluation command: eval_\(modifier)")
        }
        while let line = nextLine() {
            if try expectation(line, of: &evaluation) { continue }
            if let number = try? GoText.number(line) {
                evaluation.scalar = number
                index += 1
                break
            }
            let (labels, values) = try SeriesDescription.parse(line, line: index + 1)
            evaluation.series.append(ScriptEvaluation.Series(labels: labels, values: values))
        }
        return evaluation
    }

    /// Takes a line that says what to expect beside values; false for any other line.
    private func expectation(
        _ line: String, of evaluation: inout ScriptEvaluation
    ) throws(ScriptError) -> Bool {
        if line.hasPrefix("expected_fail_message") {
            let message = line.dropFirst("expected_fail_message".count).drop { $0 == " " }
            evaluation.failure = ScriptEvaluation.Expectation(message: String(message))
            return true
        }
        if line.hasPrefix("expected_fail_regexp") {
            evaluation.failure = try reader.pattern(line.dropFirst("expected_fail_regexp".count))
            return true
        }
        guard line == "expect" || line.hasPrefix("expect ") else { return false }
        let rest = line.dropFirst("expect".count).drop { $0 == " " }
        let kind = rest.prefix { $0 != " " }
        let tail = rest.dropFirst(kind.count).drop { $0 == " " }
        switch kind {
        case "ordered": evaluation.isOrdered = true
        case "fail": evaluation.failure = try reader.message(tail)
        case "warn": evaluation.warnings.append(try reader.message(tail))
        case "info": evaluation.infos.append(try reader.message(tail))
        case "no_warn": evaluation.forbidsWarnings = true
        case "no_info": evaluation.forbidsInfos = true
        case "string":
            guard let text = StringLiteralText.unquoted(String(tail)) else {
                throw failure("expected string literal not valid - check that the string is correctly quoted")
            }
            evaluation.string = text
        case "range": try rangeVector(tail, of: &evaluation)
        default: throw failure("invalid expected error/annotation type \(kind)")
        }
        return true
    }

    private func rangeVector(_ text: Substring, of evaluation: inout ScriptEvaluation) throws(ScriptError) {
        let words = text.split(separator: " ")
        guard words.count == 7, words[0] == "vector", words[1] == "from", words[3] == "to", words[5] == "step" else {
            throw failure("invalid range vector definition \(GoText.quoted(String(text)))")
        }
        evaluation.isRangeVector = true
        evaluation.startMilliseconds = try milliseconds(words[2])
        evaluation.endMilliseconds = try milliseconds(words[4])
        evaluation.stepMilliseconds = try milliseconds(words[6])
    }
}

extension StringProtocol {
    /// Without the characters at either end that satisfy `condition`.
    func trimming(_ condition: (Character) -> Bool) -> String {
        var rest = self[...]
        while let first = rest.first, condition(first) { rest = rest.dropFirst() }
        while let last = rest.last, condition(last) { rest = rest.dropLast() }
        return String(rest)
    }
}
