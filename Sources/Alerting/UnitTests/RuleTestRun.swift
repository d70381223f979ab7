internal import Query
internal import Telemetry

/// One group of rule unit tests on its way: steps through time, then checks the expressions.
struct RuleTestRun {
    private let file: RuleTestFile
    private let group: RuleTestFile.TestGroup
    private let rules: [RuleGroup]
    private let store: RuleTestRunner.Store
    private let evaluator: RuleEvaluator
    private(set) var passed = 0
    private(set) var failed = 0
    private(set) var failures: [String] = []
    private(set) var notes: [String] = []
    /// Pending, firing and remembered alerts by rule.
    private var alerts: [String: [Labels: AlertInstance]] = [:]
    private var series = RuleSeries()
    private var loadedSteps = 0

    init(
        file: RuleTestFile, group: RuleTestFile.TestGroup, rules: [RuleGroup], store: RuleTestRunner.Store,
        clock: any MonotonicClock
    ) {
        self.file = file
        self.group = group
        self.rules = rules
        self.store = store
        let options = Engine.Options(subqueryStepMilliseconds: file.evaluationIntervalMilliseconds)
        let engine = Engine(series: store, options: options)
        evaluator = RuleEvaluator(
            evaluator: EngineEvaluator(engine: engine, series: store, clock: clock), clock: clock,
            externalLabels: group.externalLabels, externalURL: group.externalURL)
    }

    mutating func perform() async throws {
        let interval = file.evaluationIntervalMilliseconds
        var cases = group.alerts.sorted { $0.timeMilliseconds < $1.timeMilliseconds }[...]
        for offset in stride(from: 0, through: group.durationMilliseconds, by: Int(interval)) {
            let time = group.startMilliseconds + Int64(offset)
            try await load(until: time)
            let errors = try await evaluate(at: time)
            guard errors.isEmpty else {
                // The state of a rule that failed says nothing: what was not looked at yet has failed with it.
                failures += errors
                failed += max(1, cases.count + group.expressions.count)
                return
            }
            while let next = cases.first, next.timeMilliseconds < Int64(offset) + interval {
                check(next)
                cases = cases.dropFirst()
            }
        }
        for one in group.expressions { check(one) }
    }

    private mutating func load(until time: Int64) async throws {
        let steps = group.input.steps
        var batch = SampleBatch(groups: [])
        while loadedSteps < steps.count, steps[loadedSteps].milliseconds <= time {
            batch.groups.append(steps[loadedSteps].group)
            loadedSteps += 1
        }
        if !batch.groups.isEmpty { _ = try await store.append(batch) }
    }

    /// Evaluates all rules in order; returns what failed.
    private mutating func evaluate(at time: Int64) async throws -> [String] {
        var errors: [String] = []
        for ruleGroup in rules {
            for rule in ruleGroup.rules {
                let known = alerts[rule.identity] ?? [:]
                let active = known.values.filter { $0.state != .inactive }
                let outcome = evaluator.evaluate(rule, in: ruleGroup, at: time, active: active)
                let samples: SampleGroup
                switch outcome.answer {
                case .failed(let reason):
                    errors.append(
                        "\(ruleGroup.file):\(rule.line): rule \(rule.name) at \(text(time)): \(reason)")
                    continue
                case .series(let points): samples = series.samples(of: rule.identity, points: points, at: time)
                case .alerts(let matches, let absences):
                    advance(rule, ruleGroup, known, matches, absences, time)
                    let all = (alerts[rule.identity] ?? [:]).values.sorted { $0.labels < $1.labels }
                    samples = series.samples(of: rule.identity, alerts: all, at: time)
                }
                if !samples.series.isEmpty { _ = try await store.append(SampleBatch(groups: [samples])) }
            }
        }
        return errors
    }

