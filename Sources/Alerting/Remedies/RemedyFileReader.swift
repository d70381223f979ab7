internal import Query
internal import Telemetry
internal import Wire

/// Reads `*.remedy.yml` files (docs/specs/remedy.md). Strict, because what is misread here restarts containers.
package enum RemedyFileReader {
    /// The remedies of one file and what was found; remedies are only to be used when no finding is an error.
    package static func read(_ text: String, file: String) -> (remedies: [Remedy], findings: [RuleFinding]) {
        let collector = FindingCollector(file: file)
        var remedies: [Remedy] = []
        collector.collecting { () throws(ConfigurationError) in
            guard let document = try YAMLValue.parse(text, file: file) else { return }
            var root = try document.mapping()
            var names: Set<String> = []
            for value in try root.elements("remedies") {
                collector.rule = ""
                let remedy = collector.collecting { () throws(ConfigurationError) in
                    try readRemedy(value, collector)
                }
                guard let remedy = remedy ?? nil else { continue }
                if !names.insert(remedy.name).inserted {
                    collector.add(value.error("the remedy is twice in this file: rename one of them"))
                }
                remedies.append(remedy)
            }
            collector.rule = ""
            try root.finish()
        }
        return (remedies, collector.findings)
    }

    private static func readRemedy(
        _ value: YAMLValue, _ collector: FindingCollector
    ) throws(ConfigurationError) -> Remedy? {
        var fields = try value.mapping()
        let name = try fields.required("name").text("a name")
        collector.rule = name
        guard !name.isEmpty, !name.contains("/") else {
            throw value.error("a remedy's name is neither empty nor has it a slash")
        }
        let found = collector.findings.count
        let match = collector.collecting { () throws(ConfigurationError) in try readMatch(&fields, value) }
        var remedy = Remedy(name: name, file: collector.file, match: match ?? [], line: value.line)
        readWhen(&fields, &remedy, collector)
        readWhat(&fields, value, &remedy, collector)
        for error in fields.unknownKeys() { collector.add(error) }
        // Every finding is told; a remedy with one is none.
        return collector.findings.count == found ? remedy : nil
    }

    /// When a remedy may act.
    private static func readWhen(_ fields: inout YAMLMapping, _ remedy: inout Remedy, _ collector: FindingCollector) {
        collector.collecting { () throws(ConfigurationError) in
            remedy.mode = try choice(&fields, "mode", Remedy.Mode.allCases) ?? .shadow
        }
        collector.collecting { () throws(ConfigurationError) in
            remedy.cooldownMilliseconds = try fields.durationMilliseconds("cooldown") ?? 300_000
        }
        collector.collecting { () throws(ConfigurationError) in
            (remedy.backoffFactor, remedy.backoffMaximumMilliseconds) = try readBackoff(&fields)
        }
        collector.collecting { () throws(ConfigurationError) in remedy.budgets = try readBudgets(&fields) }
        collector.collecting { () throws(ConfigurationError) in
            remedy.populationMinimum = Int(try fields.integer("min_population", in: 1...1_000_000) ?? 3)
        }
        collector.collecting { () throws(ConfigurationError) in
            remedy.unhealthyShareMaximum = try readShare(&fields)
        }
        collector.collecting { () throws(ConfigurationError) in
            remedy.contraindications = try readContraindications(&fields, collector)
        }
        collector.collecting { () throws(ConfigurationError) in
            remedy.blackouts = try readBlackouts(&fields, collector)
        }
        collector.collecting { () throws(ConfigurationError) in
            remedy.approvalMilliseconds = try fields.durationMilliseconds("approval_within") ?? 3_600_000
        }
    }

    /// What a remedy does, keeps and waits for.
    private static func readWhat(
        _ fields: inout YAMLMapping, _ owner: YAMLValue, _ remedy: inout Remedy, _ collector: FindingCollector
    ) {
        collector.collecting { () throws(ConfigurationError) in
            remedy.ladder = try readLadder(&fields, owner, collector)
        }
        collector.collecting { () throws(ConfigurationError) in
            (remedy.verifyForMilliseconds, remedy.verifyWithinMilliseconds) = try readVerify(&fields)
        }
        collector.collecting { () throws(ConfigurationError) in
            (remedy.evidenceLines, remedy.evidenceWindowMilliseconds) = try readEvidence(&fields)
        }
        collector.collecting { () throws(ConfigurationError) in
            remedy.onFailure = try choice(&fields, "on_failure", Remedy.FailurePolicy.allCases) ?? .suspend
        }
    }

    private static func readMatch(
        _ fields: inout YAMLMapping, _ owner: YAMLValue
    ) throws(ConfigurationError) -> [LabelMatcher] {
        guard let section = fields.optional("match") else {
            throw owner.error("match is missing: name at least one label, an empty selector would mean everything")
        }
        var matchers: [LabelMatcher]
        if let pairs = try? section.textPairs() {
            matchers = pairs.map { .equal($0.name, $0.value) }
        } else {
            matchers = try section.matcherList()
        }
        if matchers.allSatisfy(\.matchesAbsence) {
            throw section.error(
                "match selects every alert: name at least one label with a value, an empty selector is an error")
        }
        return matchers
    }

    private static func readLadder(
        _ fields: inout YAMLMapping, _ owner: YAMLValue, _ collector: FindingCollector
    ) throws(ConfigurationError) -> [Remedy.Rung] {
        var rungs: [Remedy.Rung] = []
        let single = fields.optional("action")
        let arguments = fields.optional("arguments")
        if let single { rungs.append(try readRung(single, arguments)) }
        if let ladder = fields.optional("ladder") {
            if single != nil {
                throw ladder.error("action and ladder exclude each other: put the action into the ladder")
            }
            let elements = try ladder.elements()
            for element in elements {
                collector.collecting { () throws(ConfigurationError) in
                    var rung = try element.mapping()
                    let action = try rung.required("action")
                    rungs.append(try readRung(action, rung.optional("arguments")))
                    try rung.finish()
                }
            }
            if !elements.isEmpty { return rungs }
        }
        guard !rungs.isEmpty else { throw owner.error("action is missing: it is one of \(actionNames)") }
        return rungs
    }

    private static var actionNames: String { Remedies.all.map(\.name).joined(separator: ", ") }

    private static func readRung(
        _ action: YAMLValue, _ arguments: YAMLValue?
    ) throws(ConfigurationError) -> Remedy.Rung {
        let name = try action.text("an action")
        guard let known = Remedies.named(name) else {
            throw action.error("\(name) is no action: it is one of \(actionNames)")
        }
        var values: [String: String] = [:]
        for (key, value) in try arguments?.pairs() ?? [] {
            let argument = try key.text("a name")
            guard let range = known.arguments[argument] else {
                let names = known.arguments.keys.sorted().joined(separator: ", ")
                throw key.error("\(name) has no argument \(argument): it has \(names)")
            }
            let bounds = Int64(range.lowerBound)...Int64(range.upperBound)
            values[argument] = String(try value.integer(in: bounds))
        }
        return Remedy.Rung(action: name, arguments: values)
    }

    private static func readVerify(
        _ fields: inout YAMLMapping
    ) throws(ConfigurationError) -> (stable: Int64, within: Int64) {
        guard let section = fields.optional("verify") else { return (0, 300_000) }
        var verify = try section.mapping()
        let stable = try verify.durationMilliseconds("for") ?? 0
        let within = try verify.durationMilliseconds("within") ?? 300_000
        try verify.finish()
        if within <= stable { throw section.error("verify can never succeed: within must be longer than for") }
        return (stable, within)
    }

    private static func readEvidence(
        _ fields: inout YAMLMapping
    ) throws(ConfigurationError) -> (lines: Int, window: Int64) {
        guard let section = fields.optional("evidence") else { return (50, 300_000) }
        var evidence = try section.mapping()
        let lines = try evidence.integer("lines", in: 0...10_000) ?? 50
        let window = try evidence.durationMilliseconds("window") ?? 300_000
        try evidence.finish()
        if window > 86_400_000 { throw section.error("the window of evidence is over a day: write 5m or so") }
        return (Int(lines), window)
    }

    private static func readShare(_ fields: inout YAMLMapping) throws(ConfigurationError) -> Double? {
        guard let value = fields.optional("max_unhealthy") else { return 0.5 }
        let text = try value.text("a share")
        let isPercent = text.hasSuffix("%")
        guard let number = FloatText.parse(isPercent ? String(text.dropLast()) : text) else {
            throw value.error("\(text) is no share: write 40% or 0.4")
        }
        let share = isPercent ? number / 100 : number
        guard share > 0, share <= 1 else { throw value.error("\(text) is no share: write 40% or 0.4") }
        return share
    }

    private static func readBackoff(
        _ fields: inout YAMLMapping
    ) throws(ConfigurationError) -> (factor: Double, maximum: Int64) {
        guard let section = fields.optional("backoff") else { return (2, 3_600_000) }
        var backoff = try section.mapping()
        let value = backoff.optional("factor")
        let factor = try value?.number() ?? 2
        let maximum = try backoff.durationMilliseconds("maximum") ?? 3_600_000
        try backoff.finish()
        if let value, !(1...100).contains(factor) { throw value.error("the factor is between 1 and 100") }
        return (factor, maximum)
    }

    private static func readBudgets(_ fields: inout YAMLMapping) throws(ConfigurationError) -> [Remedy.Budget] {
        let defaults = [
            Remedy.Budget(scope: .rule, count: 10, windowMilliseconds: 3_600_000),
            Remedy.Budget(scope: .service, count: 3, windowMilliseconds: 3_600_000),
            Remedy.Budget(scope: .cluster, count: 20, windowMilliseconds: 3_600_000),
        ]
        guard let section = fields.optional("budget") else { return defaults }
        var budget = try section.mapping()
        var result: [Remedy.Budget] = []
        for fallback in defaults {
            guard let value = budget.optional(fallback.scope.rawValue) else {
                result.append(fallback)
                continue
            }
            let text = try value.text("a budget")
            let parts = text.split(separator: "/", maxSplits: 1).map(String.init)
            guard parts.count == 2, let count = Int(parts[0]), (0...1_000_000).contains(count),
                let window = try? Durations.milliseconds(prometheus: parts[1]), window > 0
            else { throw value.error("\(text) is no budget: write COUNT/TIME, such as 3/1h") }
            result.append(Remedy.Budget(scope: fallback.scope, count: count, windowMilliseconds: window))
        }
        try budget.finish()
        return result
    }

    private static func readContraindications(
        _ fields: inout YAMLMapping, _ collector: FindingCollector
    ) throws(ConfigurationError) -> [Template] {
        try fields.elements("contraindications").compactMap { value in
            collector.collecting { () throws(ConfigurationError) in try readContraindication(value) }
        }
    }

    private static func readContraindication(_ value: YAMLValue) throws(ConfigurationError) -> Template {
        let text = try value.text("an expression")
        do {
            let template = try Template(text)
            if template.isLiteral { _ = try Engine.parse(text) }
            return template
        } catch let error as QueryError {
            throw value.error("bad expression: \(error.message) at \(error.line):\(error.column) of it")
        } catch {
            throw value.error("bad template: \(error)")
        }
    }

    private static func readBlackouts(
        _ fields: inout YAMLMapping, _ collector: FindingCollector
    ) throws(ConfigurationError) -> [BlackoutWindow] {
        try fields.elements("blackout").compactMap { value in
            collector.collecting { () throws(ConfigurationError) in try readBlackout(value) }
        }
    }

    private static func readBlackout(_ value: YAMLValue) throws(ConfigurationError) -> BlackoutWindow {
        var window = try value.mapping()
        var weekdays: Set<Int> = []
        for day in try window.optional("days")?.texts() ?? [] {
            guard let range = weekdayRange(day) else {
                throw value.error("\(day) is no day: write mon, tue, wed, thu, fri, sat, sun or mon-fri")
            }
            weekdays.formUnion(range)
        }
        let from = try window.required("from").text("a time of day")
        let to = try window.required("to").text("a time of day")
        let zone = try window.text("timezone") ?? "UTC"
        try window.finish()
        guard let start = minute(from), let end = minute(to) else {
            throw value.error(
                "\"\(from)\" to \"\(to)\" is no time of day: write \"09:00\" and \"15:30\", in quotes")
        }
        guard let offset = offsetMinutes(zone) else {
            throw value.error("\(zone) is no timezone: write UTC, or the distance to it, such as +08:00")
        }
        return BlackoutWindow(
            weekdays: weekdays, startMinute: start, endMinute: end, offsetMinutes: offset,
            text: "\(from) to \(to) \(zone)")
    }

    private static let weekdayNames = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

    private static func weekdayRange(_ text: String) -> [Int]? {
        let parts = text.lowercased().split(separator: "-").map { weekdayNames.firstIndex(of: String($0.prefix(3))) }
        guard let first = parts.first ?? nil else { return nil }
        if parts.count == 1 { return [first] }
        guard parts.count == 2, let last = parts[1] else { return nil }
        return first <= last ? Array(first...last) : Array(first...6) + Array(0...last)
    }

    private static func minute(_ text: String) -> Int? {
        let parts = text.split(separator: ":").map { Int($0) }
        guard parts.count == 2, let hour = parts[0], let minute = parts[1], (0...24).contains(hour),
            (0..<60).contains(minute), hour * 60 + minute <= 1440
        else { return nil }
        return hour * 60 + minute
    }

    private static func offsetMinutes(_ text: String) -> Int? {
        if ["UTC", "utc", "Z"].contains(text) { return 0 }
        guard let sign = text.first, sign == "+" || sign == "-", let magnitude = minute(String(text.dropFirst())),
            magnitude <= 14 * 60
        else { return nil }
        return sign == "-" ? -magnitude : magnitude
    }

    private static func choice<Value: RawRepresentable>(
        _ fields: inout YAMLMapping, _ key: String, _ choices: [Value]
    ) throws(ConfigurationError) -> Value? where Value.RawValue == String {
        guard let value = fields.optional(key) else { return nil }
        let text = try value.text("a word")
        guard let choice = Value(rawValue: text) else {
            throw value.error("\(key) is \(text): it is one of \(choices.map(\.rawValue).joined(separator: ", "))")
        }
        return choice
    }
}
