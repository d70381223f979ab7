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

    static func commands(of text: String) throws(ScriptError) -> [ScriptCommand] {
        var parser = ScriptParser(text)
        var commands: [ScriptCommand] = []
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

    private func failure(_ message: String) -> ScriptError { ScriptError(line: index + 1, message) }

    /// The next line of the present command; nil behind an empty one.
    private mutating func nextLine() -> String? {
        index += 1
        guard index < lines.count, !lines[index].isEmpty else { return nil }
        return lines[index]
    }

    private func milliseconds(_ text: some StringProtocol) throws(ScriptError) -> Int64 {
        do throws(DurationError) {
            return try Durations.milliseconds(prometheus: String(text))
        } catch {
            throw failure(error.description)
        }
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
        let line = lines[index]
        var words = line.split(maxSplits: 1) { $0 == " " || $0 == "\t" }
        let modifier = words[0].split(separator: "_", maxSplits: 1).dropFirst().first.map(String.init) ?? ""
        guard words.count == 2 else { throw failure("invalid evaluation command") }
        words = words[1].split(maxSplits: 1) { $0 == " " || $0 == "\t" }
        guard words.count == 2, words[0] == "instant" || words[0] == "range" else {
            throw failure("invalid evaluation command: neither “instant” nor “range”")
        }
        var evaluation = try words[0] == "instant" ? instant(words[1]) : range(words[1])
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

    /// `at 5m query`, or the query alone.
    private func instant(_ text: Substring) throws(ScriptError) -> ScriptEvaluation {
        var time: Int64 = 0
        var query = text
        if text.hasPrefix("at ") || text.hasPrefix("at\t") {
            let words = text.split(maxSplits: 2) { $0 == " " || $0 == "\t" }
            guard words.count == 3 else { throw failure("invalid evaluation command: no query") }
            time = try milliseconds(words[1])
            query = words[2]
        }
        return ScriptEvaluation(
            line: index + 1, query: String(query), startMilliseconds: time, endMilliseconds: time,
            stepMilliseconds: 0, isRange: false)
    }

    /// `from 0 to 10m step 1m query`.
    private func range(_ text: Substring) throws(ScriptError) -> ScriptEvaluation {
        let words = text.split(maxSplits: 6) { $0 == " " || $0 == "\t" }
        guard words.count == 7, words[0] == "from", words[2] == "to", words[4] == "step" else {
            throw failure("invalid evaluation command: not “from … to … step … query”")
        }
        return ScriptEvaluation(
            line: index + 1, query: String(words[6]), startMilliseconds: try milliseconds(words[1]),
            endMilliseconds: try milliseconds(words[3]), stepMilliseconds: try milliseconds(words[5]), isRange: true)
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
            evaluation.failure = try pattern(line.dropFirst("expected_fail_regexp".count))
            return true
        }
        guard line == "expect" || line.hasPrefix("expect ") else { return false }
        let rest = line.dropFirst("expect".count).drop { $0 == " " }
        let kind = rest.prefix { $0 != " " }
        let tail = rest.dropFirst(kind.count).drop { $0 == " " }
        switch kind {
        case "ordered": evaluation.isOrdered = true
        case "fail": evaluation.failure = try message(tail)
        case "warn": evaluation.warnings.append(try message(tail))
        case "info": evaluation.infos.append(try message(tail))
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

    /// `msg: text` or `regex: pattern`; nothing matches anything.
    private func message(_ text: Substring) throws(ScriptError) -> ScriptEvaluation.Expectation {
        if text.isEmpty { return ScriptEvaluation.Expectation() }
        if text.hasPrefix("msg:") {
            return ScriptEvaluation.Expectation(message: text.dropFirst(4).trimming { $0 == " " })
        }
        guard text.hasPrefix("regex:") else { throw failure("invalid token \(text)") }
        return try pattern(text.dropFirst(6))
    }

    private func pattern(_ text: Substring) throws(ScriptError) -> ScriptEvaluation.Expectation {
        do throws(RegularExpressionError) {
            return ScriptEvaluation.Expectation(pattern: try RegularExpression(text.trimming { $0 == " " }))
        } catch {
            throw failure("invalid regex: \(error)")
        }
    }
}

extension StringProtocol {
    /// Without the characters at either end that satisfy `condition`.
    fileprivate func trimming(_ condition: (Character) -> Bool) -> String {
        var rest = self[...]
        while let first = rest.first, condition(first) { rest = rest.dropFirst() }
        while let last = rest.last, condition(last) { rest = rest.dropLast() }
        return String(rest)
    }
}
