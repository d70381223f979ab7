internal import Telemetry
internal import Wire

/// Moves an action from state to state. Pure: what happened goes in, the changed record comes out; a thin shell freezes
/// evidence, writes the journal and hands out commands.
///
/// proposed → blocked | shadowed | awaiting approval | freezing → commanded → started → verifying → verified | not
/// verified, with failed, refused, timed out and cancelled as other ends.
struct RemedyStateMachine {
    /// How long an agent has to fetch a command and begin.
    static let commandLifetimeMilliseconds: Int64 = 60_000

    /// What happened.
    enum Input: Sendable {
        /// The guard-rails were asked: nil when nothing forbids the action.
        case decided(obstacle: String?)
        case approved(by: String)
        case evidenceFrozen(path: String, hash: String)
        case reported(CommandReport)
        /// What the alert's expression said at an evaluation.
        case observed(Observation)
        /// The alert is over.
        case alertEnded
        /// The remedy was removed, turned off or paused.
        case withdrawn(reason: String)
        case timePassed
    }

    /// What the expression of an alert says about it.
    enum Observation: Sendable, Equatable {
        case matches
        case matchesNot
        case noData
    }

    let remedy: Remedy
    let now: Int64

    /// The record after `input`; nil where it changes nothing.
    func step(_ record: ActionRecord, _ input: Input) -> ActionRecord? {
        switch input {
        case .decided(let obstacle): decided(record, obstacle)
        case .approved(let person): approved(record, by: person)
        case .evidenceFrozen(let path, let hash): commanded(record, path, hash)
        case .reported(let report): reported(record, report)
        case .observed(let observation): observed(record, observation)
        case .alertEnded: alertEnded(record)
        case .withdrawn(let reason): withdrawn(record, reason)
        case .timePassed: timePassed(record)
        }
    }

    private func decided(_ record: ActionRecord, _ obstacle: String?) -> ActionRecord? {
        guard record.state == .blocked || record.state == .freezing, record.evidenceHash.isEmpty else { return nil }
        if let obstacle {
            return record.state == .blocked && record.reason == obstacle ? nil : moved(record, .blocked, obstacle)
        }
        // An action that a person has approved needs no second approval when an obstacle goes away.
        if !record.approvedBy.isEmpty { return moved(record, .freezing, "approved, the evidence is being frozen") }
        switch remedy.mode {
        case .off: return moved(record, .cancelled, "the remedy is off")
        case .shadow: return moved(record, .shadowed, "would have been done: the remedy is in shadow mode")
        case .approve: return moved(record, .awaitingApproval, "waits for approval")
        case .auto: return moved(record, .freezing, "nothing forbids it, the evidence is being frozen")
        }
    }

    private func approved(_ record: ActionRecord, by person: String) -> ActionRecord? {
        guard record.state == .awaitingApproval else { return nil }
        var next = record
        next.approvedBy = person
        // The guard-rails are asked again: approval may come an hour after the proposal.
        return moved(next, .blocked, "approved by \(person), the guard-rails are asked again")
    }

    private func commanded(_ record: ActionRecord, _ path: String, _ hash: String) -> ActionRecord? {
        guard record.state == .freezing else { return nil }
        var next = record
        next.evidencePath = path
        next.evidenceHash = hash
        next.commandedAt = now
        next.expiresAt = now + RemedyStateMachine.commandLifetimeMilliseconds
        return moved(next, .commanded, "waits for the agent; evidence \(path)")
    }

    private func reported(_ record: ActionRecord, _ report: CommandReport) -> ActionRecord? {
        guard [.commanded, .started].contains(record.state) else { return nil }
        // Agents of before said these two words, which tell nothing.
        let isSaid = !["", "allowed", "done"].contains(report.reason)
        let said = isSaid ? ": \(report.reason)" : ""
        switch report.outcome {
        case .started:
            let text = "the agent on its host allows \(record.action) and has begun\(said)"
            return record.state == .commanded ? moved(record, .started, text) : nil
        case .done:
            var next = record
            next.doneAt = now
            let within = Durations.prometheus(milliseconds: remedy.verifyWithinMilliseconds)
            return moved(
                next, .verifying,
                "\(record.action) was carried out\(said); watching for up to \(within) whether the alert's expression "
                    + "stops matching")
        case .failed: return moved(record, .failed, "\(record.action) failed\(said)")
        case .refused: return moved(record, .refused, "the agent refused \(record.action)\(said)")
        }
    }

    private func observed(_ record: ActionRecord, _ observation: Observation) -> ActionRecord? {
        guard record.state == .verifying, let doneAt = record.doneAt else { return nil }
        switch observation {
        case .matchesNot:
            let since = record.quietSince ?? now
            if now - since >= remedy.verifyForMilliseconds {
                var next = record
                next.quietSince = since
                let seconds = FloatText.plain(Double(now - doneAt) / 1000)
                return moved(next, .verified, "the alert's expression no longer matches, \(seconds) s after the action")
            }
            guard record.quietSince == nil else { return timePassed(record) }
            var next = record
            next.quietSince = since
            return next
        case .matches, .noData:
            guard record.quietSince != nil else { return timePassed(record) }
            var next = record
            next.quietSince = nil
            return timePassed(next) ?? next
        }
    }

    private func alertEnded(_ record: ActionRecord) -> ActionRecord? {
        switch record.state {
        case .blocked, .awaitingApproval, .freezing:
            return moved(record, .cancelled, "the alert ended before anything was done")
        default: return nil
        }
    }

    private func withdrawn(_ record: ActionRecord, _ reason: String) -> ActionRecord? {
        switch record.state {
        case .blocked, .awaitingApproval, .freezing: return moved(record, .cancelled, reason)
        default: return nil
        }
    }

    private func timePassed(_ record: ActionRecord) -> ActionRecord? {
        switch record.state {
        case .awaitingApproval:
            guard let since = record.history.last?.at, now - since > remedy.approvalMilliseconds else { return nil }
            return moved(record, .cancelled, "nobody approved it in time")
        case .commanded:
            // A minute more than the agent has, so that its report of a late start is not missed.
            guard let expiresAt = record.expiresAt,
                now > expiresAt + RemedyStateMachine.commandLifetimeMilliseconds
            else { return nil }
            return moved(record, .timedOut, "the agent did not take the command before it expired")
        case .started:
            let patience = Remedies.named(record.action)?.timeoutMilliseconds ?? 120_000
            guard let since = record.history.last?.at, now - since > patience else { return nil }
            return moved(record, .timedOut, "the agent began and did not say how it ended")
        case .verifying:
            guard let doneAt = record.doneAt, now - doneAt > remedy.verifyWithinMilliseconds else { return nil }
            let what = record.quietSince == nil ? "still matches or has no data" : "has not been quiet for long enough"
            return moved(record, .notVerified, "it did not help: the alert's expression \(what)")
        default: return nil
        }
    }

    private func moved(_ record: ActionRecord, _ state: ActionRecord.State, _ text: String) -> ActionRecord {
        var next = record
        next.state = state
        next.reason = text
        // A long block must not grow its history without bound.
        if next.history.count >= 64 { next.history.remove(at: 1) }
        next.history.append(ActionRecord.Step(at: now, state: state, text: text))
        return next
    }
}
