internal import Telemetry
internal import Wire

/// What is done about alerts: proposals, decisions, commands, reports, verification.
extension AlertingCore {
    /// How long a blocked action waits before the guard-rails are asked again.
    static let reconsiderMilliseconds: Int64 = 5000
    /// Actions in a row that did not help before a remedy leaves a target alone.
    static let failuresMaximum = 3

    func remedy(_ name: String) -> Remedy? { configuration.remedies.first { $0.name == name } }

    // MARK: Proposals

    /// Proposes an action for every alert that fires and that a remedy matches, unless one is open or was decided
    /// already for this firing.
    mutating func propose(_ alerts: [AlertInstance], now: Int64) {
        // Every proposal is a record, and so is everything that follows from it. The alert is looked at again later.
        guard auditBacklog == nil else { return }
        for remedy in configuration.remedies where remedy.mode != .off {
            for alert in alerts where alert.state == .firing && remedy.matches(alert.labels) {
                propose(remedy, alert, rung: 0, now: now)
            }
        }
    }

    private mutating func propose(_ remedy: Remedy, _ alert: AlertInstance, rung: Int, now: Int64) {
        guard rung < remedy.ladder.count, let action = Remedies.named(remedy.ladder[rung].action) else { return }
        let firedAt = alert.firedAt ?? alert.activeAt
        let earlier = state.actions.values.filter { $0.remedy == remedy.name && $0.alert == alert.key }
        if earlier.contains(where: { !$0.state.isEnd }) { return }
        if let last = earlier.last(where: { $0.alertFiredAt == firedAt }) {
            // Once per firing where nothing would change; after a failure the cooldown says when it is tried again.
            switch last.state {
            case .shadowed, .verified, .cancelled: return
            case .notVerified where rung == 0 && last.rung + 1 < remedy.ladder.count && remedy.onFailure == .next:
                return
            default: break
            }
        }
        let isTargetKnown = action.target(alert.labels) != nil
        let target = action.target(alert.labels) ?? ""
        let reason = isTargetKnown ? "proposed" : "the alert's labels name no immutable id of a target"
        let record = ActionRecord(
            id: nextIdentifier(), remedy: remedy.name, rung: rung, action: action.name,
            arguments: remedy.ladder[rung].arguments, target: target, node: alert.labels["node"] ?? "",
            service: AlertingCore.service(alert.labels), mode: remedy.mode.rawValue, alert: alert.key,
            alertFiredAt: firedAt, state: isTargetKnown ? .blocked : .cancelled, reason: reason, createdAt: now,
            commandedAt: nil, expiresAt: nil, evidencePath: "", evidenceHash: "", approvedBy: "", doneAt: nil,
            quietSince: nil, auditSequence: 0,
            history: [ActionRecord.Step(at: now, state: isTargetKnown ? .blocked : .cancelled, text: reason)])
        store(record, now: now)
    }

    /// What a budget per service counts by.
    private static func service(_ labels: Labels) -> String {
        for name in ["service", "app", "container", "name"] {
            if let value = labels[name] { return value }
        }
        return ""
    }

    /// Actions that the guard-rails are to be asked about now.
    mutating func takeUndecided(now: Int64) -> [ActionRecord] {
        let undecided = state.actions.values.filter { action in
            guard action.state == .blocked else { return false }
            guard let decidedAt = decidedAt[action.id] else { return true }
            return abs(now - decidedAt) >= AlertingCore.reconsiderMilliseconds
        }
        for action in undecided { decidedAt[action.id] = now }
        return undecided
    }

    /// What the guard-rails need to know of the rules' side; the service adds what has to be asked for.
    func facts(for record: ActionRecord, now: Int64) -> RemedyGuards.Facts {
        let unhealthy = state.alerts.values.filter {
            $0.state == .firing && remedy(record.remedy)?.matches($0.labels) == true
        }
        let targets = Set(unhealthy.compactMap { RemedyTarget.container($0.labels) })
        return RemedyGuards.Facts(
            now: now, actions: state.actions.values, control: state.controls[record.remedy], recordingFault: nil,
            agent: nil, agentHeardAt: nil, population: 0, unhealthy: targets.count, contraindication: nil)
    }

    /// Asks the guard-rails about an action.
    mutating func decide(_ id: String, _ facts: RemedyGuards.Facts, now: Int64) {
        guard let record = state.actions[id], let remedy = remedy(record.remedy) else { return }
        let guards = RemedyGuards(remedy: remedy, facts: facts)
        let obstacle = guards.obstacle(record, alert: state.alerts[record.alert])
        if obstacle == nil { decidedAt[id] = nil }
        advance(record, .decided(obstacle: obstacle), remedy, now: now)
    }

    // MARK: Moving on

