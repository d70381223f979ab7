internal import Glibc
internal import Synchronization
internal import Telemetry
internal import Transport
internal import Wire

/// Many agents against one server: `vedette-loader URL fleet AGENTS SECONDS INTERVAL-SECONDS SERIES`.
///
/// Each has an identity, a secret, a connection for batches and one on which it waits for commands, as a real agent
/// has. It sends its series once an interval, at an offset of its own, and tries again what was not taken.
struct Fleet: Sendable {
    let endpoint: HTTPEndpoint
    let agents: Int
    let seconds: Int
    let intervalSeconds: Int
    let series: Int

    private struct Totals: Sendable {
        var acknowledged = 0
        var samples = 0
        var again = 0
        var failures: [String: Int] = [:]
        var milliseconds: [Double] = []
        var polls = 0
    }

    private let totals = Totalled()

    private final class Totalled: Sendable {
        let state = Mutex(Totals())
    }

    init?(_ arguments: [String], endpoint: HTTPEndpoint) {
        guard arguments.count == 7, let agents = Int(arguments[3]), let seconds = Int(arguments[4]),
            let interval = Int(arguments[5]), let series = Int(arguments[6])
        else { return nil }
        self.endpoint = endpoint
        self.agents = agents
        self.seconds = seconds
        intervalSeconds = interval
        self.series = series
    }

    /// Runs the fleet and reports.
    func run() async {
        let clock = SystemMonotonicClock()
        let start = clock.nowNanoseconds
        let end = start + Int64(seconds) * 1_000_000_000
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<agents { group.addTask { await agent(number, start, until: end, clock) } }
        }
        totals.state.withLock { totals in
            let times = totals.milliseconds.sorted()
            func quantile(_ share: Double) -> Double {
                times.isEmpty ? 0 : times[min(times.count - 1, Int(Double(times.count) * share))]
            }
            let figures = [0.5, 0.99, 1].map { "\($0): \((quantile($0) * 10).rounded() / 10)" }
            Loader.say(
                "fleet of \(agents): \(totals.acknowledged) batches and \(totals.samples) samples acknowledged in "
                    + "\(seconds) s, \(totals.again) tried again, \(totals.polls) waits for commands answered, "
                    + "milliseconds at quantiles \(figures.joined(separator: " "))")
            for (reason, count) in totals.failures.sorted(by: { $0.value > $1.value }).prefix(5) {
                Loader.say("  \(count) × \(reason)")
            }
        }
    }

    private func agent(_ number: Int, _ start: Int64, until end: Int64, _ clock: SystemMonotonicClock) async {
        let identity = Hexadecimal.text(
            withUnsafeBytes(of: UInt64(number).bigEndian) { Array($0) + [UInt8](repeating: 1, count: 8) })
        let client = HTTPClient(options: HTTPClient.Options(idlePerPeerMaximum: 2))
        let secret = HTTPField("X-Vedette-Agent-Secret", "secret of \(number)")
        let offset = Int64(number) * Int64(intervalSeconds) * 1_000_000_000 / Int64(agents)
        let labels = (0..<series).map { index in
            Labels(["__name__": "fleet_metric_\(index)", "node": "node-\(number)", "job": "fleet"])
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await wait(identity, client, secret, until: end, clock) }
            group.addTask {
                var encoder = AgentFrameEncoder()
                var sequence: UInt64 = 0
                var due = start + offset
                while due < end {
                    let pause = due - clock.nowNanoseconds
                    if pause > 0 { try? await Task.sleep(for: .nanoseconds(pause)) }
                    sequence += 1
                    let body = batch(identity, number, sequence, labels, &encoder)
                    await deliver(body, client, secret, until: end, clock)
                    due += Int64(intervalSeconds) * 1_000_000_000
                }
            }
        }
        client.close()
    }

    private func batch(
        _ identity: String, _ number: Int, _ sequence: UInt64, _ labels: [Labels], _ encoder: inout AgentFrameEncoder
    ) -> [UInt8] {
        let clock = SystemWallClock()
        let sender = DeliveryIdentity.Sender(agent: identity, epoch: 1, lane: .live)
        let delivery = DeliveryIdentity(sender: sender, sequence: sequence)
        var group = SampleGroup(target: Labels(["job": "fleet", "instance": "node-\(number)"]))
        for (index, labels) in labels.enumerated() {
            group.append(
                labels, milliseconds: clock.nowMilliseconds, value: Double(index) + Double(sequence) * 0.5)
        }
        let information = AgentInformation(
            agent: identity, node: "node-\(number)", version: "fleet", sentNanoseconds: clock.nowNanoseconds)
        return AgentBatchEncoder.body(
            of: AgentBatch(
                information: information, delivery: delivery,
                signal: .samples(SampleBatch(groups: [group], delivery: delivery), isUrgent: false)),
            with: &encoder)
    }

    private func deliver(
        _ body: [UInt8], _ client: HTTPClient, _ secret: HTTPField, until end: Int64, _ clock: SystemMonotonicClock
    ) async {
        let type = HTTPField("Content-Type", AgentProtocol.mediaType)
        while clock.nowNanoseconds < end {
            let start = clock.nowNanoseconds
            do {
                let call = HTTPCall(
                    "POST", endpoint, "/agent/v1/batch", fields: [type, secret], body: body, timeoutMilliseconds: 15_000
                )
                let answer = try await client.send(call)
                let reply = try AgentReplyCodec.decode(answer.body)
                if reply.verdict == .stored {
                    let milliseconds = Double(clock.nowNanoseconds - start) / 1e6
                    totals.state.withLock { totals in
                        totals.acknowledged += 1
                        totals.samples += reply.accepted
                        totals.milliseconds.append(milliseconds)
                    }
                    return
                }
                note("\(answer.status): \(reply.reason)")
            } catch {
                note("\(error)")
            }
            try? await Task.sleep(for: .milliseconds(Int.random(in: 250...2_000)))
        }
    }

    private func note(_ reason: String) {
        totals.state.withLock { totals in
            totals.again += 1
            totals.failures[String(reason.prefix(120)), default: 0] += 1
        }
    }

    private func wait(
        _ identity: String, _ client: HTTPClient, _ secret: HTTPField, until end: Int64, _ clock: SystemMonotonicClock
    ) async {
        while clock.nowNanoseconds < end {
            let left = max(1, (end - clock.nowNanoseconds) / 1_000_000_000)
            let target = "/agent/v1/commands?agent=\(identity)&wait=\(min(30, left))s"
            let call = HTTPCall("GET", endpoint, target, fields: [secret], timeoutMilliseconds: 45_000)
            if let reply = try? await client.send(call), reply.status == 200 {
                totals.state.withLock { $0.polls += 1 }
            } else {
                try? await Task.sleep(for: .milliseconds(Int.random(in: 500...3_000)))
            }
        }
    }
}
