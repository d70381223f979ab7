import Telemetry
import Testing

@testable import Alerting

/// The life of an alert: Prometheus' rules, and the third answer that keeps what is not seen.
@Suite struct AlertStateMachineTests {
    private static let labels = Labels(["alertname": "A", "name": "web"])

    /// Alerts of one rule, moved through evaluations a second apart.
    private struct Life {
        var settings = AlertStateMachine.Settings()
        var now: Int64 = 1_000_000
        var alerts: [Labels: AlertInstance] = [:]

        mutating func step(
            _ matching: Bool, absence: AlertStateMachine.Absence = .noMatch, after milliseconds: Int64 = 1000,
            woken: Bool = false
        ) -> [AlertStateMachine.Transition?] {
            now += milliseconds
            let match = AlertStateMachine.Match(
                labels: labels, seriesLabels: .empty, annotations: [:], value: Double(now))
            let machine = AlertStateMachine(settings: settings, now: now, rule: "r")
            let (changes, _) = machine.evaluate(
                alerts, matches: matching ? [labels: match] : [:], isWoken: woken, absence: { _ in absence })
            for change in changes {
                let isGone = change.transition == .dropped || change.transition == .forgotten
                alerts[change.instance.labels] = isGone ? nil : change.instance
            }
            return changes.map(\.transition)
        }

        var alert: AlertInstance? { alerts[labels] }
    }

    @Test func anAlertWithoutForFiresAtOnce() {
        var life = Life()
        #expect(life.step(true) == [.firing])
        #expect(life.alert?.activeAt == 1_001_000)
        #expect(life.alert?.firedAt == 1_001_000)
        #expect(life.step(true) == [nil])
        #expect(life.step(false) == [.resolved])
        #expect(life.alert?.resolveReason == .recovered)
    }

    @Test func forHoldsAnAlertPendingAndDropsItInSilence() {
        var life = Life()
        life.settings.forMilliseconds = 3000
        #expect(life.step(true) == [.pending])
        #expect(life.step(true) == [nil])
        #expect(life.step(false) == [.dropped])
        #expect(life.alert == nil)
        #expect(life.step(true) == [.pending])
        #expect(life.step(true) == [nil])
        #expect(life.step(true) == [nil])
        #expect(life.step(true) == [.firing])
        #expect(life.alert?.firedAt == life.now)
    }

    @Test func keepFiringForHoldsAFiringAlert() {
        var life = Life()
        life.settings.keepFiringForMilliseconds = 2000
        #expect(life.step(true) == [.firing])
        #expect(life.step(false) == [.keptFiring])
        #expect(life.alert?.keepFiringSince == life.now)
        #expect(life.step(true) == [.matchedAgain])
        #expect(life.step(false) == [.keptFiring])
        #expect(life.step(false) == [])
        #expect(life.step(false) == [.resolved])
    }

    @Test func missingTelemetryNeverReadsAsRecovery() {
        var life = Life()
        #expect(life.step(true) == [.firing])
        #expect(life.step(false, absence: .noData) == [.lostData])
        #expect(life.alert?.state == .firing)
        for _ in 0..<100 { #expect(life.step(false, absence: .noData) == []) }
        #expect(life.alert?.state == .firing)
        #expect(life.step(true) == [.regainedData])
        #expect(life.alert?.noDataSince == nil)
        #expect(life.step(false, absence: .noData) == [.lostData])
        // Data is back and says that it is over.
        #expect(life.step(false, absence: .noMatch) == [.resolved])
    }

    @Test func aPendingAlertWithoutDataNeitherFiresNorGoes() {
        var life = Life()
        life.settings.forMilliseconds = 2000
        #expect(life.step(true) == [.pending])
        #expect(life.step(false, absence: .noData, after: 60_000) == [.lostData])
        #expect(life.alert?.state == .pending)
        #expect(life.step(true) == [.firing])
    }

    @Test func anAlertWithoutDataEndsSayingSo() {
        var life = Life()
        _ = life.step(true)
        _ = life.step(false, absence: .noData)
        #expect(life.step(false, absence: .noData, after: 86_400_001) == [.resolved])
        #expect(life.alert?.resolveReason == .noDataExpired)
    }

    @Test func aRemovedTargetEndsItsAlert() {
        var life = Life()
        _ = life.step(true)
        _ = life.step(false, absence: .noData)
        #expect(life.step(false, absence: .targetRemoved) == [.resolved])
        #expect(life.alert?.resolveReason == .targetRemoved)
    }

    @Test func aResolvedAlertIsRememberedForAQuarterOfAnHour() {
        var life = Life()
        _ = life.step(true)
        _ = life.step(false)
        #expect(life.step(false, after: 900_000) == [])
        #expect(life.step(false, after: 1) == [.forgotten])
        #expect(life.alert == nil)
    }

    @Test func aResolvedAlertThatMatchesAgainBeginsAnew() {
        var life = Life()
        _ = life.step(true)
        let first = life.alert?.activeAt
        _ = life.step(false)
        #expect(life.step(true) == [.firing])
        #expect(life.alert?.activeAt != first)
        #expect(life.alert?.resolvedAt == nil)
    }

    @Test func theLimitKeepsWhatIsThereAndRefusesMore() {
        var settings = AlertStateMachine.Settings()
        settings.limit = 2
        let machine = AlertStateMachine(settings: settings, now: 1000, rule: "r")
        var matches: [Labels: AlertStateMachine.Match] = [:]
        for name in ["a", "b", "c", "d"] {
            let labels = Labels(["name": name])
            matches[labels] = AlertStateMachine.Match(labels: labels, seriesLabels: .empty, annotations: [:], value: 1)
        }
        let (changes, refused) = machine.evaluate([:], matches: matches, isWoken: false) { _ in .noMatch }
        #expect(changes.count == 2)
        #expect(refused == 2)
    }

    @Test func anAlertOfAnEventIsUrgent() {
        var life = Life()
        _ = life.step(true, woken: true)
        #expect(life.alert?.isUrgent == true)
    }
}
