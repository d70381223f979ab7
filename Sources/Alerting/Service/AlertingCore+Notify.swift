internal import Telemetry
internal import Wire

/// Groups become messages, messages become attempts.
extension AlertingCore {
    /// Makes messages for the groups whose time has come.
    mutating func flush(now: Int64) {
        let due = groups.due(now: now)
        guard !due.isEmpty else { return }
        let firing = state.alerts.values.filter { $0.state == .firing }.map(\.labels).sorted()
        for flush in due { self.flush(flush, firing: firing, now: now) }
    }

    private mutating func flush(_ flush: NotificationGroups.Flush, firing: [Labels], now: Int64) {
        let members = flush.members.compactMap { state.alerts[$0] }.sorted { $0.labels < $1.labels }
        let loud = members.filter { !isMuted($0.labels, firing: firing, now: now) }
        for receiver in configuration.notify.receivers[flush.route.receiver] ?? [] {
            tell(receiver, flush, loud, now: now)
        }
        // What is over and was told is no longer of interest; what is muted may still come to be told.
        let isTold = flush.members.filter { key in
            guard let alert = state.alerts[key] else { return true }
            return alert.state == .inactive && loud.contains { $0.key == key }
        }
        let isUnknown = members.filter { $0.state == .inactive && !wasTold($0, flush.identity) }.map(\.key)
        groups.remove(isTold.union(isUnknown), from: flush.identity)
    }

    private mutating func tell(
        _ receiver: any Receiver, _ flush: NotificationGroups.Flush, _ alerts: [AlertInstance], now: Int64
    ) {
        guard !alerts.isEmpty else { return }
        let lane = OutboxLane(
            groupKey: flush.groupKey, receiver: flush.route.receiver, integration: receiver.integration)
        let firing = Set(alerts.filter { $0.state == .firing }.map(\.fingerprint))
        let resolved = Set(alerts.filter { $0.state == .inactive }.map(\.fingerprint))
        let reason = GroupMemory.reason(
            after: state.memories[lane], firing: firing, resolved: resolved, sendsResolved: receiver.sendsResolved,
            repeatIntervalMilliseconds: flush.route.repeatIntervalMilliseconds, now: now)
        guard let reason else { return }
        let told = alerts.filter { receiver.sendsResolved || $0.state == .firing }
        if !told.isEmpty {
            let notification = Notification(
                receiver: flush.route.receiver, groupKey: flush.groupKey, groupLabels: flush.groupLabels,
                reason: reason, alerts: told.map { self.notified($0) }, externalURL: configuration.externalURL)
            enqueue(notification, receiver, lane, now: now)
        }
        if firing.isEmpty {
            record(.groupForgotten(lane))
        } else {
            record(.groupTold(GroupMemory(key: lane, firing: firing, resolved: resolved, toldAt: now)))
        }
    }

    private func notified(_ alert: AlertInstance) -> Notification.Alert {
        var annotations = alert.annotations
        // What was frozen about it is part of what people are told.
        if let action = state.actions.values.last(where: { $0.alert == alert.key && !$0.evidenceHash.isEmpty }),
            action.alertFiredAt == alert.firedAt
        {
            annotations["vedette_evidence_sha256"] = action.evidenceHash
            annotations["vedette_action"] = "\(action.action) \(action.state.rawValue)"
        }
        if let reason = alert.resolveReason, reason != .recovered {
            annotations["vedette_resolve_reason"] = reason.rawValue
        }
        if alert.noDataSince != nil { annotations["vedette_no_data"] = "true" }
        return Notification.Alert(
            labels: alert.labels, annotations: annotations, startsAt: alert.firedAt ?? alert.activeAt,
            endsAt: alert.state == .inactive ? alert.resolvedAt : nil,
            generatorURL: configuration.externalURL.isEmpty ? "" : "\(configuration.externalURL)/alerts")
    }

    private mutating func enqueue(
        _ notification: Notification, _ receiver: any Receiver, _ lane: OutboxLane, now: Int64
    ) {
        let older = state.deliveries.values.filter { $0.isOpen && $0.message.lane == lane }
        for delivery in older where !inFlight.contains(delivery.message.idempotencyKey) {
            // The latest truth is told and not a backlog of it. Only that it is over does not take the place of the
            // news that it began: people are to hear both, in this order. So a lane holds two messages at most.
            if delivery.message.status == "firing", !notification.isFiring { continue }
            close(delivery, .superseded, "a newer message of the group takes its place", now: now)
        }
        let message = OutboxMessage(
            idempotencyKey: nextIdentifier(), lane: lane, status: notification.isFiring ? "firing" : "resolved",
            reason: notification.reason.rawValue, createdAt: now,
            deadline: now + receiver.limits.ageMaximumMilliseconds, content: receiver.content(of: notification),
            alerts: notification.alerts.map(\.labels))
        record(.intent(message))
    }

