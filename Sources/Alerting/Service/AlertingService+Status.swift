internal import Query
internal import Synchronization
package import Telemetry

/// What the API, the CLI and the page show, as values taken at one moment.
extension AlertingService {
    /// All groups with their rules and alerts, in the order of the files.
    package func ruleGroups() -> [RuleGroupStatus] {
        guarded.withLock { guarded in
            guarded.core.configuration.groups.map { group in
                let status = guarded.groupStatuses[group.identity] ?? GroupEvaluationStatus()
                return RuleGroupStatus(
                    name: group.name, file: group.file,
                    intervalMilliseconds: guarded.core.configuration.interval(of: group), limit: group.limit,
                    rules: group.rules.map { AlertingService.status(of: $0, guarded, now) },
                    evaluationNanoseconds: status.evaluationNanoseconds,
                    lastEvaluationMilliseconds: status.lastEvaluationMilliseconds, missedIterations: status.missed)
            }
        }
    }

    private static func status(of rule: Rule, _ guarded: borrowing Guarded, _ now: Int64) -> RuleStatus {
        let status = guarded.statuses[rule.identity] ?? EvaluationStatus()
        let instances = guarded.core.alerts(of: rule.identity)
        var result = RuleStatus(
            kind: .recording, name: rule.name, query: rule.expression, forMilliseconds: 0,
            keepFiringForMilliseconds: 0, labels: texts(rule.labels), annotations: [:],
            state: instances.map(\.state).max() ?? .inactive,
            alerts: instances.filter { $0.state != .inactive }.map { AlertingService.status(of: $0, guarded, now) },
            health: status.health, lastError: status.lastError, evaluationNanoseconds: status.evaluationNanoseconds,
            lastEvaluationMilliseconds: status.lastEvaluationMilliseconds, matchCount: status.matchCount)
        if case .alert(let settings) = rule.kind {
            result.kind = .alerting
            result.forMilliseconds = settings.forMilliseconds
            result.keepFiringForMilliseconds = settings.keepFiringForMilliseconds
            result.annotations = texts(settings.annotations)
        }
        return result
    }

    private static func texts(_ named: [Rule.NamedTemplate]) -> [String: String] {
        Dictionary(named.map { ($0.name, $0.template.text) }) { _, last in last }
    }

    /// All pending and firing alerts, ordered by rule and labels.
    package func alerts() -> [AlertStatus] {
        guarded.withLock { guarded in
            guarded.core.sortedAlerts.filter { $0.state != .inactive }
                .map { AlertingService.status(of: $0, guarded, now) }
        }
    }

    private static func status(of alert: AlertInstance, _ guarded: borrowing Guarded, _ now: Int64) -> AlertStatus {
        let (silences, inhibitors) = guarded.core.mutes(alert.labels, now: now)
        let receivers = guarded.core.configuration.notify.route?.matches(alert.labels).map(\.receiver) ?? []
        return AlertStatus(
            fingerprint: alert.fingerprint.text, labels: alert.labels, annotations: alert.annotations,
            state: alert.state, activeAtMilliseconds: alert.activeAt, firedAtMilliseconds: alert.firedAt,
            resolvedAtMilliseconds: alert.resolvedAt, resolveReason: alert.resolveReason?.rawValue ?? "",
            keepFiringSinceMilliseconds: alert.keepFiringSince, value: alert.value,
            noDataSinceMilliseconds: alert.noDataSince, receivers: Set(receivers).sorted(), silencedBy: silences,
            inhibitedBy: inhibitors.map(\.text))
    }

    /// All silences that are kept, the newest first.
    package func silences() -> [Silence] {
        guarded.withLock { guarded in
            guarded.core.state.silences.values.sorted {
                ($0.updatedAtMilliseconds, $0.id) > ($1.updatedAtMilliseconds, $1.id)
            }
        }
    }

    /// Who was told, when, and what became of it: the newest first.
    package func deliveries() -> [DeliveryStatus] {
        let all = guarded.withLock { $0.core.state.deliveries.values }
        return all.reversed().map { delivery in
            let message = delivery.message
            return DeliveryStatus(
                idempotencyKey: message.idempotencyKey, receiver: message.lane.receiver,
                integration: message.lane.integration, groupKey: message.lane.groupKey, status: message.status,
                reason: message.reason, createdMilliseconds: message.createdAt, state: delivery.state,
                attempts: delivery.attempts.map {
                    DeliveryStatus.Attempt(milliseconds: $0.at, verdict: $0.outcome.rawValue, detail: $0.detail)
                },
                attemptsForgotten: delivery.attemptsForgotten, nextAttemptMilliseconds: delivery.nextAt,
                alerts: message.alerts)
        }
    }

