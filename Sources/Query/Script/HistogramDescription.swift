internal import Telemetry

/// Reads and writes the inside of `{{schema:0 sum:5 count:4 buckets:[1 2 1]}}`.
enum HistogramDescription {
    static func parse(
        _ body: String, line: Int
    ) throws(ScriptError) -> (histogram: NativeHistogram, checksHint: Bool) {
        var fields: [String: String] = [:]
        var rest = body[...]
        while true {
            rest = rest.drop { $0 == " " }
            if rest.isEmpty { break }
            guard let colon = rest.firstIndex(of: ":") else {
                throw ScriptError(line: line, "missing `:` for histogram descriptor")
            }
            let name = String(rest[..<colon])
            rest = rest[rest.index(after: colon)...]
            let value = rest.first == "[" ? rest.prefix { $0 != "]" } : rest.prefix { $0 != " " }
            rest = rest.dropFirst(value.count)
            if value.first == "[" { rest = rest.dropFirst() }
            guard fields.updateValue(value.trimmingPrefix("[").description, forKey: name) == nil else {
                throw ScriptError(line: line, "duplicate key \"\(name)\" in histogram")
            }
        }
        return try histogram(fields, line: line)
    }

    private static func histogram(
        _ fields: [String: String], line: Int
    ) throws(ScriptError) -> (histogram: NativeHistogram, checksHint: Bool) {
        func number(_ text: String) throws(ScriptError) -> Double {
            guard let value = try? GoText.number(text) else { throw ScriptError(line: line, "not a number: \(text)") }
            return value
        }
        func numbers(_ text: String) throws(ScriptError) -> [Double] {
            var values: [Double] = []
            for part in text.split(separator: " ") { values.append(try number(String(part))) }
            return values
        }
        var histogram = NativeHistogram()
        var offsets: [String: Int32] = [:]
        var checksHint = false
        for (name, text) in fields {
            switch name {
            case "schema": histogram.schema = Int32(try number(text))
            case "sum": histogram.sum = try number(text)
            case "count": histogram.count = try number(text)
            case "z_bucket": histogram.zeroCount = try number(text)
            case "z_bucket_w": histogram.zeroThreshold = try number(text)
            case "buckets": histogram.positiveCounts = try numbers(text)
            case "n_buckets": histogram.negativeCounts = try numbers(text)
            case "custom_values": histogram.customBounds = try numbers(text)
            case "offset", "n_offset": offsets[name] = Int32(try number(text))
            case "counter_reset_hint":
                guard let hint = hints.first(where: { $0.name == text }) else {
                    throw ScriptError(line: line, "unknown counter reset hint \(text)")
                }
                histogram.counterResetHint = hint.hint
                checksHint = true
            default: throw ScriptError(line: line, "bad histogram descriptor found: \(GoText.quoted(name))")
            }
        }
        histogram.positiveSpans = spans(histogram.positiveCounts, offsets["offset"])
        histogram.negativeSpans = spans(histogram.negativeCounts, offsets["n_offset"])
        return (histogram, checksHint)
    }

    private static let hints: [(name: String, hint: NativeHistogram.CounterResetHint)] = [
        ("unknown", .unknown), ("reset", .reset), ("not_reset", .notReset), ("gauge", .gauge),
    ]

    private static func spans(_ counts: [Double], _ offset: Int32?) -> [NativeHistogram.Span] {
        counts.isEmpty ? [] : [NativeHistogram.Span(offset: offset ?? 0, length: UInt32(counts.count))]
    }

    /// The notation of scripts, for messages.
    static func text(_ histogram: NativeHistogram) -> String {
        var parts: [String] = []
        func add(_ name: String, _ value: Double) {
            if value != 0 { parts.append("\(name):\(GoText.value(value))") }
        }
        func add(_ name: String, _ values: [Double]) {
            guard !values.isEmpty else { return }
            parts.append("\(name):[\(values.map(GoText.value).joined(separator: " "))]")
        }
        add("schema", Double(histogram.schema))
        add("count", histogram.count)
        add("sum", histogram.sum)
        add("z_bucket", histogram.zeroCount)
        add("z_bucket_w", histogram.zeroThreshold)
        add("custom_values", histogram.customBounds)
        if histogram.counterResetHint != .unknown {
            let hint = hints.first { $0.hint == histogram.counterResetHint }
            parts.append("counter_reset_hint:\(hint?.name ?? "")")
        }
        add("offset", Double(histogram.positiveSpans.first?.offset ?? 0))
        add("buckets", dense(histogram.positiveSpans, histogram.positiveCounts))
        add("n_offset", Double(histogram.negativeSpans.first?.offset ?? 0))
        add("n_buckets", dense(histogram.negativeSpans, histogram.negativeCounts))
        return "{{\(parts.joined(separator: " "))}}"
    }

    /// The counts with zeros for the gaps between spans.
    private static func dense(_ spans: [NativeHistogram.Span], _ counts: [Double]) -> [Double] {
        var result: [Double] = []
        var rest = counts[...]
        for (index, span) in spans.enumerated() {
            if index > 0 { result += [Double](repeating: 0, count: Int(min(span.offset, 10_000))) }
            result += rest.prefix(Int(span.length))
            rest = rest.dropFirst(Int(span.length))
        }
        return result
    }
}
