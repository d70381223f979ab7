package import Telemetry

/// What the HTTP API, the CLI and the page show of rules and alerts: values, taken at one moment.
package struct RuleGroupStatus: Sendable, Equatable {
    /// The group's name, unique within its file.
    package var name: String
    /// The path of the file as it was given.
    package var file: String
    package var intervalMilliseconds: Int64
    /// The most alerts or series one rule may have, 0 for no limit.
    package var limit: Int
    package var rules: [RuleStatus]
    /// How long the last evaluation of the whole group took.
    package var evaluationNanoseconds: Int64
    /// Nil before the first.
    package var lastEvaluationMilliseconds: Int64?
    /// Evaluations that were left out because the one before took too long.
    package var missedIterations: Int
}

/// One rule and what its last evaluation gave.
package struct RuleStatus: Sendable, Equatable {
    /// The API's `type`.
    package enum Kind: String, Sendable {
        case alerting
        case recording
    }

    /// The API's `health`.
    package enum Health: String, Sendable {
        case unknown
        case ok
        case err
    }

    package var kind: Kind
    package var name: String
    package var query: String
    /// The API's `duration`, in milliseconds.
    package var forMilliseconds: Int64
    package var keepFiringForMilliseconds: Int64
    package var labels: [String: String]
    package var annotations: [String: String]
    /// The strongest state among the alerts; inactive for recording rules.
    package var state: AlertState
    package var alerts: [AlertStatus]
    package var health: Health
    /// Empty when the last evaluation went well.
    package var lastError: String
    package var evaluationNanoseconds: Int64
    /// Nil before the first.
    package var lastEvaluationMilliseconds: Int64?
    /// Series the expression gave at the last evaluation.
    package var matchCount: Int
}

/// One alert that is pending or firing, or was until a short while ago.
package struct AlertStatus: Sendable, Equatable {
    /// 16 hexadecimal digits, the same as in Alertmanager.
    package var fingerprint: String
    package var labels: Labels
    package var annotations: [String: String]
    package var state: AlertState
    package var activeAtMilliseconds: Int64
    /// Nil while pending.
    package var firedAtMilliseconds: Int64?
    /// Nil unless resolved.
    package var resolvedAtMilliseconds: Int64?
    /// Why it resolved: `recovered`, `target_removed`, `rule_removed`, `no_data_expired`; empty unless resolved.
    package var resolveReason: String
    /// Nil unless the expression has stopped matching and `keep_firing_for` holds the alert.
    package var keepFiringSinceMilliseconds: Int64?
    package var value: Double
    /// Since when the telemetry behind the alert is missing, which never reads as recovery; nil while there is data.
    package var noDataSinceMilliseconds: Int64?
    /// The names of the receivers its routes lead to.
    package var receivers: [String]
    /// The ids of the active silences that match it.
    package var silencedBy: [String]
    /// The fingerprints of the alerts that inhibit it.
    package var inhibitedBy: [String]
}

/// A message to one receiver: what was said, and what became of it. Who was told, and when.
package struct DeliveryStatus: Sendable, Equatable {
    /// One try.
    package struct Attempt: Sendable, Equatable {
        package var milliseconds: Int64
        /// `accepted`, `retry` or `refused`.
        package var verdict: String
        /// What the provider said, for people; no secrets.
        package var detail: String
    }

    /// How far it got.
    package enum State: String, Sendable {
        case queued
        case delivered
        /// Given up: refused for good, or too old. Somebody should look.
        case dead
        /// Never arrived, and a newer message of the same group took its place.
        case superseded
    }

    /// The same for every attempt, sent as `Idempotency-Key`.
    package var idempotencyKey: String
    package var receiver: String
    /// For example `webhook[0]`.
    package var integration: String
    package var groupKey: String
    /// `firing` or `resolved`.
    package var status: String
    /// Why it was sent: `first_notification`, `new_alerts_in_group`, `new_resolved_alerts`, `all_alerts_resolved`,
    /// `repeat_interval_elapsed`.
    package var reason: String
    package var createdMilliseconds: Int64
    package var state: State
    package var attempts: [Attempt]
    /// Attempts that are not listed any more.
    package var attemptsForgotten: Int
    /// The next attempt of a queued message.
    package var nextAttemptMilliseconds: Int64?
    package var alerts: [Labels]
}

/// A remedy and how it stands.
package struct RemedyStatus: Sendable, Equatable {
    package var name: String
    package var file: String
    /// `off`, `shadow`, `approve` or `auto`.
    package var mode: String
    /// The matchers as PromQL writes them.
    package var match: [String]
    /// The actions of its ladder in order.
    package var actions: [String]
    /// Whether somebody paused it.
    package var isPaused: Bool
    /// Who paused it, or empty.
    package var pausedBy: String
    /// Why it suspended itself for a target; empty when nowhere.
    package var suspensions: [Suspension]
    /// How many actions ended in each state.
    package var outcomes: [String: Int]

    /// A target that the remedy no longer touches because it did not help.
    package struct Suspension: Sendable, Equatable {
        package var target: String
        package var reason: String
        package var milliseconds: Int64
    }
}

/// One action from its proposal to its end.
package struct ActionStatus: Sendable, Equatable {
    /// One change of state.
    package struct Step: Sendable, Equatable {
        package var milliseconds: Int64
        package var state: String
        package var text: String
    }

    package var id: String
    package var remedy: String
    package var action: String
    /// The immutable id of what is acted on.
    package var target: String
    package var node: String
    package var mode: String
    /// From 0.
    package var rung: Int
    package var state: String
    /// One sentence about the state.
    package var reason: String
    package var alertFingerprint: String
    package var alertLabels: Labels
    /// The file with the evidence, relative to the data folder; empty before it is frozen.
    package var evidencePath: String
    /// Its SHA-256 in hexadecimal digits.
    package var evidenceHash: String
    package var createdMilliseconds: Int64
    package var history: [Step]
}
