internal import Query
internal import Telemetry

/// Why an answer may be empty: names that nothing stored has, with those that may have been meant.
///
/// Asked only after an empty answer, for a moment, and silent where the server does not say.
struct EmptyAnswerHint {
    private static let timeoutMilliseconds: Int64 = 2_000
    private static let shown = 12

    var server: ServerClient

    /// For a PromQL expression: metric names that no stored series has.
    func metrics(in expression: String) async -> [String] {
        guard let parsed = try? Engine.parse(expression) else { return [] }
        var wanted: Set<String> = []
        parsed.forEachSelector { selector in
            for matcher in selector.matchers where matcher.name == "__name__" && matcher.operation == .equal {
                wanted.insert(matcher.value)
            }
        }
        guard !wanted.isEmpty, let known = await names("/api/v1/label/__name__/values", []) else { return [] }
        return wanted.subtracting(known).sorted().map { name in
            let near = NearestName.of(name, among: known)
            return "no metric is called \(name)" + (near.isEmpty ? "" : "; did you mean \(Self.list(near))?")
        }
    }

    /// For lines: labels that were asked for by value, of which nothing wrote in `range`.
    func lines(labels: [(name: String, value: String)], range: LogTimeRange) async -> [String] {
        var hints: [String] = []
        for (name, value) in labels {
            guard let known = await names("/loki/api/v1/label/\(name)/values", range.parameters) else { return hints }
            if known.contains(value) { continue }
            let near = NearestName.of(value, among: known)
            var hint = "nothing with \(name)=\"\(value)\" wrote in this time"
            if !near.isEmpty {
                hint += "; did you mean \(Self.list(near))?"
            } else if !known.isEmpty {
                hint += "; there are \(Self.list(known.sorted()))"
            }
            hints.append(hint)
        }
        return hints
    }

    private func names(_ path: String, _ parameters: [(String, String)]) async -> [String]? {
        let answer = try? await server.json(path, parameters, timeoutMilliseconds: Self.timeoutMilliseconds)
        return answer.map { ($0["data"]?.elements ?? []).compactMap(\.text) }
    }

    private static func list(_ names: [String]) -> String {
        let rest = names.count - shown
        return names.prefix(shown).joined(separator: ", ") + (rest > 0 ? " and \(rest) more" : "")
    }
}
