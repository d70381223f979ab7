import Telemetry
import Testing

@testable import Alerting

/// Routing, grouping, inhibition and repetition as Alertmanager does them.
@Suite struct RoutingTests {
    private static let text = """
        alerting:
          route:
            receiver: default
            group_by: [alertname]
            group_wait: 10s
            group_interval: 1m
            repeat_interval: 1h
            routes:
              - matchers: ['severity="page"', 'team=~"db|cache"']
                receiver: dba
                continue: true
                group_by: ['...']
              - match: {severity: page}
                receiver: oncall
                routes:
                  - matchers: [region!="eu"]
                    receiver: overseas
                    group_wait: 0s
          receivers: [{name: default}, {name: dba}, {name: oncall}, {name: overseas}]
          inhibit_rules:
            - source_matchers: [alertname="NodeDown"]
              target_matchers: [severity=~"page|warn"]
              equal: [node]
        """

    private func receivers(_ labels: [String: String]) throws -> [String] {
        try #require(try Fixtures.notify(RoutingTests.text).route).matches(Labels(labels)).map(\.receiver)
    }

    @Test func theDeepestMatchingRoutesTakeAnAlert() throws {
        #expect(try receivers(["alertname": "X"]) == ["default"])
        #expect(try receivers(["severity": "page", "region": "eu"]) == ["oncall"])
        #expect(try receivers(["severity": "page"]) == ["overseas"])
        #expect(try receivers(["severity": "page", "team": "db", "region": "eu"]) == ["dba", "oncall"])
    }

