internal import Query
internal import Telemetry

/// What one evaluation of a rule gave, before it changes any state.
struct RuleOutcome: Sendable {
    /// What kind of rule it was, and its answer.
    enum Answer: Sendable {
        case alerts(matches: [Labels: AlertStateMachine.Match], absences: [Labels: AlertStateMachine.Absence])
        case series([SeriesPoint])
        /// Nothing is known; every alert stays as it is.
        case failed(String)
    }

    var rule: Rule
    var answer: Answer
    /// The time the evaluation stands for.
    var evaluationTime: Int64
    var durationNanoseconds: Int64
}

/// Evaluates one rule over the stores: blocking, without state of its own. Used on evaluation threads.
struct RuleEvaluator: Sendable {
    let evaluator: any ExpressionEvaluating
    let clock: any MonotonicClock
    /// The labels of this installation, for templates.
    let externalLabels: [String: String]
    let externalURL: String

    /// Evaluates `rule`; `active` are its alerts that are pending or firing, about which absence must be told.
    func evaluate(
        _ rule: Rule, in group: RuleGroup, at time: Int64, active: [AlertInstance]
    ) -> RuleOutcome {
        let start = clock.nowNanoseconds
        let queryTime = time - group.queryOffsetMilliseconds
        var answer: RuleOutcome.Answer
        do {
            let points = try evaluator.vector(rule.expression, atMilliseconds: queryTime)
            switch rule.kind {
            case .record: answer = .series(try recorded(rule, points, limit: group.limit))
            case .alert(let settings):
                let matches = try matches(rule, settings, points, time)
                answer = .alerts(
                    matches: matches,
                    absences: try absences(rule, active.filter { matches[$0.labels] == nil }, queryTime))
            }
        } catch {
            answer = .failed("\(error)")
        }
        return RuleOutcome(
            rule: rule, answer: answer, evaluationTime: time, durationNanoseconds: clock.nowNanoseconds - start)
    }

    private func recorded(_ rule: Rule, _ points: [SeriesPoint], limit: Int) throws -> [SeriesPoint] {
        var seen: Set<Labels> = []
        var result: [SeriesPoint] = []
        for var point in points {
            var pairs = point.labels.dropping([Labels.metricNameLabel]).pairs
            pairs.append((Labels.metricNameLabel, rule.name))
            for label in rule.labels { pairs.append((label.name, label.template.text)) }
            point.labels = Labels(pairs)
            guard seen.insert(point.labels).inserted else {
                throw QueryError(
                    .execution, "vector contains metrics with the same labelset after applying rule labels")
            }
            result.append(point)
        }
        if limit > 0, result.count > limit {
            throw QueryError(.execution, "exceeded limit of \(limit) with \(result.count) series")
        }
        return result
    }

    private func matches(
        _ rule: Rule, _ settings: Rule.AlertSettings, _ points: [SeriesPoint], _ time: Int64
    ) throws -> [Labels: AlertStateMachine.Match] {
        var result: [Labels: AlertStateMachine.Match] = [:]
        for point in points {
            let series = point.labels.dropping([Labels.metricNameLabel])
            let map = Dictionary(point.labels.pairs.map { ($0.name, $0.value) }) { _, last in last }
            let value = point.histogram?.sum ?? point.value
            let data = TemplateData(
                labels: map, value: value, externalLabels: externalLabels, externalURL: externalURL, milliseconds: time)
            var pairs = series.pairs
            for label in rule.labels { pairs.append((label.name, expand(label, data))) }
            pairs.append(("alertname", rule.name))
            let labels = Labels(pairs)
            var annotations: [String: String] = [:]
            for annotation in settings.annotations { annotations[annotation.name] = expand(annotation, data) }
            let match = AlertStateMachine.Match(
                labels: labels, seriesLabels: series, annotations: annotations, value: value)
            guard result.updateValue(match, forKey: labels) == nil else {
                throw QueryError(
                    .execution, "vector contains metrics with the same labelset after applying alert labels")
            }
        }
        return result
    }

    /// A template that fails says so in its place, as in Prometheus: the alert must not be lost for a text.
    private func expand(_ named: Rule.NamedTemplate, _ data: TemplateData) -> String {
        do throws(TemplateError) {
            return try named.template.expand(data) { expression, time in
                try evaluator.vector(expression, atMilliseconds: time).map { point in
                    (Dictionary(point.labels.pairs.map { ($0.name, $0.value) }) { _, last in last }, point.value)
                }
            }
        } catch {
            return "<error expanding template: \(error.description)>"
        }
    }

    private func absences(
        _ rule: Rule, _ missing: [AlertInstance], _ time: Int64
    ) throws -> [Labels: AlertStateMachine.Absence] {
        guard !missing.isEmpty else { return [:] }
        let presence = DataPresence(evaluator: evaluator, selectors: try evaluator.selectors(in: rule.expression))
        var result: [Labels: AlertStateMachine.Absence] = [:]
        for instance in missing {
            let hasData = try presence.hasData(
                activeAt: instance.activeAt, lastMatchAt: instance.lastMatchAt, seriesLabels: instance.seriesLabels,
                now: time)
            result[instance.labels] = hasData ? .noMatch : .noData
        }
        return result
    }
}