    /// Moves an action on, and records what follows.
    mutating func advance(_ record: ActionRecord, _ input: RemedyStateMachine.Input, _ remedy: Remedy?, now: Int64) {
        // An action whose remedy was removed while it ran is brought to its end by what the record says.
        guard let remedy = remedy ?? AlertingCore.remainder(of: record, input) else { return }
        guard let next = RemedyStateMachine(remedy: remedy, now: now).step(record, input) else { return }
        store(next, now: now)
        guard next.state != record.state else { return }
        switch next.state {
        case .notVerified: failed(next, remedy, escalates: remedy.onFailure == .next, now: now)
        case .failed, .timedOut, .refused:
            let done = state.actions.values.filter {
                $0.remedy == next.remedy && $0.target == next.target && $0.commandedAt != nil && $0.state.isEnd
            }
            let inARow = done.reversed().prefix { $0.state != .verified }.count
            if inARow >= AlertingCore.failuresMaximum { failed(next, remedy, escalates: false, now: now) }
        default: break
        }
    }

    private mutating func failed(_ record: ActionRecord, _ remedy: Remedy, escalates: Bool, now: Int64) {
        if escalates, record.rung + 1 < remedy.ladder.count, let alert = state.alerts[record.alert],
            alert.state == .firing
        {
            propose(remedy, alert, rung: record.rung + 1, now: now)
            return
        }
        var control = state.controls[remedy.name] ?? RemedyControl(remedy: remedy.name)
        guard !control.suspensions.contains(where: { $0.target == record.target }) else { return }
        control.suspensions.append(
            RemedyControl.Suspension(target: record.target, reason: record.reason, at: now))
        if control.suspensions.count > 1000 { control.suspensions.removeFirst() }
        self.record(.remedyControl(control))
        let fields = ["remedy": remedy.name, "target": record.target, "reason": record.reason]
        audit("remedy.suspended", fields, now: now)
        event(
            .action, subject: record.alert.labels, details: fields,
            text: "remedy \(remedy.name) leaves \(record.target) alone: \(record.reason)", now: now)
    }

    /// A remedy that is no longer configured, as far as ending an action needs it.
    private static func remainder(of record: ActionRecord, _ input: RemedyStateMachine.Input) -> Remedy? {
        Remedy(
            name: record.remedy, file: "", match: [], mode: .off,
            ladder: [Remedy.Rung(action: record.action, arguments: record.arguments)], cooldownMilliseconds: 0,
            backoffFactor: 1, backoffMaximumMilliseconds: 0, budgets: [], unhealthyShareMaximum: nil,
            populationMinimum: 1, contraindications: [], blackouts: [], evidenceLines: 0,
            evidenceWindowMilliseconds: 0, verifyForMilliseconds: 0, verifyWithinMilliseconds: 300_000,
            onFailure: .suspend, approvalMilliseconds: 0, line: 0)
    }

    /// Records an action as it is now. A change of state goes into the audit log and the event stream, and the command
    /// may go out only after both the journal and the audit log have it.
    private mutating func store(_ record: ActionRecord, now: Int64) {
        var record = record
        let before = state.actions[record.id]
        // That another guard-rail forbids it now is worth a record, but not one that cannot be written.
        let isWaiting = before?.state == .blocked && record.state == .blocked
        if before?.state != record.state || (before?.reason != record.reason && !(isWaiting && auditBacklog != nil)) {
            record.auditSequence = audit("action.\(record.state.rawValue)", AlertingCore.fields(record), now: now)
            event(
                .action, subject: record.alert.labels, details: AlertingCore.fields(record),
                text: "\(record.action) of \(record.target.prefix(12)): \(record.reason)", now: now)
        }
        self.record(.action(record))
        if record.state.isEnd { decidedAt[record.id] = nil }
    }

    private static func fields(_ record: ActionRecord) -> [String: String] {
        var fields = [
            "action_id": record.id, "remedy": record.remedy, "action": record.action, "target": record.target,
            "node": record.node, "mode": record.mode, "state": record.state.rawValue, "reason": record.reason,
            "alert": record.alert.labels.description,
        ]
        if !record.evidenceHash.isEmpty {
            fields["evidence"] = record.evidencePath
            fields["evidence_sha256"] = record.evidenceHash
        }
        if !record.approvedBy.isEmpty { fields["approved_by"] = record.approvedBy }
        return fields
    }

    // MARK: Observation and time

    /// Tells the actions of a rule that are being verified what its expression said.
    mutating func observe(
        rule: String, matches: Set<Labels>, absences: [Labels: AlertStateMachine.Absence], now: Int64
    ) {
        for action in state.actions.values where action.state == .verifying && action.alert.rule == rule {
            let labels = action.alert.labels
            let observation: RemedyStateMachine.Observation =
                matches.contains(labels) ? .matches : absences[labels] == .noMatch ? .matchesNot : .noData
            advance(action, .observed(observation), remedy(action.remedy), now: now)
        }
    }

