internal import Foundation
internal import Glibc
internal import ScenarioSupport
internal import Testing

/// The data folder's file system is full: new data is refused in clear words, queries and alerts go on, and once there
/// is room everything goes on by itself. Nothing acknowledged is lost.
@Suite(.serialized) struct FullDisk {
    private static let linesPerPush = 32
    private static let seriesPerWrite = 20_000

    @Test(.enabled(if: getuid() == 0, "needs root to mount a tmpfs"))
    func refusesServesRecovers() async throws {
        let volume = try SmallFileSystem(mebibytes: 64)
        defer { volume.remove() }
        var options = ServerStage.Options()
        options.command = "up"
        options.dataFolder = volume.file("data")
        try await ServerStage.play("full", options) { stage in
            let vedette = stage.vedette
            await expectSoon("the agent measures") { try await vedette.instant("node_load1").count == 1 }

            // 1. Until it is full: every push is a stream of its own, so that each can be counted.
            var acknowledged = 0
            var refusal: (status: Int, body: String)?
            while refusal == nil, acknowledged < 2_000 {
                let reply = try await push(acknowledged, to: vedette)
                if reply.status == 204 { acknowledged += 1 } else { refusal = reply }
            }
            let refused = try #require(refusal, "64 MiB took \(acknowledged) pushes")
            #expect(refused.status == 503, "\(refused)")
            #expect(saysFull(refused.body), "\(refused)")
            #expect(acknowledged > 20)

            // 2. Queries go on; the process says what it takes and what it does not.
            try await expectStored(acknowledged, in: vedette)
            #expect(try await vedette.get("/-/ready").status == 200)
            #expect(try await vedette.get("/-/healthy").status == 200)
            let ready = try await vedette.get("/-/ready", ["for": "ingest"])
            #expect(ready.status == 503 && saysFull(ready.body), "\(ready)")
            await expectSoon("the server's own log says so") {
                vedette.process.output.contains("warning: logs: the disk")
            }

            // 3. Alerting goes on, its journal and audit log on the same full disk.
            try stage.scratch.write("rules/full.yml", ServerStage.alwaysFiring("DuringFullDisk"))
            let reload = try await vedette.post("/-/reload")
            #expect(reload.status == 200, "\(reload)")
            await expectSoon("the alert is told", seen: { "\(vedette.process.output.suffix(2_000))" }) {
                stage.providers[0].accepted(status: "firing").count == 1
            }

            // 4. Room again: no restart, no command.
            try volume.grow(mebibytes: 160)
            let ingest = { try await vedette.get("/-/ready", ["for": "ingest"]) }
            await expectSoon("it takes data again", seen: { "\(try await ingest())" }) {
                try await ingest().status == 200
            }
            let next = acknowledged
            await expectSoon("the server's own log says that too") {
                vedette.process.output.contains("logs: new data is taken again")
            }
            await expectSoon("a push is taken") { try await push(next, to: vedette).status == 204 }
            acknowledged += 1
            await expectSoon("the agent's samples arrive again") {
                try await vedette.instant("time() - timestamp(node_load1) < 5").count == 1
            }
            try await expectStored(acknowledged, in: vedette)
            #expect(stage.providers[0].deliveries.count == 1, "told once")

            // 5. And after a crash.
            await vedette.kill()
            try await vedette.restart()
            try await expectStored(acknowledged, in: vedette)
            let audit = try vedette.offline("audit", "verify")
            #expect(audit.status == 0, "\(audit.output)")
        }
    }

    /// The log of metrics must not fill a small disk and then keep it full: it ends where its rows still fit into a
    /// block beside it.
    @Test(.enabled(if: getuid() == 0, "needs root to mount a tmpfs"))
    func metricsFillASmallDisk() async throws {
        let volume = try SmallFileSystem(mebibytes: 64)
        defer { volume.remove() }
        var options = ServerStage.Options()
        options.dataFolder = volume.file("data")
        try await ServerStage.play("small", options) { stage in
            let vedette = stage.vedette
            var acknowledged = 0
            var time = Int64(Date().timeIntervalSince1970 * 1000) - 600_000
            func write() async throws -> (status: Int, body: String) {
                time += 100
                let body = RemoteWriteBody.noise("fill", job: "fill", series: FullDisk.seriesPerWrite, at: time)
                let reply = try await vedette.post("/api/v1/write", bytes: body, type: RemoteWriteBody.mediaType)
                if reply.status == 204 { acknowledged += 1 }
                return reply
            }
            func expectAllStored() async throws {
                let stored = try await vedette.instant("sum(count_over_time(fill[1h]))").first?.value
                #expect(stored == Double(acknowledged * FullDisk.seriesPerWrite), "\(acknowledged) acknowledged")
            }

            // 1. A refusal is over as soon as rows are in blocks; the disk is full when refusals go on.
            var refusals = 0
            while refusals < 8, acknowledged < 2_000 {
                let reply = try await write()
                refusals = reply.status == 204 ? 0 : refusals + 1
                guard reply.status != 204 else { continue }
                #expect(reply.status == 503 && saysFull(reply.body), "\(reply)")
                try await Task.sleep(nanoseconds: 500_000_000)
            }
            // 20,000 values of 8 bytes each: more than half of the disk is blocks by now.
            #expect(acknowledged > 200 && refusals == 8, "\(acknowledged) acknowledged")
            try await expectAllStored()
            #expect(try await vedette.get("/-/ready").status == 200)
            #expect(try await vedette.get("/-/ready", ["for": "ingest"]).status == 503)

            // 2. A crash on the full disk, and room again.
            await vedette.kill()
            try await vedette.restart()
            try await expectAllStored()
            try volume.grow(mebibytes: 160)
            await expectSoon("it takes samples again", seconds: 20) { try await write().status == 204 }
            try await expectAllStored()
        }
    }

    private func saysFull(_ words: String) -> Bool {
        let words = words.lowercased()
        return words.contains("full") || words.contains("no space")
    }

    /// Lines that do not compress, under the label `push`.
    private func push(_ number: Int, to vedette: VedetteProcess) async throws -> (status: Int, body: String) {
        var generator = SystemRandomNumberGenerator()
        let now = Int64(Date().timeIntervalSince1970 * 1e9)
        let values = (0..<FullDisk.linesPerPush).map { line in
            let words = (0..<768).map { _ in generator.next() }
            let noise = words.withUnsafeBytes { Data($0) }
            return "[\"\(now + Int64(line))\",\"\(noise.base64EncodedString())\"]"
        }
        let labels = "{\"job\":\"fill\",\"push\":\"\(number)\"}"
        let body = "{\"streams\":[{\"stream\":\(labels),\"values\":[\(values.joined(separator: ","))]}]}"
        return try await vedette.post("/loki/api/v1/push", body: body)
    }

    /// Every acknowledged push has all its lines, once.
    private func expectStored(_ pushes: Int, in vedette: VedetteProcess) async throws {
        let now = Date().timeIntervalSince1970
        let answer = try await vedette.json(
            "/loki/api/v1/query",
            ["query": "sum by (push) (count_over_time({job=\"fill\"}[1h]))", "time": "\(Int(now) + 1)"])
        let counts = answer["data"]["result"].array.reduce(into: [Int: Int]()) { counts, element in
            counts[Int(element["metric"]["push"].string) ?? -1] = Int(element["value"][1].string)
        }
        let missing = (0..<pushes).filter { counts[$0] != FullDisk.linesPerPush }
        #expect(missing.isEmpty, "of \(pushes) acknowledged: \(missing.prefix(10).map { "\($0): \(counts[$0] ?? 0)" })")
    }
}