    private func wasTold(_ alert: AlertInstance, _ group: NotificationGroups.Identity) -> Bool {
        state.memories.values.contains {
            $0.key.groupKey == group.groupKey && $0.key.receiver == group.receiver
                && $0.firing.contains(alert.fingerprint)
        }
    }

    // MARK: Muting

    private func isMuted(_ labels: Labels, firing: [Labels], now: Int64) -> Bool {
        state.silences.values.contains { $0.mutes(labels, at: now) }
            || configuration.notify.inhibitRules.contains { $0.source(muting: labels, among: firing) != nil }
    }

    /// The silences and alerts that mute an alert now.
    func mutes(_ labels: Labels, now: Int64) -> (silences: [String], inhibitors: [Fingerprint]) {
        let silences = state.silences.values.filter { $0.mutes(labels, at: now) }.map(\.id).sorted()
        let firing = state.alerts.values.filter { $0.state == .firing }.map(\.labels).sorted()
        let sources = configuration.notify.inhibitRules.compactMap { $0.source(muting: labels, among: firing) }
        return (silences, Set(sources.map { Fingerprint($0) }).sorted())
    }

    // MARK: Attempts

    /// Attempts that may be under way at once to one integration: one that hangs keeps no other waiting.
    static let attemptsAtOnceMaximum = 8

    /// The messages to be tried now: durable, the first of their lane, within the limits of their provider. They count
    /// as under way until `attempted` is called.
    mutating func takeDueMessages(now: Int64) -> [(message: OutboxMessage, receiver: any Receiver)] {
        var lanes: Set<OutboxLane> = []
        var underWay = attemptsUnderWay
        var result: [(message: OutboxMessage, receiver: any Receiver)] = []
        for delivery in state.deliveries.values where delivery.isOpen {
            let message = delivery.message
            guard lanes.insert(message.lane).inserted, !inFlight.contains(message.idempotencyKey),
                isDurable(message.idempotencyKey)
            else { continue }
            guard let receiver = receiver(of: message.lane) else { continue }
            if now > message.deadline {
                close(delivery, .expired, "it was not taken in time", now: now)
                continue
            }
            let name = message.lane.name
            guard let due = dueTime(of: delivery, now: now), due <= now,
                underWay[name, default: 0] < AlertingCore.attemptsAtOnceMaximum
            else { continue }
            var bucket = buckets[name] ?? TokenBucket(receiver.limits, now: now)
            let wait = bucket.take(now: now)
            buckets[name] = bucket
            guard wait == nil else { continue }
            inFlight.insert(message.idempotencyKey)
            underWay[name, default: 0] += 1
            result.append((message, receiver))
        }
        return result
    }

    /// Attempts under way, by integration.
    private var attemptsUnderWay: [String: Int] {
        inFlight.reduce(into: [:]) { counts, key in
            if let lane = state.deliveries[key]?.message.lane { counts[lane.name, default: 0] += 1 }
        }
    }

    /// When a message is to be tried. One that was made or tried at a time still to come was so before the clock was
    /// set back: it waits no longer.
    private func dueTime(of delivery: Delivery, now: Int64) -> Int64? {
        guard let next = delivery.nextAt else { return nil }
        return (delivery.attempts.last?.at ?? delivery.message.createdAt) > now ? now : next
    }

    /// When the next message is due; nil when none waits.
    func nextDeliveryTime(now: Int64) -> Int64? {
        let busy = Set(inFlight.compactMap { state.deliveries[$0]?.message.lane })
        let full = attemptsUnderWay.filter { $0.value >= AlertingCore.attemptsAtOnceMaximum }
        let next = state.deliveries.values.filter {
            $0.isOpen && !busy.contains($0.message.lane) && full[$0.message.lane.name] == nil
        }.compactMap { dueTime(of: $0, now: now) }.min()
        // A message whose time has come waits for a token or the journal.
        return next.map { max($0, now + 50) }
    }