    @Test func routesInheritAndNameTheirGroupsAsAlertmanagerDoes() throws {
        let root = try #require(try Fixtures.notify(RoutingTests.text).route)
        let labels = Labels(["alertname": "X", "severity": "page", "team": "db", "region": "us"])
        let routes = root.matches(labels)
        #expect(routes.map(\.groupWaitMilliseconds) == [10_000, 0])
        #expect(routes.map(\.repeatIntervalMilliseconds) == [3_600_000, 3_600_000])
        #expect(routes[0].groupLabels(of: labels) == labels)
        #expect(
            routes[1].groupKey(routes[1].groupLabels(of: labels))
                == "{}/{severity=\"page\"}/{region!=\"eu\"}:{alertname=\"X\"}")
    }

    @Test func sourcesInhibitTargetsWithEqualLabels() throws {
        let rule = try Fixtures.notify(RoutingTests.text).inhibitRules[0]
        let source = Labels(["alertname": "NodeDown", "node": "n1", "severity": "page"])
        let target = Labels(["alertname": "Slow", "node": "n1", "severity": "warn"])
        #expect(rule.source(muting: target, among: [source]) == source)
        #expect(rule.source(muting: target.setting("node", to: "n2"), among: [source]) == nil)
        #expect(rule.source(muting: target.setting("severity", to: "info"), among: [source]) == nil)
        // An alert on both sides does not mute others that are on both sides, nor itself.
        #expect(rule.source(muting: source, among: [source]) == nil)
        #expect(rule.source(muting: source.setting("x", to: "y"), among: [source]) == nil)
    }

    @Test func matchersAreReadAsPeopleWriteThem() throws {
        let three = try MatcherText.matchers(#"{a="b", c!="d",e=~"f.*"}"#).map(\.description)
        #expect(three == [#"a="b""#, #"c!="d""#, #"e=~"f.*""#])
        #expect(try MatcherText.matchers("a = b").map(\.description) == [#"a="b""#])
        #expect(try MatcherText.matchers(#"a="x\"y,z""#).map(\.value) == [#"x"y,z"#])
        for bad in ["a", "=b", #"a="b"#, #"a=~"(""#, "{a=b", #"a="b" c="d""#] {
            #expect(throws: MatcherTextError.self) { try MatcherText.matchers(bad) }
        }
    }

    @Test func theReasonsAreAlertmanagers() {
        let a = Fingerprint(Labels(["n": "a"]))
        let b = Fingerprint(Labels(["n": "b"]))
        let key = OutboxLane(groupKey: "g", receiver: "r", integration: "webhook[0]")
        func reason(
            _ told: Set<Fingerprint>?, firing: Set<Fingerprint>, resolved: Set<Fingerprint> = [],
            sendsResolved: Bool = true, after: Int64 = 1000
        ) -> Notification.Reason? {
            GroupMemory.reason(
                after: told.map { GroupMemory(key: key, firing: $0, resolved: [], toldAt: 0) }, firing: firing,
                resolved: resolved, sendsResolved: sendsResolved, repeatIntervalMilliseconds: 3_600_000, now: after)
        }
        #expect(reason(nil, firing: [a]) == .firstNotification)
        #expect(reason(nil, firing: [], resolved: [a]) == nil)
        #expect(reason([a], firing: [a]) == nil)
        #expect(reason([a], firing: [a, b]) == .newAlerts)
        #expect(reason([a, b], firing: [a], resolved: [b]) == .newResolvedAlerts)
        #expect(reason([a, b], firing: [a], resolved: [b], sendsResolved: false) == nil)
        #expect(reason([a], firing: [], resolved: [a], sendsResolved: false) == .allResolved)
        #expect(reason([a], firing: [a], after: 3_600_000) == .repeatInterval)
    }

    private func alert(_ name: String, at time: Int64, urgent: Bool = false) -> AlertInstance {
        AlertInstance(
            rule: "r", labels: Labels(["alertname": "X", "n": name]), seriesLabels: .empty, annotations: [:],
            state: .firing, activeAt: time, firedAt: time, resolvedAt: nil, resolveReason: nil, keepFiringSince: nil,
            lastMatchAt: time, value: 1, noDataSince: nil, isUrgent: urgent)
    }

    @Test func aGroupWaitsThenFollowsItsRhythm() throws {
        var groups = NotificationGroups(root: try Fixtures.notify(RoutingTests.text).route)
        groups.insert(alert("a", at: 1000), now: 1000)
        #expect(groups.nextTime == 11_000)
        groups.insert(alert("b", at: 5000), now: 5000)
        let early = groups.due(now: 10_999)
        #expect(early.isEmpty)
        let first = groups.due(now: 11_000)
        #expect(first.map(\.members.count) == [2])
        #expect(groups.nextTime == 71_000)
        groups.insert(alert("c", at: 12_000), now: 12_000)
        #expect(groups.nextTime == 71_000)
    }

    @Test func anUrgentAlertDoesNotWait() throws {
        var groups = NotificationGroups(root: try Fixtures.notify(RoutingTests.text).route)
        groups.insert(alert("a", at: 1000, urgent: true), now: 1000)
        #expect(groups.nextTime == 1000)
        _ = groups.due(now: 1000)
        groups.insert(alert("b", at: 2000, urgent: true), now: 2000)
        #expect(groups.nextTime == 2000)
    }

    @Test func anEventThatConfirmsAnAlertHastensItsGroup() throws {
        var groups = NotificationGroups(root: try Fixtures.notify(RoutingTests.text).route)
        let alert = alert("a", at: 1000)
        groups.insert(alert, now: 1000)
        groups.hasten(alert, now: 1050)
        #expect(groups.nextTime == 1050)
    }

    @Test func siblingsWithTheSameMatchersTellEachTheirOwnReceiver() throws {
        let text = """
            alerting:
              route:
                receiver: a
                group_wait: 0s
                routes:
                  - {receiver: a, continue: true}
                  - {receiver: b, continue: true}
                  - {receiver: c}
              receivers: [{name: a}, {name: b}, {name: c}]
            """
        let root = try Fixtures.notify(text).route
        var groups = NotificationGroups(root: root)
        groups.insert(alert("a", at: 1000), now: 1000)
        #expect(groups.due(now: 1000).map(\.route.receiver) == ["a", "b", "c"])

        // After a restart in the middle: who was told keeps the rhythm, who was not is told at once.
        let alert = alert("a", at: 1000)
        let key = OutboxLane(groupKey: "{}/{}:{}", receiver: "a", integration: "webhook[0]")
        let memory = GroupMemory(key: key, firing: [alert.fingerprint], resolved: [], toldAt: 1000)
        var again = NotificationGroups(root: root, alerts: [alert], memories: [key: memory], now: 2000)
        #expect(again.due(now: 2000).map(\.route.receiver) == ["b", "c"])
    }

    @Test func aRestartKeepsTheRhythm() throws {
        let root = try Fixtures.notify(RoutingTests.text).route
        let alert = alert("a", at: 1000)
        let fresh = NotificationGroups(root: root, alerts: [alert], memories: [:], now: 5000)
        #expect(fresh.nextTime == 11_000)
        let key = OutboxLane(groupKey: "{}:{alertname=\"X\"}", receiver: "default", integration: "webhook[0]")
        let memory = GroupMemory(key: key, firing: [alert.fingerprint], resolved: [], toldAt: 11_000)
        let told = NotificationGroups(root: root, alerts: [alert], memories: [key: memory], now: 200_000)
        #expect(told.nextTime == 251_000)
    }

    @Test func retriesBackOffApart() {
        let delays = (1...12).map { RetryDelay.milliseconds(attempts: $0, key: "k") }
        #expect(delays[0] >= 800 && delays[0] <= 1200)
        #expect(zip(delays.dropFirst(), delays).prefix(7).allSatisfy { $0 > $1 })
        #expect(delays.allSatisfy { $0 <= 360_000 })
        #expect(Set((0..<100).map { RetryDelay.milliseconds(attempts: 5, key: "\($0)") }).count > 80)
        #expect(RetryDelay.milliseconds(attempts: 5, key: "k") == RetryDelay.milliseconds(attempts: 5, key: "k"))
    }

    @Test func tokensRunOutAndComeBack() {
        var bucket = TokenBucket(DeliveryLimits(burst: 2, perSecond: 1, ageMaximumMilliseconds: 1), now: 0)
        let takes = [bucket.take(now: 0), bucket.take(now: 0), bucket.take(now: 0), bucket.take(now: 1000)]
        #expect(takes == [nil, nil, 1000, nil])
        // A clock that goes back gives nothing and takes nothing.
        let back = bucket.take(now: -5000)
        #expect(back == -4000)
    }
}
