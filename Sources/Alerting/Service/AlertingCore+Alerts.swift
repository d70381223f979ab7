internal import Telemetry

/// What an evaluation does to alerts, and what follows from it.
extension AlertingCore {
    /// The alerts of a rule that an evaluation must be told about: active ones, and those whose remedy is being
    /// verified.
    func watched(rule: String) -> [AlertInstance] {
        let verifying = Set(state.actions.values.filter { $0.state == .verifying }.map(\.alert))
        return state.alerts.values.filter {
            $0.rule == rule && ($0.state != .inactive || verifying.contains($0.key))
        }
    }

    /// Takes in the outcome of a rule; returns the alerts of the rule as they are now, and the error to show.
    mutating func apply(
        _ outcome: RuleOutcome, in group: RuleGroup, isWoken: Bool, now: Int64
    ) -> (alerts: [AlertInstance], error: String) {
        let identity = outcome.rule.identity
        guard case .alerts(let matches, let absences) = outcome.answer, case .alert(let settings) = outcome.rule.kind
        else {
            if case .failed(let reason) = outcome.answer { return (alerts(of: identity), reason) }
            return ([], "")
        }
        let time = outcome.evaluationTime
        let machine = AlertStateMachine(
            settings: AlertStateMachine.Settings(
                forMilliseconds: settings.forMilliseconds,
                keepFiringForMilliseconds: settings.keepFiringForMilliseconds, limit: group.limit),
            now: time, rule: identity)
        var instances: [Labels: AlertInstance] = [:]
        for instance in alerts(of: identity) { instances[instance.labels] = instance }
        let (changes, refused) = machine.evaluate(instances, matches: matches, isWoken: isWoken) { instance in
            if isRemoved(instance) { return .targetRemoved }
            return absences[instance.labels] ?? .noMatch
        }
        for change in changes { settle(change, now: now) }
        if isWoken { hasten(changes.map(\.instance), interval: configuration.interval(of: group), now: now) }
        observe(rule: identity, matches: Set(matches.keys), absences: absences, now: now)
        propose(alerts(of: identity), now: now)
        let error = refused == 0 ? "" : "exceeded limit of \(group.limit) with \(group.limit + refused) alerts"
        return (alerts(of: identity), error)
    }

    func alerts(of rule: String) -> [AlertInstance] {
        state.alerts.values.filter { $0.rule == rule }.sorted { $0.labels < $1.labels }
    }

    /// Records a change of an alert, and tells groups, remedies, audit log and event stream of it.
    mutating func settle(_ change: AlertStateMachine.Change, now: Int64) {
        let instance = change.instance
        switch change.transition {
        case nil:
            // Values and texts are taken from the next evaluation after a restart: no entry for them.
            refresh(instance)
            return
        case .forgotten:
            if !groups.owes(instance.key) { record(.alertForgotten(instance.key)) }
            return
        case .dropped:
            record(.alertForgotten(instance.key))
            return
        default: record(.alert(instance))
        }
        switch change.transition {
        case .firing:
            groups.insert(instance, now: now)
            tell("alert.firing", instance, now: now)
        case .resolved:
            groups.insert(instance, now: now)
            tell("alert.resolved", instance, now: now)
            for action in state.actions.values where action.alert == instance.key && !action.state.isEnd {
                advance(action, .alertEnded, remedy(action.remedy), now: now)
            }
        case .lostData: tell("alert.no_data", instance, now: now)
        case .regainedData: tell("alert.data_returned", instance, now: now)
        default: break
        }
    }

    private mutating func tell(_ kind: String, _ instance: AlertInstance, now: Int64) {
        let name = instance.labels["alertname"] ?? ""
        var fields = [
            "alertname": name, "labels": instance.labels.description, "fingerprint": instance.fingerprint.text,
            "value": FloatText.plain(instance.value),
        ]
        if let reason = instance.resolveReason { fields["resolve_reason"] = reason.rawValue }
        audit(kind, fields, now: now)
        fields["state"] = String(kind.dropFirst(6))
        fields["labels"] = nil
        let words = ["alert.firing": "fires", "alert.resolved": "is resolved", "alert.no_data": "has no data any more"]
        event(
            .alert, subject: instance.labels, details: fields,
            text: "alert \(name) \(words[kind] ?? "has data again")", now: now)
    }

    /// An event has confirmed alerts that a tick found a moment before: they do not wait either.
    private mutating func hasten(_ instances: [AlertInstance], interval: Int64, now: Int64) {
        for instance in instances where instance.state == .firing {
            if let firedAt = instance.firedAt, now - firedAt <= max(interval, 1000) {
                groups.hasten(instance, now: now)
            }
        }
    }

    // MARK: Removed targets

    /// A host said that a container was removed: what was about it ends with the next evaluation that does not match.
    mutating func targetRemoved(_ subject: Labels, now: Int64) {
        guard let target = RemedyTarget.container(subject) else { return }
        if removedTargets.count >= 10_000 { removedTargets.removeAll() }
        removedTargets[target] = now
    }

    private func isRemoved(_ instance: AlertInstance) -> Bool {
        guard let target = RemedyTarget.container(instance.labels), let at = removedTargets[target] else {
            return false
        }
        return at >= instance.activeAt
    }
}
