internal import Query
internal import TestSupport
internal import Testing

/// Canonical text of LogQL means what it was made from: generated queries of the whole grammar are read, printed, read
/// again and printed the same.
struct LogQLPrinterTests {
    /// Writes queries that are right by construction.
    private struct Writer {
        var random: SeededGenerator

        mutating func text(_ pieces: String...) -> String { random.pick(pieces) }

        mutating func string() -> String {
            text(#""a""#, #""x \"y\" \\ z""#, "`r\\d`", #""é\n""#, #""{{.a}}""#, "``", #""/""#)
        }

        mutating func label() -> String { text("a", "b_1", "level", "_x", "duration", "bytes", "sum") }

        mutating func duration() -> String { text("5m", "1h30m", "90s", "500ms", "1d", "2w", "1.5h", "1y") }

        mutating func number() -> String { text("0", "1", "2.5", "1e3", "0.001", "12345678901") }

        mutating func matcher() -> String { label() + text("=", "!=") + string() }

        mutating func filter(_ depth: Int) -> String {
            switch random.int(in: 0..<(depth > 0 ? 8 : 5)) {
            case 0: return matcher()
            case 1: return label() + text("=~", "!~") + text(#""a.*""#, "`x|y`")
            case 2: return "\(label()) \(text("==", "=", "!=", ">", ">=", "<", "<=")) \(text("", "-"))\(number())"
            case 3: return "\(label()) \(text(">", "=", "!=")) \(text(duration(), "20MB", "3KiB", "10B"))"
            case 4: return "\(label()) \(text("=", "!=")) ip(\"10.0.0.0/8\")"
            case 5: return "(\(filter(depth - 1)))"
            default: return filter(depth - 1) + text(" and ", " or ", ", ", " ") + filter(depth - 1)
            }
        }

        mutating func labels() -> String { (0..<random.int(in: 1..<4)).map { _ in label() }.joined(separator: ", ") }

        /// The last one is compared: behind a bare name a line filter would be its comparison.
        mutating func selections() -> String {
            let first = (0..<random.int(in: 0..<3)).map { _ in random.oneIn(2) ? label() : matcher() }
            return (first + [matcher()]).joined(separator: ",")
        }

        mutating func stage() -> String {
            switch random.int(in: 0..<14) {
            case 0: return "|= \(string()) or \(string())"
            case 1: return text("!=", "|=") + " ip(`10.0.0.1-10.0.0.9`) or " + string()
            case 2: return text("|~", "!~") + text(" `a+` or \"b\"", " `x`")
            case 3: return text("|>", "!>") + " `<_> b <_>`"
            case 4: return "| json" + text("", " a=\"b.c[0]\", d", " x=`[\"y\"]`")
            case 5: return "| logfmt" + text("", " --strict", " --keep-empty --strict", " a, b=\"c\"")
            case 6: return "| pattern `<a> - <_> <b>`"
            case 7: return "| regexp `(?P<a>x)(?<b>y)`"
            case 8: return "| " + text("unpack", "decolorize")
            case 9: return "| line_format " + text("`{{.a | upper}}`", "\"x {{ __line__ }}\"")
            case 10: return "| label_format a=b, c=`{{.d}}`, e=f"
            case 11: return "| drop \(selections())"
            case 12: return "| keep \(selections())"
            default: return "| \(filter(2))"
            }
        }

        mutating func pipeline() -> String {
            let stages = (0..<random.int(in: 0..<4)).map { _ in stage() }
            return (["{a=\"b\", \(label())=~`c.+`}"] + stages).joined(separator: " ")
        }

        mutating func grouping() -> String { "\(text("by", "without")) (\(random.oneIn(4) ? "" : labels()))" }

        mutating func range() -> String {
            let offset = random.oneIn(3) ? " offset \(text("", "-"))\(duration())" : ""
            let window = "[\(duration())]\(offset)"
            if random.oneIn(2) {
                return "\(text("rate", "count_over_time", "bytes_rate", "absent_over_time"))(\(pipeline()) \(window))"
            }
            let unwrap =
                "| unwrap \(text(label(), "duration(a)", "bytes(b)"))" + (random.oneIn(3) ? " | \(filter(1))" : "")
            let head = text("max_over_time(", "quantile_over_time(0.9, ", "stddev_over_time(", "first_over_time(")
            return "\(head)\(pipeline()) \(unwrap) \(window))\(random.oneIn(2) ? " " + grouping() : "")"
        }

        mutating func metric(_ depth: Int) -> String {
            switch random.int(in: 0..<(depth > 0 ? 9 : 3)) {
            case 0, 1: return range()
            case 2: return "vector(\(number()))"
            case 3: return "\(text("sum", "avg", "count", "stddev")) \(grouping()) (\(metric(depth - 1)))"
            case 4: return "\(text("topk", "bottomk", "approx_topk"))(3, \(metric(depth - 1)))"
            case 5: return "\(text("sort", "sort_desc"))(\(metric(depth - 1)))"
            case 6: return "label_replace(\(metric(depth - 1)), \"d\", `$1`, \"s\", `(.*)`)"
            case 7: return "\(metric(depth - 1)) \(text("+", "-", "*", "/", "%", "^", "> bool", "==")) -\(number())"
            default:
                let matching = text("", "on (a) ", "ignoring (b) group_left (c) ", "on () group_right () ")
                let joined =
                    random.oneIn(3)
                    ? text("and on (a)", "or", "unless ignoring (b)") : text("+", "<", "/") + " " + matching
                return "(\(metric(depth - 1))) \(joined) \(metric(depth - 1))"
            }
        }
    }

    @Test func generatedQueriesPrintAsTheyMean() throws {
        for seed in 0..<600 {
            var writer = Writer(random: SeededGenerator(seed: UInt64(seed)))
            let query = writer.random.oneIn(3) ? writer.pipeline() : writer.metric(3)
            do {
                let printed = try Engine.parseLogs(query).description
                let again = try Engine.parseLogs(printed).description
                #expect(again == printed, "seed \(seed): \(query)")
            } catch {
                Issue.record("seed \(seed): \(query): \(error)")
            }
        }
    }
}
