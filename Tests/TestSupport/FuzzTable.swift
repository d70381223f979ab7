internal import Glibc

/// The one table of fuzzers. `TidyTests` compares it with the fuzzers there are; the canary must fail.
package enum FuzzTable {
    /// How many events each fuzzer gets in every test run, by name.
    package static let events: [String: Int] = [
        "agent-batch": 3_000,
        "agent-spool": 800,
        "agent-tail": 2_000,
        "compression": 2_000,
        "exposition": 3_000,
        "json": 3_000,
        "labels": 5_000,
        "log-part": 1_200,
        "logql": 20_000,
        "loki-push": 3_000,
        "metric-block": 400,
        "metric-record": 2_000,
        "promql-parser": 3_000,
        "promql-printer": 3_000,
        "remote-write": 5_000,
        "rule-files": 300,
        "segmented-log": 500,
        "segmented-log-canary": 500,
        "template": 3_000,
        "varint": 10_000,
    ]

    static func environment(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        let text = String(cString: value)
        return text.isEmpty ? nil : text
    }
}

extension Fuzzer {
    /// The run that every test run makes. `make fuzz NAME=… SEED=… EVENTS=…` makes it another one: FUZZ_NAME leaves out
    /// all other fuzzers, FUZZ_SEED and FUZZ_EVENTS say how it begins and how long it goes on.
    package static func runFromTable() throws {
        if let chosen = FuzzTable.environment("FUZZ_NAME"), chosen != name { return }
        guard let usual = FuzzTable.events[name] else {
            throw FuzzFinding(seed: 0, event: 0, "\(name) is not in the table of fuzzers")
        }
        let seed = FuzzTable.environment("FUZZ_SEED").flatMap { UInt64($0) } ?? 1
        let events = FuzzTable.environment("FUZZ_EVENTS").flatMap { Int($0) } ?? usual
        try run(seed: seed, events: events)
    }
}
