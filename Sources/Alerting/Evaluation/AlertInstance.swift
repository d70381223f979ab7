internal import Telemetry

/// One alert of one rule: a set of labels for which the expression matches or matched. What the journal keeps.
struct AlertInstance: Hashable, Sendable {
    /// Why an alert ended.
    enum ResolveReason: String, Sendable, CaseIterable {
        /// The expression stopped matching, and its telemetry is there.
        case recovered
        /// What the alert was about was removed, and the host said so.
        case targetRemoved = "target_removed"
        /// The rule is in no file any more.
        case ruleRemoved = "rule_removed"
        /// Its telemetry was missing for longer than alerts are held without data.
        case noDataExpired = "no_data_expired"
    }

    /// `Rule.identity`.
    var rule: String
    /// All labels, `alertname` among them.
    var labels: Labels
    /// The labels of the expression's answer without the metric's name: what its telemetry is recognised by.
    var seriesLabels: Labels
    var annotations: [String: String]
    var state: AlertState
    /// When the expression began to match.
    var activeAt: Int64
    var firedAt: Int64?
    var resolvedAt: Int64?
    var resolveReason: ResolveReason?
    var keepFiringSince: Int64?
    /// The time of the last evaluation that matched.
    var lastMatchAt: Int64
    var value: Double
    /// Since when its telemetry is missing.
    var noDataSince: Int64?
    /// Whether an event woke its rule, so that it is told without waiting for its group.
    var isUrgent: Bool

    /// What it is kept under.
    var key: AlertKey { AlertKey(rule: rule, labels: labels) }
    var fingerprint: Fingerprint { Fingerprint(labels) }
}

/// What an alert is kept under: one rule may not have two alerts of equal labels, two rules may.
struct AlertKey: Hashable, Sendable {
    var rule: String
    var labels: Labels
}

/// The 64-bit identity of a set of labels that Alertmanager shows (FNV-1a over sorted names and values).
struct Fingerprint: Hashable, Sendable, Comparable {
    let rawValue: UInt64

    init(_ labels: Labels) {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        labels.forEachPair { name, value in
            name.forEach(add)
            add(0xff)
            value.forEach(add)
            add(0xff)
        }
        rawValue = hash
    }

    init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// 16 hexadecimal digits.
    var text: String {
        let digits = String(rawValue, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    static func < (left: Fingerprint, right: Fingerprint) -> Bool { left.rawValue < right.rawValue }
}