    private mutating func advance(
        _ rule: Rule, _ ruleGroup: RuleGroup, _ known: [Labels: AlertInstance],
        _ matches: [Labels: AlertStateMachine.Match], _ absences: [Labels: AlertStateMachine.Absence], _ time: Int64
    ) {
        guard case .alert(let settings) = rule.kind else { return }
        let machine = AlertStateMachine(
            settings: AlertStateMachine.Settings(
                forMilliseconds: settings.forMilliseconds,
                keepFiringForMilliseconds: settings.keepFiringForMilliseconds, limit: ruleGroup.limit),
            now: time, rule: rule.identity)
        // The format knows no third answer: series that stop end their alerts.
        let (changes, _) = machine.evaluate(known, matches: matches, isWoken: false) { _ in .noMatch }
        for change in changes {
            if change.transition == .resolved, absences[change.instance.labels] == .noData {
                notes.append(
                    "\(ruleGroup.file):\(rule.line): alert \(rule.name) ends at \(text(time)) because its series "
                        + "stop; a running server keeps it firing, without data")
            }
            let isGone = change.transition == .dropped || change.transition == .forgotten
            alerts[rule.identity, default: [:]][change.instance.labels] = isGone ? nil : change.instance
        }
    }

    // MARK: Cases

    private mutating func check(_ one: RuleTestFile.AlertCase) {
        let identities = rules.flatMap(\.rules).filter { $0.name == one.name }.map(\.identity)
        let firing = identities.flatMap { alerts[$0, default: [:]].values }.filter { $0.state == .firing }
        let found = firing.map { instance in
            RuleTestFile.FiringAlert(
                labels: instance.labels, annotations: Labels(instance.annotations.map { ($0.key, $0.value) }))
        }
        settle(
            isEqual: RuleTestRun.sorted(found) == RuleTestRun.sorted(one.expected), line: one.line,
            "alertname: \(one.name), time: \(Durations.prometheus(milliseconds: one.timeMilliseconds))",
            expected: RuleTestRun.lines(one.expected), found: RuleTestRun.lines(found))
    }

    private mutating func check(_ one: RuleTestFile.ExpressionCase) {
        let time = group.startMilliseconds + one.timeMilliseconds
        let what = "expr: \(one.expression), time: \(Durations.prometheus(milliseconds: one.timeMilliseconds))"
        let points: [SeriesPoint]
        do {
            points = try evaluator.evaluator.vector(one.expression, atMilliseconds: time)
        } catch {
            failures.append("\(place(one.line)): \(what)\n    \(error)")
            failed += 1
            return
        }
        let found = points.map { point in
            RuleTestFile.ExpectedSample(
                labels: point.labels, value: point.value, histogram: point.histogram.map(InputSeries.text))
        }.sorted { $0.labels < $1.labels }
        let expected = one.expected.sorted { $0.labels < $1.labels }
        let isEqual =
            found.count == expected.count && zip(found, expected).allSatisfy { self.isEqual($0, $1) }
        settle(
            isEqual: isEqual, line: one.line, what, expected: expected.map(RuleTestRun.line),
            found: found.map(RuleTestRun.line))
    }

    private mutating func settle(
        isEqual: Bool, line: Int, _ what: String, expected: [String], found: [String]
    ) {
        guard !isEqual else {
            passed += 1
            return
        }
        failed += 1
        func block(_ lines: [String]) -> String {
            lines.isEmpty ? " nothing" : "\n        " + lines.joined(separator: "\n        ")
        }
        failures.append("\(place(line)): \(what)\n    expected:\(block(expected))\n    got:\(block(found))")
    }

    private func place(_ line: Int) -> String {
        group.name.isEmpty ? "\(file.path):\(line)" : "\(file.path):\(line): test \(group.name)"
    }

    private func text(_ time: Int64) -> String { Durations.prometheus(milliseconds: time - group.startMilliseconds) }

    private func isEqual(_ left: RuleTestFile.ExpectedSample, _ right: RuleTestFile.ExpectedSample) -> Bool {
        guard left.labels == right.labels, left.histogram == right.histogram else { return false }
        if left.histogram != nil || left.value == right.value || (left.value.isNaN && right.value.isNaN) { return true }
        return file.isFuzzy && (left.value.nextUp == right.value || left.value.nextDown == right.value)
    }

    private static func sorted(_ alerts: [RuleTestFile.FiringAlert]) -> [RuleTestFile.FiringAlert] {
        alerts.sorted { $0.labels == $1.labels ? $0.annotations < $1.annotations : $0.labels < $1.labels }
    }

    private static func lines(_ alerts: [RuleTestFile.FiringAlert]) -> [String] {
        sorted(alerts).map { "\($0.labels) annotations \($0.annotations)" }
    }

    private static func line(_ sample: RuleTestFile.ExpectedSample) -> String {
        "\(sample.labels) \(sample.histogram ?? FloatText.plain(sample.value))"
    }
}
