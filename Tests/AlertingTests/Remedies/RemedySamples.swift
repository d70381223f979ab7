import Telemetry

@testable import Alerting

/// A remedy, an alert it is about, and actions in every state: what tests of remedies begin with.
enum RemedySamples {
    static let target = String(repeating: "0123456789abcdef", count: 4)

    static func remedy(_ more: String = "", mode: String = "auto") throws -> Remedy {
        try Fixtures.remedy(
            """
            remedies:
              - name: restart
                match: {alertname: OOM}
                action: container.restart
                mode: \(mode)
                verify: {for: 2s, within: 60s}
                \(more)
            """)
    }

    static let alert = AlertInstance(
        rule: "r", labels: Labels(["alertname": "OOM", "id": "/docker/\(target)", "node": "n1", "name": "web"]),
        seriesLabels: .empty, annotations: [:], state: .firing, activeAt: 1000, firedAt: 1000, resolvedAt: nil,
        resolveReason: nil, keepFiringSince: nil, lastMatchAt: 1000, value: 1, noDataSince: nil, isUrgent: true)

    static func record(
        _ state: ActionRecord.State = .blocked, id: String = "inst-1", at time: Int64 = 1000
    ) -> ActionRecord {
        ActionRecord(
            id: id, remedy: "restart", rung: 0, action: "container.restart", arguments: [:], target: target, node: "n1",
            service: "web", mode: "auto", alert: alert.key, alertFiredAt: 1000, state: state, reason: "proposed",
            createdAt: time, commandedAt: state.countsAsDone ? time : nil, expiresAt: nil, evidencePath: "",
            evidenceHash: "", approvedBy: "", doneAt: nil, quietSince: nil, auditSequence: 0,
            history: [ActionRecord.Step(at: time, state: state, text: "")])
    }
}
