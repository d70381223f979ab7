internal import Glibc
internal import Telemetry
internal import Transport
internal import Wire

/// Loads a server inside the power-cut guest: `vedette-loader URL RUN`.
///
/// First it reports what is stored of run RUN-1 ("stored SIGNAL LAST COUNT"), then it sends batches of run RUN as an
/// agent does and prints "ack SIGNAL N" after the acknowledgement of batch N arrived, until the power goes.
@main
struct Loader {
    private let endpoint: HTTPEndpoint
    private let run: Int
    private let client = HTTPClient()
    private let clock = SystemWallClock()

    static func main() async {
        let arguments = CommandLine.arguments
        if arguments.count > 2, arguments[2] == "fleet", let endpoint = try? HTTPEndpoint.parse(arguments[1]),
            let fleet = Fleet(arguments, endpoint: endpoint)
        {
            await fleet.run()
            return
        }
        guard arguments.count == 3, let endpoint = try? HTTPEndpoint.parse(arguments[1]), let run = Int(arguments[2])
        else {
            say("usage: vedette-loader URL RUN | URL fleet AGENTS SECONDS INTERVAL-SECONDS SERIES")
            exit(2)
        }
        do {
            let loader = Loader(endpoint: endpoint, run: run)
            try await loader.waitUntilReady()
            if run > 1 { try await loader.reportStored(of: run - 1) }
            async let lines: Void = loader.load(.lines)
            async let samples: Void = loader.load(.samples)
            _ = try await (lines, samples)
        } catch {
            say("loader: \(error)")
            exit(1)
        }
    }

    private init(endpoint: HTTPEndpoint, run: Int) {
        self.endpoint = endpoint
        self.run = run
    }

    private enum Signal: String {
        case samples
        case lines
    }

    private func waitUntilReady() async throws {
        for _ in 0..<600 {
            let reply = try? await client.send(HTTPCall("GET", endpoint, "/-/ready"))
            if reply?.status == 200 { return }
            try await Task.sleep(nanoseconds: 50_000_000)
        }
        throw HTTPFailure(.timeout, "the server is not ready after 30 s")
    }

    /// Every batch of a run carries its number as the sample's value and as the line's text.
    private func reportStored(of run: Int) async throws {
        let now = clock.nowNanoseconds
        let metric = "cut_batch_total{run=\"\(run)\"}"
        let samples = try await ask("/api/v1/query", [("query", "\(metric)[1d]")])
        let values = samples["data"]?["result"]?[0]?["values"]?.elements ?? []
        let numbers = values.compactMap { $0[1]?.text.flatMap { Int($0) } }
        Loader.say("stored samples \(numbers.max() ?? 0) \(Set(numbers).count == numbers.count ? numbers.count : -1)")

        let start = now - 86_400 * 1_000_000_000
        let parameters = [
            ("query", "{run=\"\(run)\"}"), ("start", "\(start)"), ("end", "\(now)"), ("limit", "1000000"),
            ("direction", "forward"),
        ]
        let answer = try await ask("/loki/api/v1/query_range", parameters)
        let entries = (answer["data"]?["result"]?.elements ?? []).flatMap { $0["values"]?.elements ?? [] }
        let lines = entries.compactMap { $0[1]?.text.flatMap { Int($0.dropFirst(6).prefix { $0 != " " }) } }
        Loader.say("stored lines \(lines.max() ?? 0) \(Set(lines).count == lines.count ? lines.count : -1)")
    }

    private func ask(_ path: String, _ parameters: [(String, String)]) async throws -> JSONValue {
        var call = HTTPCall(
            "GET", endpoint, "\(path)?\(QueryString(parameters.map { QueryString.Item($0.0, $0.1) }).encoded)",
            timeoutMilliseconds: 60_000)
        call.replyBytesMaximum = 1 << 30
        let reply = try await client.send(call)
        guard reply.status == 200 else {
            throw HTTPFailure(
                .body, "\(path): \(reply.status) \(String(decoding: reply.body.prefix(500), as: UTF8.self))")
        }
        return try JSONValue(parsing: reply.body)
    }

    /// Sends one batch after another, each answered before the next is sent.
    private func load(_ signal: Signal) async throws {
        let agent = (signal == .samples ? "a" : "b") + String(repeating: "0", count: 31)
        let sender = DeliveryIdentity.Sender(agent: agent, epoch: UInt64(run), lane: .live)
        var encoder = AgentFrameEncoder()
        var number = 0
        while true {
            number += 1
            let information = AgentInformation(
                agent: agent, node: "guest", version: "loader", sentNanoseconds: clock.nowNanoseconds)
            let delivery = DeliveryIdentity(sender: sender, sequence: UInt64(number))
            let batch = AgentBatch(
                information: information, delivery: delivery, signal: content(signal, number, delivery))
            let body = AgentBatchEncoder.body(of: batch, with: &encoder)
            let call = HTTPCall(
                "POST", endpoint, "/agent/v1/batch", fields: [HTTPField("Content-Type", AgentProtocol.mediaType)],
                body: body)
            let reply = try await client.send(call)
            guard reply.status == 200 else {
                let words = String(decoding: reply.body.prefix(300), as: UTF8.self)
                throw HTTPFailure(.body, "batch \(number): \(reply.status) \(words)")
            }
            Loader.say("ack \(signal.rawValue) \(number)")
        }
    }

    private func content(_ signal: Signal, _ number: Int, _ delivery: DeliveryIdentity) -> AgentBatch.Signal {
        let now = clock.nowNanoseconds
        switch signal {
        case .samples:
            var group = SampleGroup(target: Labels(["job": "cut", "instance": "guest"]))
            let labels = Labels(["__name__": "cut_batch_total", "job": "cut", "instance": "guest", "run": "\(run)"])
            // One sample a batch, each at a time of its own, so that none hides another.
            let base = now / 1_000_000 / 1_000 * 1_000 - 600_000
            group.append(labels, milliseconds: base + Int64(number), value: Double(number))
            return .samples(SampleBatch(groups: [group], delivery: delivery), isUrgent: false)
        case .lines:
            var lines = LogLines(
                labels: Labels(["job": "cut", "run": "\(run)"]),
                origin: LogOrigin(source: "guest/cut", generation: UInt64(run)))
            let text = "batch \(number) " + String(repeating: "x", count: 100)
            let start = UInt64(number) * 128
            lines.append(nanoseconds: now, line: Array(text.utf8), offsets: start..<start + UInt64(text.utf8.count))
            return .lines(LogBatch(streams: [lines], delivery: delivery))
        }
    }

    static func say(_ text: String) {
        let bytes = Array("\(text)\n".utf8)
        _ = bytes.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
    }
}
