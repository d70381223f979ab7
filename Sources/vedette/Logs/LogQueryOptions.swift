internal import ArgumentParser
internal import Query
internal import Telemetry

/// Which lines are meant: the options that every command about lines shares.
struct LogFilterOptions: ParsableArguments {
    @Argument(help: "A selector in braces, then texts that a line must all contain.")
    var words: [String] = []

    @Flag(name: .shortAndLong, help: "Ignore case.")
    var ignoreCase = false

    @Flag(name: .shortAndLong, help: "Texts are whole words.")
    var word = false

    @Flag(name: [.customShort("v"), .long], help: "Lines that contain none of the texts.")
    var invert = false

    @Option(
        name: [.customShort("e"), .customLong("regex")],
        help: "A regular expression (RE2) that a line must match. May be repeated.")
    var regex: [String] = []

    @Option(name: .long, help: "Only lines at this level or worse: trace, debug, info, warn, error, fatal.")
    var level: String?

    @Option(name: .long, help: "Only this container.")
    var container: String?

    @Option(name: .long, help: "Only this pod.")
    var pod: String?

    @Option(name: .long, help: "Only this namespace.")
    var namespace: String?

    @Option(name: .long, help: "Only this service.")
    var service: String?

    @Option(name: .long, help: "Only this node.")
    var node: String?

    func validate() throws {
        if let level, Severity(word: level) == .unknown {
            throw ValidationError("--level \(level) is no level; use trace, debug, info, warn, error or fatal")
        }
    }

    /// The texts and expressions that lines must contain (or must not).
    private var patterns: (selector: String?, texts: [String]) {
        guard let first = words.first, first.hasPrefix("{") else { return (nil, words) }
        return (first, Array(words.dropFirst()))
    }

    /// The line filters, in the order of the options.
    private var filters: [String] {
        let sign = invert ? "!" : "|"
        var filters: [String] = []
        for text in patterns.texts {
            if ignoreCase || word {
                filters.append("\(sign)~ \(QuotedText.quoted(expression(of: text)))")
            } else {
                filters.append("\(sign)= \(QuotedText.quoted(text))")
            }
        }
        for pattern in regex {
            let folded = ignoreCase ? "(?i)\(pattern)" : pattern
            filters.append("\(sign)~ \(QuotedText.quoted(word ? "\\b(?:\(folded))\\b" : folded))")
        }
        return filters
    }

    /// The labels that options name, with their values.
    var labels: [(name: String, value: String)] {
        let named = [
            ("container", container), ("pod", pod), ("namespace", namespace), ("service", service), ("node", node),
        ]
        return named.compactMap { name, value in value.map { (name, $0) } }
    }

    /// The selector, with the labels that options name.
    private var selector: String {
        let extra = labels.map { "\($0.name)=\(QuotedText.quoted($0.value))" }
        let inside = patterns.selector.map { String($0.dropFirst().dropLast()) } ?? ""
        let rest = inside.allSatisfy(\.isWhitespace) ? [] : [inside]
        return "{" + (rest + extra).joined(separator: ", ") + "}"
    }

    /// The LogQL query that the options stand for.
    var query: String { ([selector] + filters + levelFilter).joined(separator: " ") }

    /// The query for whole events: its lines contain the first text, and the filters say what else the event they are
    /// part of must contain.
    var eventQuery: (query: String, filters: String) {
        guard !invert, filters.count > 1 else { return (query, "") }
        return (
            ([selector, filters[0]] + levelFilter).joined(separator: " "), filters.dropFirst().joined(separator: " ")
        )
    }

    private var levelFilter: [String] {
        guard let level, case let lowest = Severity(word: level) else { return [] }
        let names = Severity.allCases.filter { $0 >= lowest && $0 != .unknown }.map(\.name)
        return ["| \(LineLevel.label)=~\(QuotedText.quoted(names.joined(separator: "|")))"]
    }

    /// What is to be highlighted; nil when nothing is looked for.
    var highlight: RegularExpression? {
        guard !invert else { return nil }
        let all = patterns.texts.map { expression(of: $0) } + regex.map { ignoreCase ? "(?i)\($0)" : $0 }
        return all.isEmpty ? nil : try? RegularExpression(all.map { "(?:\($0))" }.joined(separator: "|"))
    }

    private func expression(of text: String) -> String {
        let escaped = LogFilterOptions.escaped(text)
        return (ignoreCase ? "(?i)" : "") + (word ? "\\b\(escaped)\\b" : escaped)
    }

    /// A regular expression that matches `text` and nothing else.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            if "\\.+*?()|[]{}^$".contains(character) { result += "\\" }
            result.append(character)
        }
        return result
    }
}

/// Which time is meant.
struct LogSpanOptions: ParsableArguments {
    @Option(name: .long, help: "From: a duration ago, RFC 3339 or seconds since 1970.")
    var since = "1h"

    @Option(name: .long, help: "Until: a duration ago, RFC 3339 or seconds since 1970.")
    var until = "now"

    /// The span in nanoseconds since 1970.
    func range(now: Int64) throws -> LogTimeRange {
        let start = try TimeArgument.nanoseconds(since, option: "--since", now: now)
        let end = try TimeArgument.nanoseconds(until, option: "--until", now: now)
        guard start <= end else { throw CommandFailure.wrongUsage("--until \(until) lies before --since \(since)") }
        return LogTimeRange(startNanoseconds: start, endNanoseconds: end == .max ? end : end + 1)
    }
}

extension LogTimeRange {
    /// As the API's parameters have it.
    var parameters: [(String, String)] { [("start", "\(startNanoseconds)"), ("end", "\(endNanoseconds)")] }
}
