internal import Telemetry

/// A message about a group of alerts, before a receiver gives it its form.
struct Notification: Sendable, Equatable {
    /// Why it is sent, in Alertmanager's words.
    enum Reason: String, Sendable {
        case firstNotification = "first_notification"
        case newAlerts = "new_alerts_in_group"
        case newResolvedAlerts = "new_resolved_alerts"
        case allResolved = "all_alerts_resolved"
        case repeatInterval = "repeat_interval_elapsed"
    }

    /// One alert of it.
    struct Alert: Sendable, Equatable {
        var labels: Labels
        var annotations: [String: String]
        var startsAt: Int64
        /// Nil while it fires.
        var endsAt: Int64?
        var generatorURL: String

        var isFiring: Bool { endsAt == nil }
        var fingerprint: Fingerprint { Fingerprint(labels) }
    }

    var receiver: String
    var groupKey: String
    var groupLabels: Labels
    var reason: Reason
    /// Ordered by labels.
    var alerts: [Alert]
    var externalURL: String

    var isFiring: Bool { alerts.contains { $0.isFiring } }

    /// The labels that all alerts have with equal values.
    var commonLabels: Labels {
        guard let first = alerts.first else { return .empty }
        return Labels(
            first.labels.pairs.filter { pair in alerts.allSatisfy { $0.labels[pair.name] == pair.value } })
    }

    /// The annotations that all alerts have with equal texts.
    var commonAnnotations: [String: String] {
        guard let first = alerts.first else { return [:] }
        return first.annotations.filter { pair in alerts.allSatisfy { $0.annotations[pair.key] == pair.value } }
    }
}
