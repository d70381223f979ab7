internal import Foundation
internal import Glibc
internal import Telemetry
internal import Transport
internal import Wire

/// Recorded remote-write requests as agents would send the same samples, over HTTP into a running server, whose CPU
/// time is read from /proc: one agent per host, one batch per tick of all its targets, each acknowledged before the
/// next.
enum AgentIngestBenchmark: Benchmark {
    static let name = "agents"
    static let about =
        "samples of remote-write bodies as agents' batches into a running server, per CPU second of it"

    private struct Setting {
        /// Frames of `<u32 length><u32 samples><u64 time>` and a Snappy body each.
        let bodies: String
        let server: HTTPEndpoint
        let serverPID: Int
        let connections: Int
        let requestsMaximum: Int

        /// Nil when there is no server to measure.
        init?(_ environment: [String: String]) throws {
            guard let bodies = environment["VEDETTE_BENCH_BODIES"], let url = environment["VEDETTE_BENCH_SERVER"],
                let pid = environment["VEDETTE_BENCH_SERVER_PID"].flatMap({ Int($0) })
            else { return nil }
            (self.bodies, serverPID) = (bodies, pid)
            server = try HTTPEndpoint.parse(url)
            connections = environment["VEDETTE_BENCH_CONNECTIONS"].flatMap { Int($0) } ?? 32
            requestsMaximum = environment["VEDETTE_BENCH_REQUESTS"].flatMap { Int($0) } ?? 7_000
        }
    }

    /// One host's agent: what it sends, in order.
    private struct Sender {
        let number: Int
        var encoder = AgentFrameEncoder()
        var bodies: [[UInt8]] = []
        /// The tick that is not whole yet, target by target: a request holds pieces of several.
        private var tick: [SampleGroup] = []

        init(number: Int) { self.number = number }

        /// Adds what a request has of one target at one time. A second time of a target begins the next tick.
        mutating func add(_ piece: SampleGroup) {
            guard let place = tick.firstIndex(where: { $0.target == piece.target }) else { return tick.append(piece) }
            guard tick[place].timesMilliseconds.first == piece.timesMilliseconds.first else {
                finishTick()
                return tick.append(piece)
            }
            let offset = UInt32(tick[place].series.count)
            tick[place].series += piece.series
            tick[place].seriesIndexes += piece.seriesIndexes.map { $0 + offset }
            tick[place].timesMilliseconds += piece.timesMilliseconds
            tick[place].values += piece.values
        }

        /// Makes a batch of the tick.
        mutating func finishTick() {
            if tick.isEmpty { return }
            let groups = tick
            tick = []
            let agent = String(repeating: "0", count: 26) + String(1_000_000 + number).suffix(6)
            let sender = DeliveryIdentity.Sender(agent: agent, epoch: 1, lane: .live)
            let batch = AgentBatch(
                information: AgentInformation(
                    agent: agent, node: "bench-\(number)", version: "bench",
                    sentNanoseconds: SystemWallClock().nowNanoseconds),
                delivery: DeliveryIdentity(sender: sender, sequence: UInt64(bodies.count + 1)),
                signal: .samples(SampleBatch(groups: groups), isUrgent: false))
            bodies.append(AgentBatchEncoder.body(of: batch, with: &encoder))
        }
    }

    static func run(in folder: String) async throws -> [(what: String, figure: String)] {
        guard let setting = try Setting(ProcessInfo.processInfo.environment) else {
            let needed = "VEDETTE_BENCH_BODIES, VEDETTE_BENCH_SERVER and VEDETTE_BENCH_SERVER_PID"
            return [("left out", "needs \(needed)")]
        }
        let (senders, samples) = try await BlockingWork.perform { try read(setting) }
        let requests = senders.reduce(0) { $0 + $1.bodies.count }
        let bytes = senders.reduce(0) { $0 + $1.bodies.reduce(0) { $0 + $1.count } }
        let client = HTTPClient(
            options: HTTPClient.Options(
                idlePerPeerMaximum: setting.connections, idleTotalMaximum: setting.connections))
        let before = try processorSeconds(of: setting.serverPID)
        let start = SystemMonotonicClock().nowNanoseconds
        let accepted = try await withThrowingTaskGroup(of: Int.self) { group in
            for first in 0..<min(setting.connections, senders.count) {
                let mine = stride(from: first, to: senders.count, by: setting.connections).map { senders[$0].bodies }
                group.addTask { try await send(mine, to: setting.server, client) }
            }
            return try await group.reduce(0, +)
        }
        let wall = Double(SystemMonotonicClock().nowNanoseconds - start) / 1e9
        try await Task.sleep(nanoseconds: 3_000_000_000)
        let spent = try processorSeconds(of: setting.serverPID) - before
        return [
            ("samples", BenchText.rate(Double(samples))),
            ("accepted", BenchText.rate(Double(accepted))),
            ("agents", BenchText.rate(Double(senders.count))),
            ("requests", BenchText.rate(Double(requests))),
            ("bytes per sample on the wire", BenchText.rate(Double(bytes) / Double(samples))),
            ("seconds", BenchText.rate(wall)),
            ("CPU seconds of the server", BenchText.rate(spent)),
            ("samples per CPU second of the server", BenchText.rate(Double(accepted) / spent)),
        ]
    }

