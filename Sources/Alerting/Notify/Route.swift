internal import Telemetry

/// A node of the routing tree: which alerts go to which receiver, how they are grouped and how often people are told.
/// Semantics and defaults are Alertmanager's (docs/configuration.md, `<route>`).
struct Route: Sendable, Hashable {
    var receiver: String
    /// Labels whose values make a group; nil groups by all labels (`['...']`).
    var groupBy: [String]?
    /// How long the first message of a group waits for more alerts.
    var groupWaitMilliseconds: Int64
    /// How long further messages of a group wait for more changes.
    var groupIntervalMilliseconds: Int64
    /// How long a message that has not changed waits before it is sent again.
    var repeatIntervalMilliseconds: Int64
    /// All must hold; the root has none.
    var matchers: [LabelMatcher]
    /// Whether the siblings behind it are asked as well.
    var continues: Bool
    var routes: [Route]
    /// Alertmanager's `routeKey`: the matchers from the root on, joined by "/".
    var key: String

    /// The routes an alert takes: the deepest that match.
    func matches(_ labels: Labels) -> [Route] {
        guard matchers.allSatisfy({ $0.matches(labels) }) else { return [] }
        var result: [Route] = []
        for route in routes {
            let below = route.matches(labels)
            result += below
            if !below.isEmpty, !route.continues { break }
        }
        return result.isEmpty ? [self] : result
    }

    /// The labels that make the group of an alert.
    func groupLabels(of labels: Labels) -> Labels {
        guard let groupBy else { return labels }
        return labels.keeping(Set(groupBy))
    }

    /// `{}/{severity="page"}:{alertname="X"}`
    func groupKey(_ groupLabels: Labels) -> String {
        let pairs = groupLabels.pairs.map { "\($0.name)=\(QuotedText.quoted($0.value))" }
        return "\(key):{\(pairs.joined(separator: ", "))}"
    }

    /// All receivers named in the tree.
    var receivers: Set<String> { routes.reduce(into: [receiver]) { $0.formUnion($1.receivers) } }
}

/// Mutes alerts while others fire: targets with the same values of `equal` as a firing source.
struct InhibitRule: Sendable, Hashable {
    var sourceMatchers: [LabelMatcher]
    var targetMatchers: [LabelMatcher]
    var equal: [String]

    /// The firing alert that mutes `target`, nil when none does. An alert that is source and target at once is not
    /// muted by alerts that are so too (Alertmanager's rule against alerts that mute themselves). A label that is
    /// absent on both sides counts as equal, as in Alertmanager.
    func source(muting target: Labels, among firing: [Labels]) -> Labels? {
        guard targetMatchers.allSatisfy({ $0.matches(target) }) else { return nil }
        let targetIsSource = sourceMatchers.allSatisfy { $0.matches(target) }
        return firing.first { source in
            guard source != target, sourceMatchers.allSatisfy({ $0.matches(source) }) else { return false }
            if targetIsSource, targetMatchers.allSatisfy({ $0.matches(source) }) { return false }
            return equal.allSatisfy { source[$0] == target[$0] }
        }
    }
}
