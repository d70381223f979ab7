import Alerting
import TestSupport

/// Breaks good rule and remedy files byte by byte: each must be read or refused with a place in the file.
struct RuleFileFuzzer: Fuzzer {
    static let name = "rule-files"

    private static let rules = """
        groups:
          - name: containers
            interval: 30s
            limit: 10
            labels: {team: platform}
            rules:
              - record: job:up:sum
                expr: sum by (job) (up)
              - alert: InstanceDown
                expr: up{job="x"} == 0
                for: 5m
                labels: {severity: '{{ $labels.job | toUpper }}'}
                annotations:
                  summary: '{{ $labels.instance }} is down for {{ $value | humanizeDuration }}'
        """

    private static let remedies = """
        remedies:
          - name: restart
            match: ['alertname="X"', severity=~"critical|page"]
            action: container.restart
            arguments: {grace: 10}
            mode: auto
            cooldown: 5m
            budget: {service: 3/1h}
            max_unhealthy: 40%
            contraindications: ['node_load1{node="{{ $labels.node }}"} > 10']
            blackout: [{days: [mon-fri], from: "09:00", to: "15:30", timezone: "+08:00"}]
            verify: {for: 10s, within: 5m}
        """

    private static let pieces = [
        ":", "-", "\n", " ", "  ", "{", "}", "[", "]", "'", "\"", "|", ">", "&a", "*a", "!!", "#", "\t", "0", "5m",
        "null", "~",
        "expr", "{{", "}}", "é", "\u{0}", "...", "---",
    ]

    static func run(seed: UInt64, events: Int) throws {
        var random = SeededGenerator(seed: seed)
        for event in 0..<events {
            let isRemedy = random.oneIn(2)
            var bytes = Array((isRemedy ? remedies : rules).utf8)
            for _ in 0..<random.int(in: 1..<6) {
                let place = random.int(in: 0..<bytes.count)
                switch random.int(in: 0..<3) {
                case 0: bytes.remove(at: place)
                case 1: bytes.insert(contentsOf: Array(random.pick(pieces).utf8), at: place)
                default: bytes.removeSubrange(place..<min(bytes.count, place + random.int(in: 1..<30)))
                }
            }
            let text = String(decoding: bytes, as: UTF8.self)
            let path = isRemedy ? "f.remedy.yml" : "f.yml"
            let content = AlertingFiles.read([AlertingFiles.Source(path: path, text: text)])
            let lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }.count
            for finding in content.findings
            where finding.line < 0 || finding.line > lines + 1 || finding.message.isEmpty {
                throw FuzzFinding(seed: seed, event: event, "no place in the file: \(finding)")
            }
            if isRemedy, content.isUsable, content.remedies.contains(where: { $0.match.isEmpty }) {
                throw FuzzFinding(seed: seed, event: event, "a remedy that matches everything: \(text)")
            }
        }
    }
}
