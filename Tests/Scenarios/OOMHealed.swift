internal import Foundation
internal import Glibc
internal import ScenarioSupport
internal import Testing

/// A real container is OOM-killed: seen, kept, told, healed, verified. Asserted over HTTP only.
@Suite(.serialized) struct OOMHealed {
    @Test(.enabled(if: DockerEngine.reasonForAbsence == nil, "\(DockerEngine.reasonForAbsence ?? "")"))
    func wholeStory() async throws {
        let stage = try await HealingStage.set("oom")
        do {
            try await story(stage)
        } catch {
            Issue.record("\(error)\n\(stage.vedette.process.output.suffix(4_000))")
        }
        await stage.strike()
    }

    private func story(_ stage: HealingStage) async throws {
        let round = try await OOMRound.play(on: stage, name: "web")

        // Exactly one firing and one resolved message, each under a key of its own.
        #expect(stage.provider.accepted(status: "firing").count == 1)
        #expect(stage.provider.accepted(status: "resolved").count == 1)
        let keys = Set(stage.provider.deliveries.compactMap { $0.fields["idempotency-key"] })
        #expect(keys.count == 2)

        // The counter existed with 0 before it rose: its samples as they are stored.
        let stored = try await stage.vedette.json(
            "/api/v1/query", ["query": "container_oom_events_total{name=\"web\"}[2m]"])
        let values = stored["data"]["result"][0]["values"].array.map { $0[1].number }
        #expect(values.first == 0, "\(stored)")
        #expect(values.last == 1, "\(stored)")

        // The container was restarted by the agent, and has a new start time.
        let starts = try await stage.vedette.json(
            "/api/v1/query", ["query": "container_start_time_seconds{name=\"web\"}[2m]"])
        let startTimes = Set(starts["data"]["result"].array.flatMap { $0["values"].array.map { $0[1].string } })
        #expect(startTimes.count == 2, "\(startTimes)")

        let action = try #require(try await OOMRound.action(for: round.id, on: stage))
        #expect(action["action"].string == "container.restart")
        #expect(action["state"].string == "verified")
        #expect(action["evidenceHash"].string.count == 64)
        try await auditHoldsUntilOneByteIsChanged(stage)
    }

    private func auditHoldsUntilOneByteIsChanged(_ stage: HealingStage) async throws {
        let folder = stage.vedette.dataFolder
        let verify = ["audit", "verify", "--data", folder]
        let whole = try ChildProcess.run(VedetteProcess.binary, verify)
        #expect(whole.status == 0, "\(whole.output)")
        await stage.vedette.stop()
        let files = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        let name = try #require(files.first { $0.hasSuffix("audit.log") }, "no audit.log in \(files)")
        let path = "\(folder)/\(name)"
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: URL(fileURLWithPath: path))
        let changed = try ChildProcess.run(VedetteProcess.binary, verify)
        #expect(changed.status == 1, "\(changed.output)")
        #expect(changed.output.contains("line"), "the message says where: \(changed.output)")
    }
}
