internal import Foundation
internal import Glibc
internal import ScenarioSupport
internal import Synchronization
internal import TestSupport
internal import Transport
internal import Wire

/// A server filled with an hour of samples, and what presses on it: clients, senders, and eyes on its process.
final class LoadStage: Sendable {
    private static let targets = 60
    private static let seriesPerTarget = 50
    private static let samplesPerSeries = 240

    let vedette: VedetteProcess
    private let client = HTTPClient()
    private let writer: PrometheusClient

    private init(_ vedette: VedetteProcess) {
        self.vedette = vedette
        writer = PrometheusClient(port: vedette.port)
    }

    /// Plays a story on a filled server.
    static func play(
        _ name: String, memory: String, queryTimeout: String, _ story: (LoadStage) async throws -> Void
    ) async throws {
        let scratch = try ScratchFolder(name)
        defer { scratch.remove() }
        let file = try scratch.write("vedette.yml", "server: {query_timeout: \(queryTimeout)}\n")
        let vedette = try await VedetteProcess(
            "server", dataFolder: scratch.file("data"), arguments: ["--config", file, "--memory", memory])
        do {
            let stage = LoadStage(vedette)
            for target in 0..<targets { try await stage.writer.write(stage.batch(target)) }
            try await story(stage)
        } catch {
            let output = vedette.process.output.suffix(3_000)
            await vedette.stop()
            throw ScenarioError("\(error)\n\(output)")
        }
        await vedette.stop()
    }

    private func batch(_ target: Int) -> [UInt8] {
        let now = Int64(Date().timeIntervalSince1970) * 1_000
        return ProtobufWriter.message { request in
            for series in 0..<LoadStage.seriesPerTarget {
                let labels = [("__name__", "load_\(series)"), ("instance", "i\(target)"), ("job", "load")]
                let samples = (0..<LoadStage.samplesPerSeries).map { index in
                    let age = Int64(LoadStage.samplesPerSeries - 1 - index) * 15_000
                    return (milliseconds: now - age, value: Double(index * (series + 1) + target % 13))
                }
                request.put(1, ProtobufWriter.series(labels, samples))
            }
        }
    }

    /// Pushes lines of two streams, as fast as they are taken.
    func pushLines(count: Int) async throws {
        let start = Int64(Date().timeIntervalSince1970 - 3_600) * 1_000_000_000
        for first in stride(from: 0, to: count, by: 10_000) {
            let streams = (0..<2).map { stream in
                let lines = (first..<min(count, first + 10_000)).filter { $0 % 2 == stream }.map { number in
                    let text = "{\\\"a\\\":\(number % 7),\\\"b\\\":\\\"request \(number &* 7_919 % 100_003) of x\\\"}"
                    return "[\"\(start + Int64(number) * 20_000_000)\",\"\(text)\"]"
                }
                return
                    "{\"stream\":{\"app\":\"load\",\"part\":\"\(stream)\"},\"values\":[\(lines.joined(separator: ","))]}"
            }
            let body = "{\"streams\":[\(streams.joined(separator: ","))]}"
            let reply = try await vedette.post("/loki/api/v1/push", body: body)
            guard reply.status == 204 else { throw ScenarioError("push: \(reply.status) \(reply.body)") }
        }
    }

    // MARK: Clients

    /// A request with a form body.
    func post(_ path: String, _ parameters: [(String, String)]) async throws -> (status: Int, body: String) {
        try await send("POST", path, parameters)
    }

    /// A request with its parameters in a form or in its address, patient.
    private func send(
        _ method: String, _ path: String, _ parameters: [(String, String)]
    ) async throws -> (status: Int, body: String) {
        let text = QueryString(parameters.map { QueryString.Item($0.0, $0.1) }).encoded
        let type = HTTPField("Content-Type", "application/x-www-form-urlencoded")
        let endpoint = HTTPEndpoint(.tcp(host: "127.0.0.1", port: vedette.port))
        let isForm = method == "POST"
        let call = HTTPCall(
            method, endpoint, isForm ? path : "\(path)?\(text)", fields: isForm ? [type] : [],
            body: isForm ? Array(text.utf8) : [], timeoutMilliseconds: 60_000)
        let reply = try await client.send(call)
        return (reply.status, String(decoding: reply.body, as: UTF8.self))
    }

    /// An instant query.
    func query(_ expression: String, _ more: (String, String)...) async throws -> (status: Int, body: String) {
        try await post("/api/v1/query", [("query", expression)] + more)
    }