    /// Takes in what came of an attempt.
    mutating func attempted(_ key: String, _ verdict: DeliveryVerdict, now: Int64) {
        inFlight.remove(key)
        guard let delivery = state.deliveries[key], delivery.isOpen else { return }
        let deliveries = state.deliveries
        let notice = outages.note(delivery.message, verdict) {
            deliveries.values.contains {
                $0.isOpen && $0.attemptCount > 0 && $0.message.idempotencyKey != key
                    && $0.message.lane.name == delivery.message.lane.name
            }
        }
        if let notice { notices.append(notice) }
        switch verdict {
        case .accepted: close(delivery, .accepted, "", now: now)
        case .refused(let reason): close(delivery, .refused, reason, now: now)
        case .retry(let reason, let after):
            let delay = RetryDelay.milliseconds(attempts: delivery.attemptCount + 1, key: key)
            record(
                .attempt(
                    OutboxAttempt(
                        idempotencyKey: key, at: now, outcome: .retry, detail: reason,
                        nextAt: now + max(delay, after ?? 0))))
        }
    }

    /// Ends a message.
    mutating func close(_ delivery: Delivery, _ outcome: OutboxAttempt.Outcome, _ detail: String, now: Int64) {
        let message = delivery.message
        record(
            .attempt(OutboxAttempt(idempotencyKey: message.idempotencyKey, at: now, outcome: outcome, detail: detail)))
        guard outcome != .superseded else { return }
        if outcome == .expired { notices.append(ReceiverOutages.givenUp(message, detail)) }
        let isDelivered = outcome == .accepted
        let fields = [
            "key": message.idempotencyKey, "receiver": message.lane.receiver, "integration": message.lane.integration,
            "status": message.status, "group": message.lane.groupKey, "detail": detail,
            "attempts": String(delivery.attemptCount + 1),
        ]
        audit(isDelivered ? "notification.delivered" : "notification.dead", fields, now: now)
        event(
            .alert, subject: message.alerts.first ?? .empty, details: fields,
            text: isDelivered
                ? "\(message.lane.receiver) was told: \(message.status)"
                : "\(message.lane.receiver) could not be told: \(detail)", now: now)
    }

    // MARK: Silences

    /// Makes or changes a silence; returns its id, or throws what is wrong with the request.
    mutating func setSilence(_ request: SilenceRequest, now: Int64) throws(AlertingRequestError) -> String {
        if let complaint = request.complaint(now: now) { throw AlertingRequestError(complaint) }
        if let id = request.id, state.silences[id] == nil { throw AlertingRequestError("no silence has the id \(id)") }
        let id = request.id ?? nextIdentifier()
        let silence = Silence(
            id: id, matchers: request.matchers,
            startsAtMilliseconds: request.id == nil
                ? max(request.startsAtMilliseconds, now) : request.startsAtMilliseconds,
            endsAtMilliseconds: request.endsAtMilliseconds, createdBy: request.createdBy, comment: request.comment,
            updatedAtMilliseconds: now)
        record(.silence(silence))
        tell(silence, request.id == nil ? "silence.created" : "silence.changed", by: request.createdBy, now: now)
        return id
    }

    /// Ends a silence now.
    mutating func expireSilence(_ id: String, by person: String, now: Int64) throws(AlertingRequestError) {
        guard var silence = state.silences[id] else { throw AlertingRequestError("no silence has the id \(id)") }
        guard silence.state(at: now) != .expired else {
            throw AlertingRequestError("the silence \(id) has ended already")
        }
        silence.startsAtMilliseconds = min(silence.startsAtMilliseconds, now)
        silence.endsAtMilliseconds = now
        silence.updatedAtMilliseconds = now
        record(.silence(silence))
        tell(silence, "silence.expired", by: person, now: now)
    }

    private mutating func tell(_ silence: Silence, _ kind: String, by person: String, now: Int64) {
        let fields = [
            "silence": silence.id, "matchers": silence.matchers.map(\.description).joined(separator: ", "),
            "by": person, "comment": silence.comment,
            "until": Timestamps.rfc3339(milliseconds: silence.endsAtMilliseconds),
        ]
        audit(kind, fields, now: now)
        event(.silence, subject: .empty, details: fields, text: "\(kind) by \(person): \(silence.comment)", now: now)
    }

    /// Forgets silences that ended five days ago, as Alertmanager does.
    mutating func forgetSilences(now: Int64) {
        for silence in state.silences.values where now - silence.endsAtMilliseconds > 432_000_000 {
            record(.silenceForgotten(silence.id))
        }
    }
}

/// Why a request of a person cannot be granted: for the answer's text.
package struct AlertingRequestError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong and what to do.
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}
