internal import Query
internal import Telemetry
internal import Wire

/// Reads Prometheus rule files, unchanged (docs/configuration/alerting_rules.md and recording_rules.md of Prometheus
/// 3). One pass tells of every group and rule that is wrong, with file, line, column, group and rule.
package enum RuleFileReader {
    /// The groups of one file and what was found; groups are only to be used when no finding is an error. Keys that are
    /// not Prometheus' are errors unless they are to be ignored, for files that other tools extend.
    package static func read(
        _ text: String, file: String, ignoresUnknownFields: Bool = false
    ) -> (groups: [RuleGroup], findings: [RuleFinding]) {
        let collector = FindingCollector(file: file)
        collector.ignoresUnknownFields = ignoresUnknownFields
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
            if !ignoresUnknownFields { try root.finish() }
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
        let interval = collector.gathering { () throws(ConfigurationError) in try duration(&fields, "interval") }
        if interval == 0 { collector.add(value.error("interval is 0: leave it out for the default")) }
        let limit = collector.gathering { () throws(ConfigurationError) in
            try fields.integer("limit", in: 0...1_000_000_000)
        }
        let offset = collector.gathering { () throws(ConfigurationError) in try duration(&fields, "query_offset") }
        let groupLabels = readLabels(&fields, "labels", areTemplates: false, collector)
        var seen: [String: Int] = [:]
        var rules: [Rule] = []
        for element in try fields.elements("rules") {
            collector.rule = ""
            let rule = collector.collecting { () throws(ConfigurationError) in
                try readRule(element, groupLabels, "\(collector.file);\(name)", &seen, collector)
            }
            if let rule, let rule { rules.append(rule) }
        }
        collector.rule = ""
        if !collector.ignoresUnknownFields { try fields.finish() }
        return RuleGroup(
            name: name, file: collector.file, intervalMilliseconds: interval, limit: Int(limit ?? 0),
            queryOffsetMilliseconds: offset ?? 0, rules: rules)
    }

    private static let ruleKeys: Set<String> = [
        "alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations",
    ]

    private static func readRule(
        _ value: YAMLValue, _ groupLabels: [Rule.NamedTemplate], _ groupIdentity: String, _ seen: inout [String: Int],
        _ collector: FindingCollector
    ) throws(ConfigurationError) -> Rule? {
        var fields = try value.mapping()
        let alert = try fields.text("alert")
        let record = try fields.text("record")
        collector.rule = alert ?? record ?? ""
        // Told beside whatever else is wrong: a misspelt key is often why something else is missing.
        let known = fields
        if !collector.ignoresUnknownFields {
            collector.collecting { () throws(ConfigurationError) in try known.finish(knowing: ruleKeys) }
        }
        guard let name = alert ?? record, !name.isEmpty else {
            throw value.error("the rule has neither alert nor record: name it with one of them")
        }
        if alert != nil, record != nil {
            throw value.error("alert and record exclude each other: make two rules of it")
        }
        let isAlert = alert != nil
        let expression = collector.collecting { () throws(ConfigurationError) in
            try readExpression(try fields.required("expr"))
        }
        let settings = readAlertSettings(&fields, isAlert, collector)
        let labels = readLabels(&fields, "labels", areTemplates: isAlert, collector)
        // Since Prometheus 3 any text is a name; braces are a mistake all the same.
        if !isAlert, name.contains("{") || name.contains("}") {
            throw value.error("braces in the name of the recorded series: put labels into labels")
        }
        guard let expression else { return nil }
        let ordinal = seen[name, default: 0]
        seen[name] = ordinal + 1
        let own = Set(labels.map(\.name))
        return Rule(
            kind: isAlert ? .alert(settings) : .record, name: name, expression: expression,
            labels: groupLabels.filter { !own.contains($0.name) } + labels,
            identity: "\(groupIdentity);\(name);\(ordinal)", line: value.line)
    }

    private static func readAlertSettings(
        _ fields: inout YAMLMapping, _ isAlert: Bool, _ collector: FindingCollector
    ) -> Rule.AlertSettings {
        if !isAlert {
            for key in ["for", "keep_firing_for", "annotations"] {
                guard let value = fields.optional(key) else { continue }
                collector.add(value.error("\(key) is for alerts, this rule records a series: remove it"))
            }
            return Rule.AlertSettings(forMilliseconds: 0, keepFiringForMilliseconds: 0, annotations: [])
        }
        let wait = collector.gathering { () throws(ConfigurationError) in try duration(&fields, "for") }
        let keep = collector.gathering { () throws(ConfigurationError) in try duration(&fields, "keep_firing_for") }
        return Rule.AlertSettings(
            forMilliseconds: wait ?? 0, keepFiringForMilliseconds: keep ?? 0,
            annotations: readLabels(&fields, "annotations", areTemplates: true, collector))
    }

    private static func duration(
        _ fields: inout YAMLMapping, _ key: String
    ) throws(ConfigurationError) -> Int64? {
        guard let value = fields.optional(key) else { return nil }
        do throws(ConfigurationError) {
            return try value.durationMilliseconds()
        } catch {
            throw value.error("bad duration in \(key): \(error.message)")
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
        _ fields: inout YAMLMapping, _ key: String, areTemplates: Bool, _ collector: FindingCollector
    ) -> [Rule.NamedTemplate] {
        let pairs = collector.collecting { () throws(ConfigurationError) in try fields.optional(key)?.pairs() ?? [] }
        return (pairs ?? []).compactMap { nameValue, textValue in
            collector.collecting { () throws(ConfigurationError) in
                try readLabel(nameValue, textValue, key, isTemplate: areTemplates)
            }
        }
    }

    private static func readLabel(
        _ nameValue: YAMLValue, _ textValue: YAMLValue, _ key: String, isTemplate: Bool
    ) throws(ConfigurationError) -> Rule.NamedTemplate {
        let name = try nameValue.text("a name")
        if name.isEmpty || name == Labels.metricNameLabel {
            throw nameValue.error("\"\(name)\" cannot be set in \(key): remove it")
        }
        let text = textValue.isNull ? "" : try textValue.text("a text")
        do throws(TemplateError) {
            return Rule.NamedTemplate(
                name: name, template: isTemplate ? try Template(text) : Template(literal: text))
        } catch {
            throw textValue.error(
                "bad template in \(key), \(name), at \(error.line):\(error.column) of it: \(error.message)")
        }
    }
}
