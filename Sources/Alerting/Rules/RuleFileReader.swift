internal import Query
internal import Telemetry
internal import Wire

/// Reads Prometheus rule files, unchanged (docs/configuration/alerting_rules.md and recording_rules.md of Prometheus
/// 3). One pass tells of every group and rule that is wrong, with file, line, column, group and rule.
package enum RuleFileReader {
    /// The groups of one file and what was found; groups are only to be used when no finding is an error.
    package static func read(_ text: String, file: String) -> (groups: [RuleGroup], findings: [RuleFinding]) {
        let collector = FindingCollector(file: file)
        var groups: [RuleGroup] = []
        collector.collecting { () throws(ConfigurationError) in
            guard let document = try YAMLValue.parse(text, file: file) else { return }
            var root = try document.mapping()
            var names: Set<String> = []
            for value in try root.elements("groups") {
                collector.group = ""
                let group = collector.collecting { () throws(ConfigurationError) in try readGroup(value, collector) }
                guard let group else { continue }
                if !names.insert(group.name).inserted {
                    collector.add(value.error("the group is twice in this file: rename one of them"))
                }
                groups.append(group)
            }
            collector.group = ""
            try root.finish()
        }
        return (groups, collector.findings)
    }

    private static func readGroup(
        _ value: YAMLValue, _ collector: FindingCollector
    ) throws(ConfigurationError) -> RuleGroup {
        var fields = try value.mapping()
        let name = try fields.required("name").text("a name")
        collector.group = name
        defer { collector.rule = "" }
        guard !name.isEmpty else { throw value.error("the group's name is empty") }
        let interval = try duration(&fields, "interval")
        if interval == 0 { throw value.error("interval is 0: leave it out for the default") }
        let limit = try fields.integer("limit", in: 0...1_000_000_000) ?? 0
        let offset = try duration(&fields, "query_offset") ?? 0
        let groupLabels = try readLabels(&fields, "labels", areTemplates: false)
        var seen: [String: Int] = [:]
        var rules: [Rule] = []
        for element in try fields.elements("rules") {
            collector.rule = ""
            let rule = collector.collecting { () throws(ConfigurationError) in
                try readRule(element, groupLabels, "\(collector.file);\(name)", &seen, collector)
            }
            if let rule { rules.append(rule) }
        }
        collector.rule = ""
        try fields.finish()
        return RuleGroup(
            name: name, file: collector.file, intervalMilliseconds: interval, limit: Int(limit),
            queryOffsetMilliseconds: offset, rules: rules)
    }

    private static let ruleKeys: Set<String> = [
        "alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations",
    ]

    private static func readRule(
        _ value: YAMLValue, _ groupLabels: [Rule.NamedTemplate], _ groupIdentity: String, _ seen: inout [String: Int],
        _ collector: FindingCollector
    ) throws(ConfigurationError) -> Rule {
        var fields = try value.mapping()
        let alert = try fields.text("alert")
        let record = try fields.text("record")
        collector.rule = alert ?? record ?? ""
        // Told beside whatever else is wrong: a misspelt key is often why something else is missing.
        let known = fields
        collector.collecting { () throws(ConfigurationError) in try known.finish(knowing: ruleKeys) }
        guard let name = alert ?? record, !name.isEmpty else {
            throw value.error("the rule has neither alert nor record: name it with one of them")
        }
        if alert != nil, record != nil {
            throw value.error("alert and record exclude each other: make two rules of it")
        }
        let isAlert = alert != nil
        let expression = try readExpression(try fields.required("expr"))
        let settings = Rule.AlertSettings(
            forMilliseconds: try onlyForAlerts(&fields, "for", isAlert) { (fields) throws(ConfigurationError) in
                try duration(&fields, "for")
            } ?? 0,
            keepFiringForMilliseconds: try onlyForAlerts(&fields, "keep_firing_for", isAlert) {
                (fields) throws(ConfigurationError) in try duration(&fields, "keep_firing_for")
            } ?? 0,
            annotations: try onlyForAlerts(&fields, "annotations", isAlert) { (fields) throws(ConfigurationError) in
                try readLabels(&fields, "annotations", areTemplates: true)
            } ?? [])
        let labels = try readLabels(&fields, "labels", areTemplates: isAlert)
        // Since Prometheus 3 any text is a name; braces are a mistake all the same.
        if !isAlert, name.contains("{") || name.contains("}") {
            throw value.error("braces in the name of the recorded series: put labels into labels")
        }
        let ordinal = seen[name, default: 0]
        seen[name] = ordinal + 1
        let own = Set(labels.map(\.name))
        return Rule(
            kind: isAlert ? .alert(settings) : .record, name: name, expression: expression,
            labels: groupLabels.filter { !own.contains($0.name) } + labels,
            identity: "\(groupIdentity);\(name);\(ordinal)", line: value.line)
    }

    private static func onlyForAlerts<Value>(
        _ fields: inout YAMLMapping, _ key: String, _ isAlert: Bool,
        _ read: (inout YAMLMapping) throws(ConfigurationError) -> Value?
    ) throws(ConfigurationError) -> Value? {
        if !isAlert, let value = fields.optional(key) {
            throw value.error("\(key) is for alerts, this rule records a series: remove it")
        }
        return try read(&fields)
    }

    private static func duration(
        _ fields: inout YAMLMapping, _ key: String
    ) throws(ConfigurationError) -> Int64? {
        guard let value = fields.optional(key) else { return nil }
        do throws(ConfigurationError) {
            return try value.durationMilliseconds()
        } catch {
            throw value.error("bad duration in \(key): \(error.message); write whole numbers such as 30s, 5m, 1h30m")
        }
    }

    private static func readExpression(_ value: YAMLValue) throws(ConfigurationError) -> String {
        let text = try value.text("an expression")
        do throws(QueryError) {
            // What other Prometheus tools read must stay readable for them.
            _ = try Engine.parse(text, allowsLogs: AlertingFiles.isOwnRuleFile(value.file))
            return text
        } catch {
            // An expression on one line gives the place in the file, a longer one its own place as well.
            let isOneLine = !text.contains("\n") && error.line > 0
            let place = isOneLine || error.line == 0 ? "" : " at line \(error.line), column \(error.column) of it"
            throw ConfigurationError(
                file: value.file, line: value.line, column: value.column + (isOneLine ? error.column - 1 : 0),
                "bad expression: \(error.message)\(place)")
        }
    }

    private static func readLabels(
        _ fields: inout YAMLMapping, _ key: String, areTemplates: Bool
    ) throws(ConfigurationError) -> [Rule.NamedTemplate] {
        guard let section = fields.optional(key) else { return [] }
        var result: [Rule.NamedTemplate] = []
        for (nameValue, textValue) in try section.pairs() {
            let name = try nameValue.text("a name")
            if name.isEmpty || name == Labels.metricNameLabel {
                throw nameValue.error("\"\(name)\" cannot be set in \(key): remove it")
            }
            let text = textValue.isNull ? "" : try textValue.text("a text")
            do throws(TemplateError) {
                let template = areTemplates ? try Template(text) : Template(literal: text)
                result.append(Rule.NamedTemplate(name: name, template: template))
            } catch {
                throw textValue.error(
                    "bad template in \(key), \(name), at \(error.line):\(error.column) of it: \(error.message)")
            }
        }
        return result
    }
}
