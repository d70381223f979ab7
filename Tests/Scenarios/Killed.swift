internal import Foundation
internal import ScenarioSupport
internal import Testing

/// The server is SIGKILLed in the middle of the story, and all of it still holds.
@Suite(.serialized) struct Killed {
    /// Where in the story the process is killed, in milliseconds after the container was told to leak.
    @Test(
        .enabled(if: DockerEngine.reasonForAbsence == nil, "\(DockerEngine.reasonForAbsence ?? "")"),
        arguments: [0, 150, 400, 900, 2_500])
    func inTheMiddle(milliseconds: Int) async throws {
        var options = HealingStage.Options()
        options.runsApart = true
        let stage = try await HealingStage.set("kill", options: options)
        do {
            try await story(stage, killAfterMilliseconds: milliseconds)
        } catch {
            Issue.record("\(error)\n\(stage.vedette.process.output.suffix(4_000))")
        }
        await stage.strike()
    }

    private func story(_ stage: HealingStage, killAfterMilliseconds milliseconds: Int) async throws {
        let vedette = stage.vedette
        let killer = Task {
            let counter = "container_oom_events_total{name=\"web\"}"
            _ = await eventually(seconds: 20) { (try? await vedette.instant(counter).first?.value) == 0 }
            try await Task.sleep(nanoseconds: UInt64(300 + milliseconds) * 1_000_000)
            await vedette.kill()
            try await Task.sleep(nanoseconds: 300_000_000)
            try await vedette.restart()
        }
        let round = try await OOMRound.play(on: stage, name: "web")
        try await killer.value

        // A repeat may only carry the key of its first: distinct keys are counted.
        for status in ["firing", "resolved"] {
            let keys = Set(stage.provider.accepted(status: status).compactMap { $0.fields["idempotency-key"] })
            #expect(keys.count == 1, "\(status): \(keys)")
        }
        let history = try await vedette.json("/api/v1/remedies/history")
        let actions = history["data"]["actions"].array.filter { $0["target"].string == round.id }
        #expect(actions.count == 1, "one action on one trouble")
        let lines = try await vedette.lines("{container=\"web\"}")
        #expect(lines.filter { $0 == "last words: leaking" }.count == 1, "exactly once: \(lines)")
        #expect(lines.filter { $0 == "started" }.count == 1)
        let audit = try ChildProcess.run(VedetteProcess.binary, ["audit", "verify", "--data", vedette.dataFolder])
        #expect(audit.status == 0, "\(audit.output)")
    }
}
