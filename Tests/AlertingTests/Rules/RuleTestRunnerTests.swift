import TSDB
import Telemetry
import TestSupport
import Testing
import Wire

@testable import Alerting

/// Rule unit tests in promtool's format, over a real metric database on a simulated disk.
@Suite struct RuleTestRunnerTests {
    private static let rules = """
        groups:
        - name: first
          rules:
          - record: job:up:sum
            expr: sum by (job) (up)
        - name: second
          rules:
          - alert: Down
            expr: up == 0
            for: 5m
            labels: {severity: page}
            annotations: {summary: "{{ $labels.instance }} is down in {{ $externalLabels.site }}"}
          - alert: Held
            expr: up == 0
            keep_firing_for: 3m
          - alert: Total
            expr: job:up:sum{job="a"} < 1 and on() (ALERTS{alertname="Down", alertstate="firing"})
        """

    private func run(_ tests: String, rules: String = rules) async throws -> RuleTestRunner.Outcome {
        let file = try RuleTestFile("rule_files: [rules.yml]\n\(tests)", path: "test.yml")
        let runner = RuleTestRunner(clock: ManualClock()) {
            var options = MetricDatabaseOptions()
            options.behindMilliseconds = .max / 4
            options.reserveBytes = 4 << 10
            options.segmentBytes = 1 << 20
            let clock = ManualClock()
            clock.advance(milliseconds: 1 << 42)
            return try MetricDatabase.open(
                storage: SimulatedStorage(seed: 1), folder: "metrics", options: options, wallClock: clock)
        }
        return try await runner.run(file, rules: RuleFileReader.read(rules, file: "rules.yml").groups)
    }

    private static let input = """
          input_series:
          - {series: 'up{job="a", instance="one"}', values: '1 1 0x10'}
        """

    @Test func alertsFireAfterTheirTimeWithLabelsAndAnnotations() async throws {
        let outcome = try await run(
            """
            tests:
            - external_labels: {site: north}
            \(RuleTestRunnerTests.input)
              alert_rule_test:
              - {alertname: Down, eval_time: 6m59s}
              - alertname: Down
                eval_time: 7m
                exp_alerts:
                - exp_labels: {job: a, instance: one, severity: page}
                  exp_annotations: {summary: one is down in north}
              - {alertname: Held, eval_time: 1m}
              - {alertname: Held, eval_time: 2m, exp_alerts: [{exp_labels: {job: a, instance: one}}]}
            """)
        #expect(outcome.failures == [])
        #expect(outcome.passed == 4)
    }

    @Test func laterGroupsSeeWhatEarlierOnesRecorded() async throws {
        let outcome = try await run(
            """
            group_eval_order: [first, second]
            tests:
            -
            \(RuleTestRunnerTests.input)
              alert_rule_test:
              - {alertname: Total, eval_time: 7m, exp_alerts: [{exp_labels: {job: a}}]}
              promql_expr_test:
              - {expr: 'job:up:sum', eval_time: 1m, exp_samples: [{labels: 'job:up:sum{job="a"}', value: 1}]}
              - {expr: '1 / 0', eval_time: 1m, exp_samples: [{value: .inf}]}
              - {expr: 'up > 2', eval_time: 1m}
            """)
        #expect(outcome.failures == [])
        #expect(outcome.passed == 4)
    }

    @Test func aWrongExpectationFailsWithPlaceAndBothSides() async throws {
        let outcome = try await run(
            """
            tests:
            - name: wrong
            \(RuleTestRunnerTests.input)
              alert_rule_test:
              - {alertname: Held, eval_time: 2m}
              promql_expr_test:
              - {expr: up, eval_time: 1m, exp_samples: [{labels: 'up{job="a", instance="one"}', value: 2}]}
            """)
        #expect(outcome.passed == 0)
        #expect(outcome.failed == 2)
        #expect(
            outcome.failures == [
                """
                test.yml:7: test wrong: alertname: Held, time: 2m
                    expected: nothing
                    got:
                        {alertname="Held", instance="one", job="a"} annotations {}
                """,
                """
                test.yml:9: test wrong: expr: up, time: 1m
                    expected:
                        up{instance="one", job="a"} 2
                    got:
                        up{instance="one", job="a"} 1
                """,
            ])
    }

    @Test func numbersMayDifferInTheirLastBitOnlyWhenAsked() async throws {
        let tests = """
            tests:
            - input_series: [{series: low, values: 2.9999999999999996}]
              promql_expr_test:
              - {expr: low, exp_samples: [{labels: low, value: 3}]}
            """
        #expect(try await run(tests).failed == 1)
        #expect(try await run("fuzzy_compare: true\n" + tests).passed == 1)
    }

    @Test func seriesThatStopEndTheirAlertsAndTheDifferenceIsTold() async throws {
        let outcome = try await run(
            """
            tests:
            -
              input_series: [{series: 'up{job="a"}', values: '0x3'}]
              alert_rule_test:
              - {alertname: Held, eval_time: 11m}
            """)
        #expect(outcome.failures == [])
        let note = outcome.notes.first { $0.contains("alert Held ends at 11m") }
        #expect(note?.contains("keeps it firing, without data") == true)
    }

    @Test func aRuleThatCannotBeEvaluatedFailsEveryCaseBehindIt() async throws {
        let outcome = try await run(
            """
            tests:
            - input_series:
              - {series: 'a{x="1"}', values: 1}
              - {series: 'b{y="1"}', values: 1}
              - {series: 'b{y="2"}', values: 1}
              promql_expr_test:
              - {expr: a, exp_samples: [{labels: 'a{x="1"}', value: 1}]}
              - {expr: a}
            """, rules: "groups: [{name: g, rules: [{record: r, expr: a * on() b}]}]")
        #expect(outcome.passed == 0)
        #expect(outcome.failed == 2)
        #expect(outcome.failures.count == 1)
    }

    @Test(arguments: [
        ("tests:\n- intervall: 1m", "test.yml:3:3: unknown key intervall; did you mean interval?"),
        ("tests:\n- alert_rule_test: [{eval_time: 5m}]", "test.yml:3:21: alertname is missing"),
        ("group_eval_order: [a, a]", "test.yml:2:19: a group is twice in group_eval_order"),
    ])
    func mistakesInTheFileAreNamedWithTheirPlace(_ tests: String, _ expected: String) throws {
        #expect {
            _ = try RuleTestFile("rule_files: []\n\(tests)", path: "test.yml")
        } throws: { error in
            "\(error)" == expected
        }
    }
}