    /// All remedies, in the order of the files.
    package func remedies() -> [RemedyStatus] {
        guarded.withLock { guarded in
            let actions = guarded.core.state.actions.values
            return guarded.core.configuration.remedies.map { remedy in
                let control = guarded.core.state.controls[remedy.name] ?? RemedyControl(remedy: remedy.name)
                var outcomes: [String: Int] = [:]
                for action in actions where action.remedy == remedy.name {
                    outcomes[action.state.rawValue, default: 0] += 1
                }
                return RemedyStatus(
                    name: remedy.name, file: remedy.file, mode: remedy.mode.rawValue,
                    match: remedy.match.map(\.description), actions: remedy.ladder.map(\.action),
                    isPaused: control.isPaused, pausedBy: control.pausedBy,
                    suspensions: control.suspensions.map {
                        RemedyStatus.Suspension(target: $0.target, reason: $0.reason, milliseconds: $0.at)
                    }, outcomes: outcomes)
            }
        }
    }

    /// Actions, the newest first.
    package func actions() -> [ActionStatus] {
        let all = guarded.withLock { $0.core.state.actions.values }
        return all.reversed().map { action in
            ActionStatus(
                id: action.id, remedy: action.remedy, action: action.action, target: action.target, node: action.node,
                mode: action.mode, rung: action.rung, state: action.state.rawValue, reason: action.reason,
                alertFingerprint: Fingerprint(action.alert.labels).text, alertLabels: action.alert.labels,
                evidencePath: action.evidencePath, evidenceHash: action.evidenceHash,
                createdMilliseconds: action.createdAt,
                history: action.history.map {
                    ActionStatus.Step(milliseconds: $0.at, state: $0.state.rawValue, text: $0.text)
                })
        }
    }

    /// Where the audit log ends.
    package var auditHead: AuditHead { auditLog.head }

    /// Whether alerting can record what it decides.
    package var health: StorageHealth {
        guarded.withLock { guarded in
            if let fault = guarded.journalFault { return .refusing("alerting journal: \(fault)") }
            if let fault = guarded.auditFault { return .refusing("audit log: \(fault)") }
            return .ready
        }
    }

    /// Alerting's own counters, for `/metrics`.
    package var metrics: [StoreMetric] {
        guarded.withLock { guarded in
            let core = guarded.core
            var metrics: [StoreMetric] = []
            for state in [AlertState.pending, .firing] {
                let count = core.state.alerts.values.count { $0.state == state }
                metrics.append(
                    StoreMetric(
                        "vedette_alerts", .gauge, Double(count), help: "Alerts by state.",
                        labels: Labels(["state": state.name])))
            }
            let lost = core.state.alerts.values.count { $0.state != .inactive && $0.noDataSince != nil }
            let open = core.state.deliveries.values.count { $0.isOpen }
            let dead = core.state.deliveries.values.count { $0.state == .dead }
            let missed = guarded.groupStatuses.values.reduce(0) { $0 + $1.missed }
            let iterations = guarded.groupStatuses.values.reduce(0) { $0 + $1.iterations }
            let failing = guarded.statuses.values.count { $0.health == .err }
            let acting = core.state.actions.values.count { !$0.state.isEnd && $0.state != .blocked }
            metrics += [
                StoreMetric(
                    "vedette_alerts_without_data", .gauge, Double(lost), help: "Alerts whose telemetry is missing."),
                StoreMetric(
                    "vedette_notifications_queued", .gauge, Double(open), help: "Messages that did not arrive yet."),
                StoreMetric(
                    "vedette_notifications_dead", .gauge, Double(dead), help: "Messages given up, as far as listed."),
                StoreMetric(
                    "vedette_rule_group_iterations_missed_total", .counter, Double(missed),
                    help: "Evaluations left out because the one before took too long."),
                StoreMetric(
                    "vedette_rule_group_iterations_total", .counter, Double(iterations),
                    help: "Evaluations of groups."),
                StoreMetric(
                    "vedette_rules_failing", .gauge, Double(failing), help: "Rules whose last evaluation failed."),
                StoreMetric("vedette_actions_running", .gauge, Double(acting), help: "Actions that are not finished."),
            ]
            return metrics
        }
    }
}