    /// What light queries met.
    struct Latencies: Sendable, CustomStringConvertible {
        var seconds: [Double] = []
        var failures: [String] = []

        func percentile(_ share: Int) -> Double {
            let sorted = seconds.sorted()
            return sorted.isEmpty ? .infinity : sorted[min(sorted.count - 1, sorted.count * share / 100)]
        }

        var description: String {
            func milliseconds(_ share: Int) -> Double { (percentile(share) * 10_000).rounded() / 10 }
            return "\(seconds.count) answers, p50 \(milliseconds(50)) ms, p99 \(milliseconds(99)) ms"
        }
    }

    /// Clients that each ask for a panel's worth, twenty times a second at most.
    func lightQueries(clients: Int, seconds: Double) async throws -> Latencies {
        let end = self.seconds + seconds
        return try await withThrowingTaskGroup(of: Latencies.self) { group in
            for client in 0..<clients {
                group.addTask {
                    var latencies = Latencies()
                    var number = client
                    while self.seconds < end {
                        number += 1
                        let instance = "i\((client * 3 + number) % LoadStage.targets)"
                        let metric = "load_\(client % LoadStage.seriesPerTarget)"
                        let start = self.seconds
                        let answer = try await self.query("sum(rate(\(metric){instance=\"\(instance)\"}[5m]))")
                        latencies.seconds.append(self.seconds - start)
                        if answer.status != 200 { latencies.failures.append("\(answer)") }
                        try await Task.sleep(for: .milliseconds(50))
                    }
                    return latencies
                }
            }
            return try await group.reduce(into: Latencies()) { sum, one in
                sum.seconds += one.seconds
                sum.failures += one.failures
            }
        }
    }

    /// Sends samples until it is ended; says how many batches were stored and what refused the others.
    func ingestOn() -> Background<(stored: Int, refused: [String])> {
        Background { [self] isOver in
            var (stored, refused) = (0, [String]())
            while !isOver() {
                do {
                    try await writer.write(batch(LoadStage.targets + stored))
                    stored += 1
                } catch {
                    refused.append("\(error)")
                }
                try? await Task.sleep(for: .milliseconds(100))
            }
            return (stored, refused)
        }
    }

    /// Starts a request, leaves after a while, and says how busy the server was before and from 100 ms afterwards on.
    func processorSecondsAfterLeaving(
        _ method: String, _ path: String, _ parameters: [(String, String)]
    ) async throws -> (before: Double, after: Double) {
        let start = try processorSeconds()
        let request = Task { try await send(method, path, parameters) }
        try await Task.sleep(for: .milliseconds(300))
        let before = try processorSeconds() - start
        request.cancel()
        _ = await request.result
        try await Task.sleep(for: .milliseconds(100))
        let left = try processorSeconds()
        try await Task.sleep(for: .milliseconds(400))
        return (before, try processorSeconds() - left)
    }

    // MARK: The process

    /// Seconds of a clock that only rises.
    var seconds: Double { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }

    /// What the process has used of the processor.
    func processorSeconds() throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(vedette.process.pid)/stat", encoding: .utf8)
        let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
            throw ScenarioError("no processor times: \(text)")
        }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// What the process holds of memory.
    func residentBytes() throws -> Int {
        let text = try String(contentsOfFile: "/proc/\(vedette.process.pid)/statm", encoding: .utf8)
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// Looks at the memory again and again; ends with the most it saw.
    func watchMemory() -> Background<Int> {
        Background { [self] isOver in
            var peak = 0
            while !isOver() {
                peak = max(peak, (try? residentBytes()) ?? 0)
                try? await Task.sleep(for: .milliseconds(10))
            }
            return peak
        }
    }

    /// A number of the server's own metrics.
    func metric(_ name: String) async throws -> Double {
        let text = try await vedette.get("/metrics").body
        let line = text.split(separator: "\n").first { $0.hasPrefix("\(name) ") }
        return line?.split(separator: " ").last.flatMap { Double($0) } ?? .nan
    }
}

/// Says once that something is over.
final class Flag: Sendable {
    private let value = Atomic<Bool>(false)

    var isSet: Bool { value.load(ordering: .acquiring) }

    func set() { value.store(true, ordering: .releasing) }
}

/// Work beside a story, until the story wants its result.
struct Background<Result: Sendable>: Sendable {
    private let flag = Flag()
    private let task: Task<Result, Never>

    init(_ work: @escaping @Sendable (_ isOver: () -> Bool) async -> Result) {
        task = Task { [flag] in await work { flag.isSet } }
    }

    func end() async -> Result {
        flag.set()
        return await task.value
    }
}
