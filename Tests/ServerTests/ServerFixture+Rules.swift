import Alerting
import Testing

/// The rules and remedies every test server has.
extension ServerFixture {
    private static let ruleFile = """
        groups:
          - name: containers
            interval: 1s
            rules:
              - record: job:up:sum
                expr: sum by (job) (up)
              - alert: ContainerOOMKilled
                expr: container_oom_events_total > 0
                labels:
                  severity: page
                annotations:
                  summary: "{{ $labels.name }} ran out of memory"
        """

    private static let remedyFile = """
        remedies:
          - name: restart-after-oom
            match:
              alertname: ContainerOOMKilled
            mode: approve
            action: container.restart
        """

    /// What alerting starts with.
    static func rules() throws -> AlertingConfiguration {
        let (groups, findings) = RuleFileReader.read(ruleFile, file: "rules/containers.yml")
        try #require(findings.isEmpty, "\(findings)")
        let (remedies, remedyFindings) = RemedyFileReader.read(remedyFile, file: "rules/containers.remedy.yml")
        try #require(remedyFindings.isEmpty, "\(remedyFindings)")
        return AlertingConfiguration(groups: groups, remedies: remedies, evaluationIntervalMilliseconds: 1_000)
    }
}
