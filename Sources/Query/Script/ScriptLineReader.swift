internal import Telemetry

/// Reads the lines that PromQL's and LogQL's scripts share: the head of an `eval`, times, and what is said of messages.
struct ScriptLineReader {
    /// The line's number, from 1.
    let line: Int

    func failure(_ message: String) -> ScriptError { ScriptError(line: line, message) }

    func milliseconds(_ text: some StringProtocol) throws(ScriptError) -> Int64 {
        do throws(DurationError) {
            return try Durations.milliseconds(prometheus: String(text))
        } catch {
            throw failure(error.description)
        }
    }

    /// `eval instant at 5m query`, `eval range from 0 to 10m step 1m query`, and what hangs on the word `eval`: the
    /// `fail` of `eval_fail`.
    func evaluation(_ line: String) throws(ScriptError) -> (evaluation: ScriptEvaluation, modifier: String) {
        var words = line.split(maxSplits: 1) { $0 == " " || $0 == "\t" }
        let modifier = words[0].split(separator: "_", maxSplits: 1).dropFirst().first.map(String.init) ?? ""
        guard words.count == 2 else { throw failure("invalid evaluation command") }
        words = words[1].split(maxSplits: 1) { $0 == " " || $0 == "\t" }
        guard words.count == 2, words[0] == "instant" || words[0] == "range" else {
            throw failure("invalid evaluation command: neither “instant” nor “range”")
        }
        return (try words[0] == "instant" ? instant(words[1]) : range(words[1]), modifier)
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
            line: self.line, query: String(query), startMilliseconds: time, endMilliseconds: time,
            stepMilliseconds: 0, isRange: false)
    }

    /// `from 0 to 10m step 1m query`.
    private func range(_ text: Substring) throws(ScriptError) -> ScriptEvaluation {
        let words = text.split(maxSplits: 6) { $0 == " " || $0 == "\t" }
        guard words.count == 7, words[0] == "from", words[2] == "to", words[4] == "step" else {
            throw failure("invalid evaluation command: not “from … to … step … query”")
        }
        return ScriptEvaluation(
            line: self.line, query: String(words[6]), startMilliseconds: try milliseconds(words[1]),
            endMilliseconds: try milliseconds(words[3]), stepMilliseconds: try milliseconds(words[5]), isRange: true)
    }

    /// `msg: text` or `regex: pattern`; nothing matches anything. The text is the whole message or a part of it.
    func message(_ text: Substring, isPart: Bool = false) throws(ScriptError) -> ScriptEvaluation.Expectation {
        if text.isEmpty { return ScriptEvaluation.Expectation() }
        if text.hasPrefix("msg:") {
            return ScriptEvaluation.Expectation(message: text.dropFirst(4).trimming { $0 == " " }, isPart: isPart)
        }
        guard text.hasPrefix("regex:") else { throw failure("invalid token \(text)") }
        return try pattern(text.dropFirst(6))
    }

    func pattern(_ text: Substring) throws(ScriptError) -> ScriptEvaluation.Expectation {
        do throws(RegularExpressionError) {
            return ScriptEvaluation.Expectation(pattern: try RegularExpression(text.trimming { $0 == " " }))
        } catch {
            throw failure("invalid regex: \(error)")
        }
    }
}