    /// The agents' batches in turns, as scrapes come.
    private static func send(_ senders: [[[UInt8]]], to server: HTTPEndpoint, _ client: HTTPClient) async throws -> Int
    {
        var accepted = 0
        let rounds = senders.map(\.count).max() ?? 0
        for round in 0..<rounds {
            for bodies in senders where round < bodies.count {
                var call = HTTPCall("POST", server, "/agent/v1/batch")
                call.fields = [HTTPField("Content-Type", AgentProtocol.mediaType)]
                call.body = bodies[round]
                let answer = try await client.send(call)
                let reply = try? AgentReplyCodec.decode(answer.body)
                guard let reply, reply.verdict == .stored else {
                    throw CommandFailure("the server answered \(answer.status): \(reply?.reason ?? "no reply")")
                }
                accepted += reply.accepted
            }
        }
        return accepted
    }

    /// Reads the bodies and turns each into batches of one target and one time.
    private static func read(_ setting: Setting) throws -> (senders: [Sender], samples: Int) {
        guard let file = fopen(setting.bodies, "rb") else { throw CommandFailure("\(setting.bodies) cannot be opened") }
        defer { fclose(file) }
        let memory = SeriesMemory()
        var senders: [String: Sender] = [:]
        var samples = 0
        var header = [UInt8](repeating: 0, count: 16)
        for _ in 0..<setting.requestsMaximum {
            guard fread(&header, 1, 16, file) == 16 else { break }
            let length = header[0..<4].reversed().reduce(0) { $0 << 8 | Int($1) }
            var body = [UInt8](repeating: 0, count: length)
            guard fread(&body, 1, length, file) == length else { break }
            let raw = try Compression.snappy.decompress(body, bytesMaximum: 64 << 20)
            for group in try RemoteWriteReader.read(raw, memory: memory).batch.groups {
                for piece in split(group) {
                    samples += piece.values.count
                    let number = senders.count
                    let host = piece.target["instance"].map { String($0.prefix { $0 != ":" }) } ?? ""
                    senders[host, default: Sender(number: number)].add(piece)
                }
            }
        }
        let finished = senders.values.map { sender in
            var sender = sender
            sender.finishTick()
            return sender
        }
        return (finished.sorted { $0.number < $1.number }, samples)
    }

    private struct Place: Hashable {
        var target: Labels
        var milliseconds: Int64
    }

    /// A group per target and time, as an agent would have collected them.
    private static func split(_ group: SampleGroup) -> [SampleGroup] {
        var places: [Place: Int] = [:]
        var pieces: [SampleGroup] = []
        for index in group.values.indices {
            let labels = group.series[Int(group.seriesIndexes[index])].labels
            let place = Place(
                target: labels.keeping(["job", "instance"]), milliseconds: group.timesMilliseconds[index])
            let number = places[place] ?? pieces.count
            if number == pieces.count {
                places[place] = number
                pieces.append(SampleGroup(target: place.target, intervalMilliseconds: 15_000))
            }
            pieces[number].append(labels, milliseconds: place.milliseconds, value: group.values[index])
        }
        return pieces
    }

    /// User and system time of a process, from /proc.
    private static func processorSeconds(of pid: Int) throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
        let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
            throw CommandFailure("/proc/\(pid)/stat is not understood")
        }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
}
