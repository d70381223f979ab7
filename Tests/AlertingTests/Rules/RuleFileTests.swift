import Foundation
import Query
import TestSupport
import Testing
import Wire

@testable import Alerting

/// Rule files are read as Prometheus reads them; what is wrong with one is told with its place and what to do.
@Suite struct RuleFileTests {
    @Test func aPrometheusRuleFileIsReadWhole() throws {
        let group = try Fixtures.group(Fixtures.text("rules/good.yml"))
        #expect(group.name == "containers")
        #expect(group.intervalMilliseconds == 30_000)
        #expect(group.limit == 10)
        #expect(group.queryOffsetMilliseconds == 5000)
        #expect(group.rules.map(\.name) == ["job:up:sum", "InstanceDown", "InstanceDown"])
        #expect(group.rules.map(\.line) == [10, 14, 24])
        let down = group.rules[1]
        guard case .alert(let settings) = down.kind else {
            Issue.record("no alert")
            return
        }
        #expect(settings.forMilliseconds == 300_000)
        #expect(settings.keepFiringForMilliseconds == 60_000)
        #expect(settings.annotations.map(\.name) == ["summary", "empty"])
        // The rule's own labels win over the group's.
        #expect(
            Dictionary(uniqueKeysWithValues: down.labels.map { ($0.name, $0.template.text) })
                == ["team": "platform", "severity": "critical"])
        #expect(group.rules[0].labels.contains { $0.template.text == "{{ not a template }}" && $0.template.isLiteral })
    }

    @Test func equalNamesInOneGroupAreToldApartAndEditsKeepTheIdentity() throws {
        let text = try Fixtures.text("rules/good.yml")
        let before = try Fixtures.group(text).rules.map(\.identity)
        #expect(Set(before).count == 3)
        let edited = text.replacing("expr: up == 0", with: "expr: up < 1")
        #expect(try Fixtures.group(edited).rules.map(\.identity) == before)
    }

    @Test(arguments: Fixtures.bad("rules"))
    func aBadRuleFileIsRefusedWithItsPlace(_ file: Fixtures.Bad) {
        let findings = AlertingFiles.read([AlertingFiles.Source(path: file.name, text: file.text)]).findings
        #expect(findings.first?.description == file.expected)
    }

    /// What people copy from docs/specs/remedy.md is read, and asks the agent for nothing that it does not know.
    @Test func theExampleOfThePageIsRead() throws {
        let page = Fixtures.folder.appendingPathComponent("../../../docs/specs/remedy.md")
        let text = try String(contentsOf: page, encoding: .utf8)
        let block = try #require(text.components(separatedBy: "```yaml\n").dropFirst().first)
        let remedy = try Fixtures.remedy(block.components(separatedBy: "```")[0])
        #expect(remedy.ladder.map(\.arguments) == [[ActionArgument.grace: "10"]])
    }

    @Test(arguments: Fixtures.bad("remedies"))
    func aBadRemedyFileIsRefusedWithItsPlace(_ file: Fixtures.Bad) {
        let findings = RemedyFileReader.read(file.text, file: file.name).findings
        #expect(findings.first?.description == file.expected)
    }

    @Test func everythingWrongWithARemedyIsToldAtOnce() {
        let text = """
            remedies:
              - name: first
                match: {}
                mode: perhaps
                action: container.explode
                cooldown: soon
                budget: {rule: many}
                max_unhealthy: 900%
                contraindications: ["up ==", "rate(", "1"]
                verify: {for: 5m, within: 1m}
                evidence: {lines: -1}
                blackout: [{from: "25:00", to: "01:00"}, {from: "09:00", to: "10:00", days: [someday]}]
                backof: {factor: 2}
                colldown: 5m
              - name: second
                match: {alertname: A}
                ladder:
                  - action: container.explode
                  - {action: container.restart, arguments: {timeout: 5}}
            """
        let (remedies, findings) = RemedyFileReader.read(text, file: "r.yml")
        #expect(remedies.isEmpty)
        for words in [
            "match selects every alert", "mode is perhaps", "container.explode is no action", "many is no budget",
            "900% is no share", "verify can never succeed", "is no time of day", "someday is no day",
            "unknown key backof", "unknown key colldown", "has no argument timeout",
        ] {
            #expect(findings.contains { $0.message.contains(words) }, "\(words)")
        }
        #expect(findings.count { $0.message.contains("bad expression") } == 2)
        #expect(findings.count { $0.message.contains("container.explode") } == 2)
        #expect(findings.count == 16)
        #expect(findings.filter { $0.rule == "second" }.map(\.line) == [18, 19])
    }

    @Test(arguments: Fixtures.bad("alerting"))
    func aBadAlertingSectionIsRefusedWithItsPlace(_ file: Fixtures.Bad) throws {
        var root = try YAMLValue.parse(file.text, file: file.name)?.mapping()
        let section = root?.optional("alerting")
        do {
            _ = try NotifyConfiguration.read(section)
            Issue.record("it was taken")
        } catch {
            #expect(error.description == file.expected)
        }
    }

    @Test func everyFixtureFolderHasFiles() {
        #expect(Fixtures.bad("rules").count >= 11)
        #expect(Fixtures.bad("remedies").count >= 9)
        #expect(Fixtures.bad("alerting").count >= 6)
    }

    @Test func allThatIsWrongIsToldInOnePass() {
        let text = """
            groups:
              - name: a
                rules:
                  - alert: X
                    expr: sum(
                  - alert: Y
                    exp: up
                  - alert: Z
                    expr: up
              - name: b
                intervall: 5s
            """
        let (groups, findings) = RuleFileReader.read(text, file: "f.yml")
        // Of Y the misspelt key, not what is missing because of it.
        #expect(findings.map(\.rule) == ["X", "Y", ""])
        #expect(findings.map(\.group) == ["a", "a", "b"])
        #expect(findings[1].message == "unknown key exp; did you mean expr?")
        #expect(groups.first?.rules.map(\.name) == ["Z"])
    }

    @Test func keysOfOtherToolsMayBePassedOver() {
        let text = """
            partial_response_strategy: warn
            groups:
              - name: a
                source_tenants: [x]
                rules:
                  - alert: X
                    expr: up
                    runbook: none
                  - alert: Y
                    exp: up
            """
        let strict = RuleFileReader.read(text, file: "f.yml")
        #expect(strict.findings.count >= 4, "\(strict.findings)")
        let lax = RuleFileReader.read(text, file: "f.yml", ignoresUnknownFields: true)
        #expect(lax.findings.map(\.message) == ["unknown key exp; did you mean expr?"], "\(lax.findings)")
        #expect(lax.groups.first?.rules.map(\.name) == ["X"])
    }

    @Test func everyMistakeOfARuleIsTold() {
        let text = """
            groups:
              - name: a
                interval: [1s]
                rules:
                  - alert: X
                    expr: rate(up)
                    for: soon
                    labels: {s: "{{ $label }}", t: "{{ if }}", u: "{{ $value }}"}
                    annotations: summary
                  - record: x
                    expr: up
                    for: 5m
                    annotations: {a: b}
            """
        let findings = RuleFileReader.read(text, file: "f.yml").findings
        #expect(findings.map(\.line) == [3, 6, 7, 9, 8, 8, 12, 13])
        #expect(findings[2].message.hasSuffix("write for example 15s, 5m, 1h30m or 7d"))
    }

    @Test func filesWithoutErrorsCanBeUsedAlone() {
        let good = AlertingFiles.Source(path: "good.yml", text: "groups: [{name: g, rules: [{alert: A, expr: up}]}]")
        let bad = AlertingFiles.Source(
            path: "bad.yml", text: "groups: [{name: g, rules: [{alert: B, expr: up}, {alert: C, expr: up(}]}]")
        let noText = AlertingFiles.Source(path: "latin.yml", bytes: Array("groups: [] # ".utf8) + [0xe9])
        let content = AlertingFiles.read([good, bad, noText])
        #expect(!content.isUsable && content.brokenFiles == ["bad.yml", "latin.yml"])
        #expect(content.withoutBrokenFiles.groups.map(\.file) == ["good.yml"])
        // Nobody knows what a broken file would say, so what it said before is not taken for gone.
        var configuration = AlertingConfiguration(groups: content.withoutBrokenFiles.groups)
        configuration.brokenFiles = content.brokenFiles
        #expect(configuration.mayHold(rule: "bad.yml;g;B;0") && !configuration.mayHold(rule: "good.yml;g;Old;0"))
    }

    @Test func twinsAreWarnedOfAndUsableAllTheSame() {
        let text = """
            groups:
              - name: a
                rules:
                  - record: x
                    expr: up
                  - record: x
                    expr: up
            """
        let content = AlertingFiles.read([AlertingFiles.Source(path: "f.yml", text: text)])
        #expect(content.findings.map(\.severity) == [.warning])
        #expect(content.isUsable)
        #expect(content.ruleCount == 2)
    }

    @Test func aRemedyWithDefaultsOnlyRecords() throws {
        let remedy = try Fixtures.remedy(
            """
            remedies:
              - name: restart
                match: {alertname: ContainerOOMKilled}
                action: container.restart
            """)
        #expect(remedy.mode == .shadow)
        #expect(remedy.evidenceLines == 50)
        #expect(remedy.evidenceWindowMilliseconds == 300_000)
        #expect(remedy.cooldownMilliseconds == 300_000)
        #expect(remedy.budgets.map(\.count) == [10, 3, 20])
    }

    @Test func randomFilesEnd() throws {
        try RuleFileFuzzer.runFromTable()
    }
}
