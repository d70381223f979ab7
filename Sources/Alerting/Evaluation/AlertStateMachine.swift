internal import Telemetry

/// Decides what one evaluation does to the alerts of one rule. Pure: alerts and answers in, changed alerts out.
///
/// Source: `AlertingRule.Eval` of Prometheus (rules/alerting.go) for `for`, `keep_firing_for`, the limit and the
/// retention of resolved alerts; the third answer, no data, is ours: an alert without data stays as it is.
struct AlertStateMachine {
    /// What a rule sets, and what is set for all.
    struct Settings: Sendable {
        var forMilliseconds: Int64 = 0
        var keepFiringForMilliseconds: Int64 = 0
        /// The most alerts, 0 for no limit.
        var limit = 0
        /// How long a resolved alert is remembered; Prometheus' 15 minutes.
        var resolvedRetentionMilliseconds: Int64 = 900_000
        /// How long an alert is held without data before it ends as `no_data_expired`.
        var noDataMaximumMilliseconds: Int64 = 86_400_000
    }

    /// An element of the expression's answer, its labels and annotations already expanded.
    struct Match: Sendable {
        var labels: Labels
        var seriesLabels: Labels
        var annotations: [String: String]
        var value: Double
    }

    /// What an expression that does not match for an alert says about it.
    enum Absence: Sendable, Equatable {
        /// The telemetry is there: the condition has ended.
        case noMatch
        /// The telemetry is not there: nothing is known.
        case noData
        /// What the alert is about was removed.
        case targetRemoved
    }

    /// What happened to an alert.
    enum Transition: Sendable, Equatable {
        case pending
        case firing
        case resolved
        /// Pending, and the condition has ended: nobody is told.
        case dropped
        case lostData
        case regainedData
        case keptFiring
        /// Matches again while `keep_firing_for` held it.
        case matchedAgain
        /// A resolved alert that is remembered no longer.
        case forgotten
    }

    /// An alert and what happened to it; `transition` is nil where only its value or annotations changed.
    struct Change: Sendable {
        var instance: AlertInstance
        var transition: Transition?
    }

    let settings: Settings
    /// The time of the evaluation.
    let now: Int64
    let rule: String

    /// The changes of one evaluation. `woken` marks alerts that fire as urgent. `absence` is asked for active alerts
    /// that are not among the matches. When more match than the limit allows, alerts that are there go on, and
    /// `refused` counts the new ones that are not taken.
    func evaluate(
        _ instances: [Labels: AlertInstance], matches: [Labels: Match], isWoken: Bool,
        absence: (AlertInstance) -> Absence
    ) -> (changes: [Change], refused: Int) {
        var changes: [Change] = []
        var refused = 0
        var active = instances.values.count { $0.state != .inactive }
        for labels in matches.keys.sorted() {
            guard let match = matches[labels] else { continue }
            if let instance = instances[labels], instance.state != .inactive {
                changes.append(advanced(instance, match, isWoken))
            } else if settings.limit > 0, active >= settings.limit {
                refused += 1
            } else {
                active += 1
                changes.append(begun(match, isWoken))
            }
        }
        for labels in instances.keys.sorted() where matches[labels] == nil {
            guard let instance = instances[labels] else { continue }
            if instance.state == .inactive {
                if let resolvedAt = instance.resolvedAt, now - resolvedAt > settings.resolvedRetentionMilliseconds {
                    changes.append(Change(instance: instance, transition: .forgotten))
                }
            } else if let change = ended(instance, absence(instance)) {
                changes.append(change)
            }
        }
        return (changes, refused)
    }

    private func begun(_ match: Match, _ isWoken: Bool) -> Change {
        let fires = settings.forMilliseconds <= 0
        let instance = AlertInstance(
            rule: rule, labels: match.labels, seriesLabels: match.seriesLabels, annotations: match.annotations,
            state: fires ? .firing : .pending, activeAt: now, firedAt: fires ? now : nil, resolvedAt: nil,
            resolveReason: nil, keepFiringSince: nil, lastMatchAt: now, value: match.value, noDataSince: nil,
            isUrgent: isWoken)
        return Change(instance: instance, transition: fires ? .firing : .pending)
    }

    private func advanced(_ before: AlertInstance, _ match: Match, _ isWoken: Bool) -> Change {
        var instance = before
        instance.annotations = match.annotations
        instance.seriesLabels = match.seriesLabels
        instance.value = match.value
        instance.lastMatchAt = now
        instance.isUrgent = before.isUrgent || isWoken
        var transition: Transition?
        if before.keepFiringSince != nil {
            instance.keepFiringSince = nil
            transition = .matchedAgain
        }
        if before.noDataSince != nil {
            instance.noDataSince = nil
            transition = .regainedData
        }
        if before.state == .pending, now - before.activeAt >= settings.forMilliseconds {
            instance.state = .firing
            instance.firedAt = now
            transition = .firing
        }
        return Change(instance: instance, transition: transition)
    }

    /// What becomes of an active alert that the expression does not match; nil when nothing.
    private func ended(_ before: AlertInstance, _ absence: Absence) -> Change? {
        var instance = before
        switch absence {
        case .noData:
            if let since = before.noDataSince {
                guard now - since > settings.noDataMaximumMilliseconds else { return nil }
                return resolved(before, .noDataExpired)
            }
            instance.noDataSince = now
            return Change(instance: instance, transition: .lostData)
        case .targetRemoved: return resolved(before, .targetRemoved)
        case .noMatch:
            instance.noDataSince = nil
            guard before.state == .firing, settings.keepFiringForMilliseconds > 0 else {
                return resolved(instance, .recovered)
            }
            let since = before.keepFiringSince ?? now
            guard now - since < settings.keepFiringForMilliseconds else { return resolved(instance, .recovered) }
            instance.keepFiringSince = since
            if before.keepFiringSince == nil { return Change(instance: instance, transition: .keptFiring) }
            return before.noDataSince == nil ? nil : Change(instance: instance, transition: .regainedData)
        }
    }

    private func resolved(_ before: AlertInstance, _ reason: AlertInstance.ResolveReason) -> Change {
        AlertStateMachine.resolved(before, reason, at: now)
    }

    /// Ends an alert: a firing one resolves, a pending one is dropped in silence.
    static func resolved(_ before: AlertInstance, _ reason: AlertInstance.ResolveReason, at now: Int64) -> Change {
        var instance = before
        if before.state == .pending { return Change(instance: instance, transition: .dropped) }
        instance.state = .inactive
        instance.resolvedAt = now
        instance.resolveReason = reason
        instance.keepFiringSince = nil
        instance.noDataSince = nil
        return Change(instance: instance, transition: .resolved)
    }
}
