internal import Telemetry

/// The guard-rails: asked before every action, and again after an approval. Pure; the facts are gathered beforehand.
struct RemedyGuards {
    /// What the guard-rails look at.
    struct Facts: Sendable {
        var now: Int64
        /// Actions of all remedies, ended or not, newest last.
        var actions: [ActionRecord]
        var control: RemedyControl?
        /// Whether the journal and the audit log take records: what cannot be audited is not done.
        var recordingFault: String?
        /// The agent of the target's node; nil when none is known.
        var agent: String?
        /// When the agent was last heard from.
        var agentHeardAt: Int64?
        /// Distinct targets that the alert's expression looks at, and those of them for which it fires.
        var population: Int
        var unhealthy: Int
        /// What contraindications answered: the first that forbids, in words.
        var contraindication: String?
    }

    /// An agent that was silent for longer is not commanded: what it last said may no longer be so.
    static let agentSilenceMaximumMilliseconds: Int64 = 30_000

    let remedy: Remedy
    let facts: Facts

    /// Why the action must not be done now; nil when nothing forbids it.
    func obstacle(_ record: ActionRecord, alert: AlertInstance?) -> String? {
        standing(record, alert) ?? observer(record) ?? pacing(record) ?? budget(record) ?? breaker()
            ?? facts.contraindication
    }

    private func standing(_ record: ActionRecord, _ alert: AlertInstance?) -> String? {
        if let fault = facts.recordingFault { return "nothing is done that cannot be recorded: \(fault)" }
        guard let alert, alert.state == .firing else { return "the alert does not fire" }
        if alert.noDataSince != nil { return "the alert has no data: what is not seen is not touched" }
        if facts.control?.isPaused == true { return "the remedy is paused by \(facts.control?.pausedBy ?? "")" }
        if let suspension = facts.control?.suspensions.first(where: { $0.target == record.target }) {
            let remedy = remedy.name
            return "suspended for this target: \(suspension.reason); once that is put right: "
                + "vedette remedies pause \(remedy) --resume"
        }
        if let window = remedy.blackouts.first(where: { $0.contains(facts.now) }) {
            return "blackout from \(window.text)"
        }
        let isBusy = facts.actions.contains {
            $0.id != record.id && $0.target == record.target && !$0.state.isEnd && $0.state.countsAsDone
        }
        return isBusy ? "another action on this target is not finished" : nil
    }

    private func observer(_ record: ActionRecord) -> String? {
        guard let agent = facts.agent else { return "no agent is known for node \"\(record.node)\"" }
        guard let heardAt = facts.agentHeardAt else { return "agent \(agent) was not heard from" }
        let silence = facts.now - heardAt
        guard silence > RemedyGuards.agentSilenceMaximumMilliseconds else { return nil }
        return "agent \(agent) is silent: the observer may be what is broken"
    }

    private func pacing(_ record: ActionRecord) -> String? {
        // The next step of a ladder follows at once: it is taken because the one before did not help.
        if record.rung > 0 { return nil }
        let done = facts.actions.filter {
            $0.id != record.id && $0.remedy == record.remedy && $0.target == record.target && $0.state.countsAsDone
        }
        guard let last = done.compactMap(\.commandedAt).max() else { return nil }
        let inARow = done.reversed().prefix { $0.state != .verified }.count
        let factor = (0..<min(inARow, 64)).reduce(1.0) { product, _ in product * remedy.backoffFactor }
        let grown = Double(remedy.cooldownMilliseconds) * factor
        let longest = Double(max(remedy.backoffMaximumMilliseconds, remedy.cooldownMilliseconds))
        let wait = Int64(min(grown, longest))
        guard facts.now - last < wait else { return nil }
        let text = Durations.prometheus(milliseconds: wait)
        return inARow > 0 ? "cooldown of \(text) after \(inARow) actions that did not help" : "cooldown of \(text)"
    }

    private func budget(_ record: ActionRecord) -> String? {
        for budget in remedy.budgets {
            let count = facts.actions.count { other in
                guard other.id != record.id, other.state.countsAsDone, let at = other.commandedAt,
                    facts.now - at < budget.windowMilliseconds
                else { return false }
                switch budget.scope {
                case .rule: return other.remedy == record.remedy
                case .service: return other.service == record.service
                case .cluster: return true
                }
            }
            guard count >= budget.count else { continue }
            let window = Durations.prometheus(milliseconds: budget.windowMilliseconds)
            return "budget of \(budget.scope.rawValue) is used up: \(count) of \(budget.count) in \(window)"
        }
        return nil
    }

    private func breaker() -> String? {
        guard let maximum = remedy.unhealthyShareMaximum, facts.population >= remedy.populationMinimum else {
            return nil
        }
        let share = Double(facts.unhealthy) / Double(facts.population)
        guard share > maximum else { return nil }
        return "\(facts.unhealthy) of \(facts.population) are unhealthy at once: this is no matter for single actions"
    }
}
