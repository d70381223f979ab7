internal import Telemetry

/// Gathers alerts into groups and says when a group is to be told: Alertmanager's dispatcher (dispatch/dispatch.go),
/// with one addition: an urgent alert does not wait. Pure; rebuilt from alerts and memories after a restart or a
/// reload.
struct NotificationGroups {
    /// What a group is known by. Routes with the same matchers under one parent have the same group keys, and each has
    /// groups of its own: that is how one alert is told to several receivers.
    struct Identity: Hashable, Comparable, Sendable {
        var groupKey: String
        var receiver: String

        static func < (left: Identity, right: Identity) -> Bool {
            (left.groupKey, left.receiver) < (right.groupKey, right.receiver)
        }
    }

    /// A group of alerts on one route.
    private struct Group {
        var route: Route
        var labels: Labels
        var members: Set<AlertKey> = []
        var nextFlush: Int64
        var hasFlushed = false
    }

    /// A group whose time has come.
    struct Flush {
        var identity: Identity
        var route: Route
        var groupLabels: Labels
        var members: Set<AlertKey>

        var groupKey: String { identity.groupKey }
    }

    private let root: Route?
    private var groups: [Identity: Group] = [:]

    /// Groups for a routing tree; none without one.
    init(root: Route?) {
        self.root = root
    }

    /// Groups as they must have been: firing alerts, and resolved ones that somebody still believes to fire.
    init(root: Route?, alerts: some Sequence<AlertInstance>, memories: [GroupMemory.Key: GroupMemory], now: Int64) {
        self.init(root: root)
        var told: [Identity: (toldAt: Int64, firing: Set<Fingerprint>)] = [:]
        for memory in memories.values {
            let identity = Identity(groupKey: memory.key.groupKey, receiver: memory.key.receiver)
            var entry = told[identity] ?? (memory.toldAt, [])
            entry.toldAt = max(entry.toldAt, memory.toldAt)
            entry.firing.formUnion(memory.firing)
            told[identity] = entry
        }
        for alert in alerts where alert.state != .pending {
            for route in root?.matches(alert.labels) ?? [] {
                let labels = route.groupLabels(of: alert.labels)
                let key = NotificationGroups.identity(route, labels)
                if alert.state == .inactive, told[key]?.firing.contains(alert.fingerprint) != true { continue }
                let firedAt = alert.firedAt ?? alert.activeAt
                var group =
                    groups[key]
                    ?? Group(route: route, labels: labels, nextFlush: firedAt + route.groupWaitMilliseconds)
                group.members.insert(alert.key)
                if let toldAt = told[key]?.toldAt {
                    // The rhythm goes on where it was.
                    let interval = route.groupIntervalMilliseconds
                    let passed = max(0, now - toldAt - 1) / interval
                    group.hasFlushed = true
                    group.nextFlush = toldAt + (passed + 1) * interval
                } else {
                    group.nextFlush = min(group.nextFlush, firedAt + (alert.isUrgent ? 0 : route.groupWaitMilliseconds))
                }
                groups[key] = group
            }
        }
    }

    /// Takes in an alert that fires or has just resolved.
    mutating func insert(_ alert: AlertInstance, now: Int64) {
        for route in root?.matches(alert.labels) ?? [] {
            let labels = route.groupLabels(of: alert.labels)
            let key = NotificationGroups.identity(route, labels)
            let isUrgent = alert.isUrgent && alert.state == .firing
            // An alert that ended before anybody was told of it makes no group.
            if groups[key] == nil, alert.state == .inactive { continue }
            var group = groups[key] ?? Group(route: route, labels: labels, nextFlush: now + route.groupWaitMilliseconds)
            let isNew = group.members.insert(alert.key).inserted
            let isOverdue = !group.hasFlushed && (alert.firedAt ?? now) + route.groupWaitMilliseconds < now
            if isNew, isUrgent || isOverdue { group.nextFlush = min(group.nextFlush, now) }
            groups[key] = group
        }
    }

    /// Tells the groups of an alert at once, because an event has confirmed it.
    mutating func hasten(_ alert: AlertInstance, now: Int64) {
        for route in root?.matches(alert.labels) ?? [] {
            let key = NotificationGroups.identity(route, route.groupLabels(of: alert.labels))
            if let group = groups[key], !group.hasFlushed { groups[key]?.nextFlush = min(group.nextFlush, now) }
        }
    }

    /// The groups whose time has come, ordered by key; their next time is an interval later.
    mutating func due(now: Int64) -> [Flush] {
        var result: [Flush] = []
        for (key, group) in groups.sorted(by: { $0.key < $1.key }) {
            // A clock that was set back must not keep people waiting until it has caught up.
            let wait = max(group.route.groupWaitMilliseconds, group.route.groupIntervalMilliseconds)
            let next = min(group.nextFlush, now + wait)
            guard next <= now else {
                groups[key]?.nextFlush = next
                continue
            }
            result.append(Flush(identity: key, route: group.route, groupLabels: group.labels, members: group.members))
            groups[key]?.hasFlushed = true
            groups[key]?.nextFlush = now + group.route.groupIntervalMilliseconds
        }
        return result
    }

    /// Forgets members whose end was told, and the group with its last member.
    mutating func remove(_ members: Set<AlertKey>, from identity: Identity) {
        groups[identity]?.members.subtract(members)
        if groups[identity]?.members.isEmpty == true { groups[identity] = nil }
    }

    private static func identity(_ route: Route, _ groupLabels: Labels) -> Identity {
        Identity(groupKey: route.groupKey(groupLabels), receiver: route.receiver)
    }

    /// Whether somebody is still to be told about the alert.
    func owes(_ key: AlertKey) -> Bool { groups.values.contains { $0.members.contains(key) } }

    /// When the next group is due; nil when there is none.
    var nextTime: Int64? { groups.values.map(\.nextFlush).min() }
}
