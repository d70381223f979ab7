internal import Telemetry
package import Wire

/// Who is told about what: the `alerting` section, written as Alertmanager's file. Without one nobody is told, and
/// alerts are visible in the API all the same.
package struct NotifyConfiguration: Sendable {
    var route: Route?
    /// The integrations of each receiver, by its name.
    var receivers: [String: [any Receiver]]
    var inhibitRules: [InhibitRule]

    /// Nobody is told.
    package static let none = NotifyConfiguration(route: nil, receivers: [:], inhibitRules: [])

    /// Reads the section. Throws where it has a key or value that is not known, naming the place.
    package static func read(_ section: YAMLValue?) throws(ConfigurationError) -> NotifyConfiguration {
        guard let section else { return .none }
        var fields = try section.mapping()
        if let global = fields.optional("global") { try readGlobal(global) }
        var receivers: [String: [any Receiver]] = [:]
        for value in try fields.elements("receivers") {
            let (name, integrations) = try readReceiver(value)
            guard receivers.updateValue(integrations, forKey: name) == nil else {
                throw value.error("the receiver \(name) is here twice: rename one of them")
            }
        }
        var inhibitRules: [InhibitRule] = []
        for value in try fields.elements("inhibit_rules") { inhibitRules.append(try readInhibitRule(value)) }
        for key in ["time_intervals", "mute_time_intervals", "templates"] {
            if let value = fields.optional(key) {
                throw value.error("\(key) is not understood by this version: remove it")
            }
        }
        var route: Route?
        if let value = fields.optional("route") {
            route = try readRoute(value, parent: nil)
        } else if !receivers.isEmpty {
            throw section.error("there are receivers and no route that leads to them: add route: {receiver: …}")
        }
        try fields.finish()
        for name in (route?.receivers ?? []).sorted() where receivers[name] == nil {
            throw section.error("a route leads to the receiver \(name), which is not defined: add it to receivers")
        }
        return NotifyConfiguration(route: route, receivers: receivers, inhibitRules: inhibitRules)
    }

    /// The names of all receivers.
    package var receiverNames: [String] { receivers.keys.sorted() }

    private static func readGlobal(_ value: YAMLValue) throws(ConfigurationError) {
        var fields = try value.mapping()
        // Alerts come from our own rules, which say themselves when they end.
        _ = try fields.durationMilliseconds("resolve_timeout")
        try fields.finish()
    }

    private static func readReceiver(
        _ value: YAMLValue
    ) throws(ConfigurationError) -> (name: String, integrations: [any Receiver]) {
        var fields = try value.mapping()
        let name = try fields.required("name").text("a name")
        var integrations: [any Receiver] = []
        for kind in Receivers.all {
            for (index, element) in try fields.elements(kind.key).enumerated() {
                integrations.append(try kind.read(element, "\(kind.name)[\(index)]"))
            }
        }
        try fields.finish()
        return (name, integrations)
    }

    private static func readRoute(_ value: YAMLValue, parent: Route?) throws(ConfigurationError) -> Route {
        var fields = try value.mapping()
        let receiver = try fields.text("receiver") ?? parent?.receiver
        guard let receiver else { throw value.error("the first route needs a receiver: add receiver: NAME") }
        var route = Route(
            receiver: receiver, groupBy: parent == nil ? [] : parent?.groupBy,
            groupWaitMilliseconds: try fields.durationMilliseconds("group_wait")
                ?? parent?.groupWaitMilliseconds ?? 30_000,
            groupIntervalMilliseconds: try fields.durationMilliseconds("group_interval")
                ?? parent?.groupIntervalMilliseconds ?? 300_000,
            repeatIntervalMilliseconds: try fields.durationMilliseconds("repeat_interval")
                ?? parent?.repeatIntervalMilliseconds ?? 14_400_000,
            matchers: [], continues: try fields.truth("continue") ?? false, routes: [], key: "")
        if route.groupIntervalMilliseconds == 0 { throw value.error("group_interval is 0: write 1s or more") }
        if route.repeatIntervalMilliseconds == 0 { throw value.error("repeat_interval is 0: write 1s or more") }
        if let groupBy = fields.optional("group_by") {
            let names = try groupBy.texts()
            route.groupBy = names.contains("...") ? nil : names
        }
        route.matchers = try readMatchers(&fields)
        if parent == nil, !route.matchers.isEmpty {
            throw value.error("the first route takes every alert: remove its matchers")
        }
        if parent == nil, route.continues { throw value.error("the first route has no siblings: remove continue") }
        for key in ["mute_time_intervals", "active_time_intervals"] {
            if let intervals = fields.optional(key) {
                throw intervals.error("\(key) is not understood by this version: remove it, or use a silence")
            }
        }
        let matchers = route.matchers.map { "\($0.name)\($0.operation.rawValue)\(QuotedText.quoted($0.value))" }
        let text = "{\(matchers.joined(separator: ","))}"
        route.key = parent.map { "\($0.key)/\(text)" } ?? "{}"
        for child in try fields.elements("routes") { route.routes.append(try readRoute(child, parent: route)) }
        try fields.finish()
        return route
    }

    /// `matchers`, and the older `match` and `match_re`.
    private static func readMatchers(_ fields: inout YAMLMapping) throws(ConfigurationError) -> [LabelMatcher] {
        try readMatchers(&fields, "matchers", "match", "match_re")
    }

    private static func readMatchers(
        _ fields: inout YAMLMapping, _ key: String, _ equalKey: String, _ regexKey: String
    ) throws(ConfigurationError) -> [LabelMatcher] {
        var result = try fields.optional(key)?.matcherList() ?? []
        for (name, value) in try fields.optional(equalKey)?.textPairs() ?? [] { result.append(.equal(name, value)) }
        if let section = fields.optional(regexKey) {
            for (name, value) in try section.textPairs() {
                do throws(RegularExpressionError) {
                    result.append(try LabelMatcher(name, .matchesRegex, value))
                } catch {
                    throw section.error(error.description)
                }
            }
        }
        return result
    }

    private static func readInhibitRule(_ value: YAMLValue) throws(ConfigurationError) -> InhibitRule {
        var fields = try value.mapping()
        let rule = InhibitRule(
            sourceMatchers: try readMatchers(&fields, "source_matchers", "source_match", "source_match_re"),
            targetMatchers: try readMatchers(&fields, "target_matchers", "target_match", "target_match_re"),
            equal: try fields.optional("equal")?.texts() ?? [])
        try fields.finish()
        if rule.sourceMatchers.isEmpty || rule.targetMatchers.isEmpty {
            throw value.error(
                "an inhibit rule needs source_matchers and target_matchers: without one it would mute everything")
        }
        return rule
    }
}
