internal import Query
internal import Telemetry
package import Wire

/// A file of rule unit tests, in the format of `promtool test rules` (docs/configuration/unit_testing_rules.md of
/// Prometheus 3), unchanged.
package struct RuleTestFile: Sendable {
    /// Input series, and what rules and expressions must make of them.
    struct TestGroup: Sendable {
        /// Empty when the file gives none.
        var name: String
        var line: Int
        var intervalMilliseconds: Int64
        var startMilliseconds: Int64
        var input: InputSeries
        var alerts: [AlertCase]
        var expressions: [ExpressionCase]
        var externalLabels: [String: String]
        var externalURL: String

        /// The last time that a case looks at, after the start.
        var durationMilliseconds: Int64 {
            max(alerts.map(\.timeMilliseconds).max() ?? 0, expressions.map(\.timeMilliseconds).max() ?? 0)
        }
    }

    /// The alerts of one name that must fire at one time, and no others of that name.
    struct AlertCase: Sendable {
        var line: Int
        /// After the start.
        var timeMilliseconds: Int64
        var name: String
        var expected: [FiringAlert]
    }

    /// An alert as people see it.
    struct FiringAlert: Sendable, Hashable {
        /// `alertname` among them.
        var labels: Labels
        var annotations: Labels
    }

    /// What an expression must answer at one time.
    struct ExpressionCase: Sendable {
        var line: Int
        /// After the start.
        var timeMilliseconds: Int64
        var expression: String
        var expected: [ExpectedSample]
    }

    /// A sample: a number, or a histogram as canonical text.
    struct ExpectedSample: Sendable {
        var labels: Labels
        var value: Double
        /// Nil for a number.
        var histogram: String?
    }

    /// The path as it was given.
    package let path: String
    /// Paths and glob patterns, relative to the file.
    package let ruleFilePatterns: [String]
    let evaluationIntervalMilliseconds: Int64
    let groupOrder: [String]
    /// Whether numbers may differ in their last bit.
    let isFuzzy: Bool
    private(set) var groups: [TestGroup]

    /// Leaves only the tests that `isWanted` names.
    package mutating func keepTests(_ isWanted: (_ name: String) -> Bool) { groups.removeAll { !isWanted($0.name) } }

    /// Reads a file; throws the first thing that is wrong, with its place.
    package init(_ text: String, path: String) throws(ConfigurationError) {
        guard let document = try YAMLValue.parse(text, file: path) else {
            throw ConfigurationError(file: path, "the file is empty: it needs rule_files and tests")
        }
        self.path = path
        var root = try document.mapping()
        ruleFilePatterns = try root.optional("rule_files")?.texts() ?? []
        let interval = try root.durationMilliseconds("evaluation_interval") ?? 0
        let evaluationInterval = interval > 0 ? interval : 60_000
        evaluationIntervalMilliseconds = evaluationInterval
        isFuzzy = try root.truth("fuzzy_compare") ?? false
        let order = root.optional("group_eval_order")
        groupOrder = try order?.texts() ?? []
        if let order, Set(groupOrder).count < groupOrder.count {
            throw order.error("a group is twice in group_eval_order")
        }
        var groups: [TestGroup] = []
        for element in try root.elements("tests") {
            groups.append(try RuleTestFile.group(element, evaluationInterval: evaluationInterval))
        }
        self.groups = groups
        try root.finish()
    }

    private static func group(
        _ value: YAMLValue, evaluationInterval: Int64
    ) throws(ConfigurationError) -> TestGroup {
        var fields = try value.mapping()
        let interval = try fields.durationMilliseconds("interval") ?? 0
        let start = fields.optional("start_timestamp")
        var series: [(series: String, values: String)] = []
        let inputs = try fields.elements("input_series")
        for input in inputs {
            var entry = try input.mapping()
            series.append((try entry.required("series").text(), try entry.text("values") ?? ""))
            try entry.finish()
        }
        let step = interval > 0 ? interval : evaluationInterval
        let startMilliseconds = try start.map { (place) throws(ConfigurationError) in try time(place) } ?? 0
        let group = TestGroup(
            name: try fields.text("name") ?? "", line: value.line, intervalMilliseconds: step,
            startMilliseconds: startMilliseconds,
            input: try input(series, inputs, step, startMilliseconds),
            alerts: try cases(fields.elements("alert_rule_test"), alertCase),
            expressions: try cases(fields.elements("promql_expr_test"), expressionCase),
            externalLabels: Dictionary(
                try fields.optional("external_labels")?.textPairs().map { ($0.name, $0.value) } ?? []
            ) { _, last in last },
            externalURL: try fields.text("external_url") ?? "")
        try fields.finish()
        return group
    }

    private static func input(
        _ series: [(series: String, values: String)], _ places: [YAMLValue], _ step: Int64, _ start: Int64
    ) throws(ConfigurationError) -> InputSeries {
        do throws(ScriptError) {
            return try InputSeries(series, intervalMilliseconds: step, startMilliseconds: start)
        } catch {
            // Its lines count the series.
            let index = error.line - 1
            let place = places.indices.contains(index) ? places[index] : places[0]
            throw place.error("bad input series: \(error.message)")
        }
    }

    /// Seconds since 1970, or RFC 3339.
    private static func time(_ place: YAMLValue) throws(ConfigurationError) -> Int64 {
        guard let milliseconds = Timestamps.milliseconds(prometheus: try place.text()) else {
            throw place.error("no time: write seconds since 1970 or 2021-01-01T00:00:00Z")
        }
        return milliseconds
    }

    private static func cases<Case>(
        _ values: [YAMLValue], _ read: (YAMLValue) throws(ConfigurationError) -> Case
    ) throws(ConfigurationError) -> [Case] {
        var cases: [Case] = []
        for value in values { cases.append(try read(value)) }
        return cases
    }

    private static func alertCase(_ value: YAMLValue) throws(ConfigurationError) -> AlertCase {
        var fields = try value.mapping()
        let name = try fields.required("alertname").text("an alert's name")
        var expected: [FiringAlert] = []
        for element in try fields.elements("exp_alerts") {
            var entry = try element.mapping()
            let labels = try entry.optional("exp_labels")?.textPairs() ?? []
            let annotations = try entry.optional("exp_annotations")?.textPairs() ?? []
            try entry.finish()
            // The file gives the labels without the alert's name.
            let pairs = labels.filter { $0.name != "alertname" }.map { ($0.name, $0.value) } + [("alertname", name)]
            expected.append(
                FiringAlert(labels: Labels(pairs), annotations: Labels(annotations.map { ($0.name, $0.value) })))
        }
        let time = try fields.durationMilliseconds("eval_time") ?? 0
        try fields.finish()
        return AlertCase(line: value.line, timeMilliseconds: time, name: name, expected: expected)
    }

    private static func expressionCase(_ value: YAMLValue) throws(ConfigurationError) -> ExpressionCase {
        var fields = try value.mapping()
        let expression = try fields.required("expr").text("an expression")
        var expected: [ExpectedSample] = []
        for element in try fields.elements("exp_samples") {
            var entry = try element.mapping()
            let labels = try entry.text("labels") ?? ""
            let number = entry.optional("value")
            let histogram = try entry.text("histogram")
            try entry.finish()
            do throws(ScriptError) {
                expected.append(
                    ExpectedSample(
                        labels: try InputSeries.labels(labels), value: try RuleTestFile.value(number),
                        histogram: try histogram.map { (text) throws(ScriptError) in
                            InputSeries.text(try InputSeries.histogram(text))
                        }))
            } catch {
                throw element.error(error.message)
            }
        }
        let time = try fields.durationMilliseconds("eval_time") ?? 0
        try fields.finish()
        return ExpressionCase(line: value.line, timeMilliseconds: time, expression: expression, expected: expected)
    }

    /// A number as YAML (`.inf`, `.NaN`) or Prometheus writes it.
    private static func value(_ place: YAMLValue?) throws(ScriptError) -> Double {
        guard let place else { return 0 }
        let text = (try? place.text()) ?? ""
        let sign = text.hasPrefix("-") || text.hasPrefix("+") ? text.prefix(1) : ""
        var digits = text.dropFirst(sign.count)
        if [".inf", ".nan"].contains(digits.lowercased()) { digits = digits.dropFirst() }
        guard let value = try? GoText.number(String(sign) + digits) else {
            throw ScriptError(line: place.line, "\(text) is no number")
        }
        return value
    }
}
