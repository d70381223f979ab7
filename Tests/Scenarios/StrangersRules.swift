internal import Foundation
internal import ScenarioSupport
internal import Testing

/// Rules as strangers write them, in Prometheus' own style: they run, and one broken file stops nobody else.
@Suite(.serialized) struct StrangersRules {
    @Test func allKindsOfRules() async throws {
        var options = ServerStage.Options()
        options.command = "up"
        options.rules = ["recording.yml": recording, "alerts.yaml": alerts, "team/more.yml": more]
        try await ServerStage.play("rules", options) { stage in
            let check = try ChildProcess.run(VedetteProcess.binary, ["rules", "check", stage.scratch.file("rules")])
            #expect(check.status == 0 && check.output.contains(" 0 errors"), "\(check.output)")

            // Recording rules: by name, with labels, chained, and on quoted names of UTF-8.
            await expectSoon("both series are recorded", seen: { try await stage.vedette.get("/api/v1/rules").body }) {
                let load = try await stage.vedette.instant("node:load1:max5s{team=\"storage\"}")
                let chained = try await stage.vedette.instant("{\"node.load1.doubled\", quantile=\"1\"}")
                return load.count == 1 && chained.count == 1 && chained.first?.value.isFinite == true
            }

            try await expectAlerts(stage)
            let unhealthy = try await stage.vedette.json("/api/v1/rules")["data"]["groups"].array
                .flatMap(\.["rules"].array).filter { $0["health"].string != "ok" }
            #expect(unhealthy.isEmpty, "\(unhealthy)")

            // keep_firing_for: the expression stops matching, the alert stays; `for` and templates as written.
            try await expectKeepFiring(stage)
        }
    }

    private func expectAlerts(_ stage: ServerStage) async throws {
        let wanted = [
            "NobodyReports": "firing", "Patient": "pending", "Prompt": "firing", "LoadIsKnown": "firing",
            "Grouped": "firing", "Sticky": "firing",
        ]
        await expectSoon("exactly these alerts are there", seen: { "\(try await states(stage))" }) {
            try await states(stage) == wanted
        }

        let list = try await stage.vedette.json("/api/v1/alerts")["data"]["alerts"].array
        let absent = try #require(list.first { $0["labels"]["alertname"].string == "NobodyReports" })
        // absent() carries the labels of its equality matchers, as in Prometheus.
        #expect(absent["labels"]["job"].string == "ghost" && absent["labels"]["severity"].string == "page")
        #expect(absent["annotations"]["summary"].string == "ghost is absent (value 1)", "\(absent)")
        let templated = try #require(list.first { $0["labels"]["alertname"].string == "Prompt" })
        #expect(templated["labels"]["tier"].string == "tier-2k", "\(templated)")
        let description = templated["annotations"]["description"].string
        #expect(description == "1.536k, 1.5ki, 150%, 0001536, 25m 36s")
        #expect(templated["annotations"]["listing"].string == "[node_load1]", "\(templated)")
        #expect(templated["annotations"]["branch"].string == "BIG: prompt", "\(templated)")
    }

    private func expectKeepFiring(_ stage: ServerStage) async throws {
        let text = more.replacingOccurrences(of: "expr: vector(7) > 5 # sticky", with: "expr: vector(3) > 5 # sticky")
        try stage.scratch.write("rules/team/more.yml", text)
        let reload = try await stage.vedette.post("/-/reload")
        #expect(reload.status == 200, "\(reload.body)")
        await expectSoon("the alert is kept firing") {
            try await stage.vedette.json("/api/v1/alerts")["data"]["alerts"].array.contains {
                $0["labels"]["alertname"].string == "Sticky" && $0["state"].string == "firing"
                    && $0["keepFiringSince"].exists
            }
        }
        await expectSoon("it is let go") { try await states(stage)["Sticky"] == nil }
    }