    /// Lets time pass for all actions.
    mutating func tickActions(now: Int64) {
        for action in state.actions.values where !action.state.isEnd {
            advance(action, .timePassed, remedy(action.remedy), now: now)
        }
    }

    /// The groups whose expression is watched closely, because an action is being verified.
    var closelyWatchedGroups: Set<String> {
        var result: Set<String> = []
        for action in state.actions.values where action.state == .verifying {
            if let group = rule(action.alert.rule)?.group { result.insert(group.identity) }
        }
        return result
    }

    // MARK: Evidence, commands and reports

    /// Actions whose evidence is to be frozen, with the alert and the remedy it is about.
    var awaitingEvidence: [(record: ActionRecord, remedy: Remedy, alert: AlertInstance)] {
        state.actions.values.compactMap { action in
            guard action.state == .freezing, isDurable(action.id), let remedy = remedy(action.remedy),
                let alert = state.alerts[action.alert]
            else { return nil }
            return (action, remedy, alert)
        }
    }

    /// The evidence of an action is durable.
    mutating func evidenceFrozen(_ id: String, path: String, hash: String, now: Int64) {
        guard let record = state.actions[id] else { return }
        advance(record, .evidenceFrozen(path: path, hash: hash), remedy(record.remedy), now: now)
    }

    /// The commands that the agent of `nodes` may have now: recorded durably in journal and audit log, not expired.
    func commands(where isOwn: (_ node: String) -> Bool, now: Int64) -> [AgentCommand] {
        commanded.sorted().compactMap { id in
            guard let action = state.actions[id], action.state == .commanded, isDurable(action.id),
                let expiresAt = action.expiresAt, expiresAt > now,
                action.auditSequence <= state.auditHead.sequence, isOwn(action.node)
            else { return nil }
            return AgentCommand(
                id: action.commandID, action: action.action, target: action.target, arguments: action.arguments,
                expiresNanoseconds: expiresAt * 1_000_000,
                justification: Labels([
                    "alertname": action.alert.labels["alertname"] ?? "", "remedy": action.remedy, "mode": action.mode,
                    "rule": action.alert.rule, "evidence_sha256": action.evidenceHash,
                    "approved_by": action.approvedBy,
                ]))
        }
    }

    /// The nodes of actions whose agent may fetch a command.
    var commandedNodes: Set<String> { Set(commanded.compactMap { state.actions[$0]?.node }) }

    /// The node whose agent is to report on an action; nil when nothing is expected of it.
    func nodeAwaiting(_ action: String) -> String? {
        guard let record = state.actions[action], [.commanded, .started].contains(record.state) else { return nil }
        return record.node
    }

    /// Takes in what an agent did. A report about what another agent was asked, or about nothing, changes nothing but
    /// the audit log.
    mutating func report(
        _ report: CommandReport, from agent: String, where isOwn: (_ node: String) -> Bool, now: Int64
    ) {
        guard let record = state.actions[report.id], isOwn(record.node) else {
            // Anybody may send these without end; nothing was done.
            guard auditBacklog == nil else { return }
            let fields = [
                "action_id": report.id, "agent": agent, "outcome": report.outcome.rawValue, "reason": report.reason,
            ]
            audit("report.unexpected", fields, now: now)
            return
        }
        advance(record, .reported(report), remedy(record.remedy), now: now)
    }

    // MARK: Requests of people

    /// Lets an action go on that waits for approval.
    mutating func approve(_ id: String, by person: String, now: Int64) throws(AlertingRequestError) {
        guard let record = state.actions[id] else { throw AlertingRequestError("no action has the id \(id)") }
        if let auditBacklog { throw AlertingRequestError(auditBacklog) }
        guard record.state == .awaitingApproval, !person.isEmpty else {
            throw AlertingRequestError("the action \(id) does not wait for approval: it is \(record.state.rawValue)")
        }
        advance(record, .approved(by: person), remedy(record.remedy), now: now)
        decidedAt[id] = nil
    }

    /// Stops a remedy from acting, or lets it act again; the latter also ends its suspensions.
    mutating func pause(_ name: String, isPaused: Bool, by person: String, now: Int64) throws(AlertingRequestError) {
        guard remedy(name) != nil else { throw AlertingRequestError("no remedy has the name \(name)") }
        // A pause is obeyed whatever the audit log does; to act again can wait.
        if !isPaused, let auditBacklog { throw AlertingRequestError(auditBacklog) }
        var control = RemedyControl(remedy: name)
        if isPaused {
            control.pausedBy = person.isEmpty ? "somebody" : person
            control.suspensions = state.controls[name]?.suspensions ?? []
        }
        record(.remedyControl(control))
        let kind = isPaused ? "remedy.paused" : "remedy.resumed"
        audit(kind, ["remedy": name, "by": person], now: now)
        event(
            .action, subject: .empty, details: ["remedy": name, "by": person], text: "\(kind) by \(person)", now: now)
    }
}
