internal import ArgumentParser
internal import Query
internal import Synchronization
internal import Telemetry
internal import Wire

/// `vedette logs canary`: writes, follows and reads back lines of its own, and tells what went missing.
struct LogsCanaryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "canary",
        abstract: "Prove that lines that are written are stored, delivered and found.",
        discussion: """
            Writes a line every --interval through the push API, waits for each on a tail, and reads all of them back in
            the end. Fails when one is missing, came twice, or came later than --late.

            Example:
              vedette logs canary --duration 1m --interval 50ms
            """)

    @Option(name: .long, help: "How long to write.")
    var duration = "30s"

    @Option(name: .long, help: "The time between two lines.")
    var interval = "100ms"

    @Option(name: .long, help: "A line that a tail delivers after this long is late.")
    var late = "1s"

    @Option(name: .long, help: "The stream's name: {source=\"vedette-canary\", canary=NAME}.")
    var name = "default"

    @OptionGroup var client: ClientOptions

    func run() async throws {
        let server = try ServerClient(client)
        let span = try TimeArgument.duration(duration, option: "--duration")
        let step = max(1, try TimeArgument.duration(interval, option: "--interval"))
        let lateNanoseconds = try TimeArgument.duration(late, option: "--late") * 1_000_000
        let run = CanaryRun(server: server, name: name, id: "\(SystemWallClock().nowNanoseconds)")
        let tailing = Task { try await run.follow() }
        // Written lines are only waited for once the tail is there.
        try await run.waitUntilFollowing()
        try await run.write(count: Int(span / step), intervalMilliseconds: step)
        try await run.waitForAll(milliseconds: max(2_000, lateNanoseconds / 1_000_000))
        tailing.cancel()
        let report = try await run.report(lateNanoseconds: lateNanoseconds)
        if client.output == .json {
            Terminal.write(report.json + [UInt8(ascii: "\n")])
        } else {
            Terminal.write(report.text)
        }
        guard report.isGood else { throw CommandFailure("the canary found something wrong") }
    }
}

/// One run of the canary. Times are those of this process alone.
private final class CanaryRun: Sendable {
    struct Report {
        var written = 0
        var refused = 0
        var missingInTail = 0
        var duplicatesInTail = 0
        var late = 0
        var missingInStore = 0
        var duplicatesInStore = 0
        var milliseconds: [Double] = []

        var isGood: Bool {
            missingInTail + duplicatesInTail + late + missingInStore + duplicatesInStore + refused == 0 && written > 0
        }

        func quantile(_ rank: Double) -> Double {
            guard !milliseconds.isEmpty else { return 0 }
            return milliseconds[min(milliseconds.count - 1, Int(Double(milliseconds.count) * rank))]
        }

        private var members: [(String, Double)] {
            [
                ("written", Double(written)), ("refused", Double(refused)),
                ("missing_in_tail", Double(missingInTail)), ("duplicate_in_tail", Double(duplicatesInTail)),
                ("late_in_tail", Double(late)), ("missing_in_store", Double(missingInStore)),
                ("duplicate_in_store", Double(duplicatesInStore)), ("tail_ms_p50", quantile(0.5)),
                ("tail_ms_p99", quantile(0.99)), ("tail_ms_max", milliseconds.last ?? 0),
            ]
        }

        var text: String {
            members.map { name, value in
                let label = name.map { $0 == "_" ? " " : String($0) }.joined()
                return "\(label)\(String(repeating: " ", count: max(1, 20 - label.count)))"
                    + FloatText.plain((value * 10).rounded() / 10) + "\n"
            }.joined()
        }

        var json: [UInt8] {
            var writer = JSONWriter()
            writer.beginObject()
            for (name, value) in members {
                writer.key(name)
                writer.number(value)
            }
            writer.endObject()
            return writer.bytes
        }
    }

    private struct State {
        var sent: [Int: Int64] = [:]
        var stored: Set<Int> = []
        var seen: [Int: Int] = [:]
        var latencies: [Double] = []
        var lateness: [Int64] = []
        var refused = 0
        var isFollowing = false
    }