    @Test func aBrokenFileStopsNobodyElse() async throws {
        var options = ServerStage.Options()
        options.rules = ["good.yml": ServerStage.alwaysFiring("Good"), "bad.yml": ServerStage.alwaysFiring("Bad")]
        try await ServerStage.play("broken", options) { stage in
            await expectSoon("both are told") { stage.providers[0].accepted(status: "firing").count == 2 }
            try stage.scratch.write("rules/bad.yml", broken)
            try stage.scratch.write("rules/bad.remedy.yml", brokenRemedy)
            let check = try ChildProcess.run(VedetteProcess.binary, ["rules", "check", stage.scratch.file("rules")])
            #expect(check.status == 1)
            for (file, line, words) in [
                ("bad.yml", 5, "unclosed"), ("bad.yml", 6, "fro"), ("bad.yml", 10, "template"),
                ("bad.yml", 12, "reccord"),
                ("bad.remedy.yml", 4, "match"), ("bad.remedy.yml", 9, "sometimes"),
            ] {
                let place = "\(stage.scratch.file("rules"))/\(file):\(line)"
                let line = check.output.split(separator: "\n").first { $0.contains(place) && $0.contains(words) }
                #expect(line != nil, "\(place) \(words) is not in\n\(check.output)")
            }

            // A server that comes back on these files watches what it can, and takes nothing else for recovered.
            await stage.vedette.kill()
            try await stage.vedette.restart()
            #expect(stage.vedette.process.output.contains("rules/bad.yml:5"), "\(stage.vedette.process.output)")
            let groups = try await stage.vedette.json("/api/v1/rules")["data"]["groups"].array
            #expect(groups.map { $0["name"].string } == ["Good"])
            let page = try await stage.vedette.get("/metrics").body
            #expect(page.contains("\nvedette_rule_files_left_out 2\n"))
            #expect(page.contains("\nvedette_config_last_reload_successful 0\n"))
            await expectSoon("the good file is evaluated") {
                let group = try await stage.vedette.json("/api/v1/rules")["data"]["groups"][0]
                return group["rules"][0]["health"].string == "ok"
            }
            #expect(try await states(stage) == ["Good": "firing", "Bad": "firing"])
            #expect(stage.providers[0].accepted(status: "resolved").isEmpty, "a mistake in a file is no recovery")

            // Mended: taken over; the alert whose rule is really gone is over.
            try stage.scratch.write("rules/bad.yml", ServerStage.alwaysFiring("Mended"))
            try FileManager.default.removeItem(atPath: stage.scratch.file("rules/bad.remedy.yml"))
            let reload = try await stage.vedette.post("/-/reload")
            #expect(reload.status == 200, "\(reload.body)")
            await expectSoon("the alert of the rule that is gone is over", seen: { "\(try await states(stage))" }) {
                try await states(stage) == ["Good": "firing", "Mended": "firing"]
                    && stage.providers[0].accepted(status: "resolved").count == 1
            }
        }
    }

    /// Alert names and their states.
    private func states(_ stage: ServerStage) async throws -> [String: String] {
        let list = try await stage.vedette.json("/api/v1/alerts")["data"]["alerts"].array
        return list.reduce(into: [:]) { $0[$1["labels"]["alertname"].string] = $1["state"].string }
    }

    private let recording = """
        groups:
          - name: node.rules
            interval: 1s
            limit: 10
            labels:
              team: storage
            rules:
              - record: node:load1:max5s
                expr: |
                  max by (node) (
                    max_over_time(node_load1[5s])  # a comment in the expression
                  )
              - record: "node.load1.doubled"
                expr: 2 * node:load1:max5s
                labels: {quantile: "1"}
        """

    private let alerts = """
        groups:
          - name: absent
            interval: 1s
            rules:
              - alert: NobodyReports
                expr: absent(up{job="ghost", instance=~".+"})
                labels: {severity: page}
                annotations:
                  summary: '{{ $labels.job }} is absent (value {{ $value }})'
              - alert: NeverTrue
                expr: absent(node_load1)
                for: 3s
              - alert: Patient
                expr: vector(1)
                for: 1h
              - alert: Prompt
                expr: vector(1536) > 1e3
                labels:
                  tier: 'tier-{{ if gt $value 1000.0 }}{{ printf "%.0f" 2.0 }}k{{ else }}0{{ end }}'
                annotations:
                  description: >-
                    {{ humanize $value }}, {{ humanize1024 $value }}, {{ humanizePercentage 1.5 }},
                    {{ printf "%07.0f" $value }}, {{ humanizeDuration $value }}
                  listing: '[{{ with query "node_load1" }}{{ . | first | label "__name__" }}{{ end }}]'
                  branch: '{{ if eq $value 1536.0 }}BIG{{ else }}SMALL{{ end }}: {{ "Prompt" | toLower }}'
              - alert: LoadIsKnown
                expr: node_load1 >= 0 and on (node) node_memory_MemTotal_bytes > 1e6
                for: 2s
        """

    private let more = """
        groups:
          - name: more
            interval: 1s
            rules:
              - alert: Sticky
                expr: vector(7) > 5 # sticky
                keep_firing_for: 4s
              - alert: Grouped
                expr: count by (node) ({__name__=~"node_load(1|5|15)", node!=""}) == 3
        """

    private let broken = """
        groups:
          - name: Bad
            rules:
              - alert: Bad
                expr: sum(rate(node_load1[5m])
                fro: 5m
              - alert: Template
                expr: vector(1)
                annotations:
                  summary: '{{ $labels.node'
              - alert: Fine
              - reccord: a:b
                expr: vector(1)
        """

    private let brokenRemedy = """
        remedies:
          - name: everything
            match:
              - alertname=~".*"
            action: container.restart
          - name: moody
            match: [alertname="Bad"]
            action: container.restart
            mode: sometimes
        """
}
