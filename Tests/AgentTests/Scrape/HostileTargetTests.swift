import Synchronization
import Telemetry
import TestSupport
import Testing
import Transport
import Wire

@testable import Agent

/// Real sockets: a target that hangs, floods or talks nonsense costs its own turn and nobody else's.
@Suite struct HostileTargetTests {
    private static func answer(_ request: ListenerRequest) async -> ListenerResponse {
        switch request.target {
        case "/good": return .text(200, "a 1\n")
        case "/garbage":
            return ListenerResponse(status: 200, fields: [], body: .bytes((0..<4_096).map { UInt8($0 & 255) }))
        case "/endless":
            return ListenerResponse(
                status: 200, fields: [],
                body: .stream { target in
                    let piece = [UInt8](repeating: UInt8(ascii: "#"), count: 64 << 10)
                    while !Task.isCancelled { try await target.write(piece) }
                })
        case "/drip":
            return ListenerResponse(
                status: 200, fields: [],
                body: .stream { target in
                    while !Task.isCancelled {
                        try await target.write(Array("a 1\n".utf8))
                        try await Task.sleep(for: .milliseconds(20))
                    }
                })
        default:
            try? await Task.sleep(for: .seconds(60))
            return .text(200, "too late")
        }
    }

    @Test func oneBadTargetDelaysNoOther() async throws {
        let listener = try await HTTPListener.start(
            HTTPListener.Options(host: "127.0.0.1", port: 0), handler: HostileTargetTests.answer)
        let stage = ScrapeStage()
        let service = ScrapeService(
            ScrapeService.Ports(sink: stage, storage: SimulatedStorage(seed: 1), notify: { _ in }))
        service.apply(
            ["good", "garbage", "endless", "drip", "hang"].map { name in
                var job = ScrapeJob(name: name)
                job.path = "/\(name)"
                job.intervalMilliseconds = 400
                job.timeoutMilliseconds = 300
                job.limits.bodyBytes = 8 << 20
                job.groups = [ScrapeJob.TargetGroup(addresses: [listener.address])]
                return job
            })
        let running = Task { await service.run() }
        for _ in 0..<1_500 where times(stage, "good", value: 1).count < 4 || times(stage, "hang", value: 0).isEmpty {
            try await Task.sleep(for: .milliseconds(10))
        }
        let good = times(stage, "good", value: 1)
        #expect(good.count >= 4)
        // Its turns were had while others hung: the hanging ones take 300 of every 400 ms each.
        #expect(good == good.sorted())
        let errors = Dictionary(uniqueKeysWithValues: service.activeTargets.map { ($0.pool, $0.lastError) })
        #expect(errors["good"] == "")
        #expect(errors["garbage"]?.hasPrefix("line 1: ") == true)
        // Which of its bounds a flood meets first is up to the machine.
        let floods = ["body size limit exceeded: longer than 8 MiB", "no whole answer within 300ms"]
        #expect(floods.contains(errors["endless"] ?? ""))
        #expect(errors["drip"] == "no whole answer within 300ms")
        #expect(errors["hang"]?.contains("within 300") == true)
        // A target that is taken out ends its series; the others go on.
        service.apply([])
        for _ in 0..<500 where times(stage, "good", value: Sample.stale).isEmpty {
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(times(stage, "good", value: Sample.stale).count == 1)
        running.cancel()
        await running.value
        await listener.shutdown(deadlineMilliseconds: 100)
    }

    /// When `up` of a job had a value.
    private func times(_ stage: ScrapeStage, _ job: String, value: Double) -> [Int64] {
        stage.state.withLock { $0.batches }.flatMap { batch in
            batch.groups.flatMap { group in
                group.values.indices.compactMap { index -> Int64? in
                    let labels = group.series[Int(group.seriesIndexes[index])].labels
                    guard labels.metricName == "up", labels["job"] == job,
                        group.values[index].bitPattern == value.bitPattern
                    else { return nil }
                    return group.timesMilliseconds[index]
                }
            }
        }
    }
}