    private let server: ServerClient
    private let labels: Labels
    private let id: String
    private let clock = SystemMonotonicClock()
    private let state = Mutex(State())

    init(server: ServerClient, name: String, id: String) {
        self.server = server
        self.id = id
        labels = Labels(["source": "vedette-canary", "canary": name])
    }

    private var query: String { "\(labels) |= \(QuotedText.quoted("run=\(id) "))" }

    func follow() async throws {
        var session = TailSession(server: server, query: query, linesBefore: 0, start: nil)
        try await session.follow { [self] event in
            guard case .lines(let lines) = event else { return true }
            let now = clock.nowNanoseconds
            state.withLock { state in
                for line in lines {
                    guard let number = CanaryRun.number(line.text) else { continue }
                    if number < 0 {
                        state.isFollowing = true
                        continue
                    }
                    state.seen[number, default: 0] += 1
                    if let sent = state.sent[number] {
                        state.latencies.append(Double(now - sent) / 1e6)
                        state.lateness.append(now - sent)
                    }
                }
            }
            return true
        }
    }

    private static func number(_ line: [UInt8]) -> Int? {
        let text = String(decoding: line, as: UTF8.self)
        guard let range = text.firstRange(of: "sequence=") else { return nil }
        return Int(text[range.upperBound...].prefix { $0 == "-" || $0.isNumber })
    }

    /// Writes lines of no number until the tail brings one.
    func waitUntilFollowing() async throws {
        for attempt in 1...100 {
            try await push(-attempt)
            try await Task.sleep(for: .milliseconds(100))
            if state.withLock({ $0.isFollowing }) { return }
        }
        throw CommandFailure("the tail brought nothing within ten seconds")
    }

    func write(count: Int, intervalMilliseconds: Int64) async throws {
        let start = clock.nowNanoseconds
        for number in 0..<max(1, count) {
            let due = start + Int64(number) * intervalMilliseconds * 1_000_000
            let wait = due - clock.nowNanoseconds
            if wait > 0 { try await Task.sleep(nanoseconds: UInt64(wait)) }
            state.withLock { $0.sent[number] = clock.nowNanoseconds }
            do {
                try await push(number)
                state.withLock { _ = $0.stored.insert(number) }
            } catch {
                state.withLock { $0.refused += 1 }
            }
        }
    }

    private func push(_ number: Int) async throws {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("streams")
        writer.beginArray()
        writer.beginObject()
        writer.key("stream")
        writer.labels(labels)
        writer.key("values")
        writer.beginArray()
        writer.beginArray()
        writer.string(String(SystemWallClock().nowNanoseconds))
        writer.string("level=info run=\(id) sequence=\(number)")
        writer.endArray()
        writer.endArray()
        writer.endObject()
        writer.endArray()
        writer.endObject()
        try await server.push("/loki/api/v1/push", writer.bytes)
    }

    /// Waits until the tail has brought everything, or long enough.
    func waitForAll(milliseconds: Int64) async throws {
        let end = clock.nowNanoseconds + milliseconds * 1_000_000
        while clock.nowNanoseconds < end {
            if state.withLock({ state in state.stored.allSatisfy { (state.seen[$0] ?? 0) > 0 } }) { return }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Reads everything back and compares.
    func report(lateNanoseconds: Int64) async throws -> Report {
        var reader = LineReader(
            try await server.open("/api/v1/logs/lines", [("query", query), ("since", "1d")], method: "POST"))
        var found: [Int: Int] = [:]
        _ = try await reader.read(show: { line in
            if let number = CanaryRun.number(line.text), number >= 0 { found[number, default: 0] += 1 }
        })
        return state.withLock { state in
            var report = Report()
            report.written = state.stored.count
            report.refused = state.refused
            report.missingInTail = state.stored.count { (state.seen[$0] ?? 0) == 0 }
            report.duplicatesInTail = state.seen.values.count { $0 > 1 }
            report.late = state.lateness.count { $0 > lateNanoseconds }
            report.missingInStore = state.stored.count { (found[$0] ?? 0) == 0 }
            report.duplicatesInStore = found.values.count { $0 > 1 }
            report.milliseconds = state.latencies.sorted()
            return report
        }
    }
}
