internal import Foundation
internal import ScenarioSupport
internal import Testing

/// `vedette up`, server and agent in one process, is SIGKILLed around a container's OOM kill: nobody watches while it
/// happens or while it is healed, and the whole story still holds.
@Suite(.serialized) struct KilledWhole {
    /// When the process is killed, in milliseconds after the container was told to leak.
    @Test(
        .enabled(if: DockerEngine.reasonForAbsence == nil, "\(DockerEngine.reasonForAbsence ?? "")"),
        arguments: [0, 150, 400, 900, 1_600, 2_500])
    func aroundTheTrouble(milliseconds: Int) async throws {
        let stage = try await HealingStage.set("whole")
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
            try await Task.sleep(nanoseconds: 1_500_000_000)
            try await vedette.restart()
        }
        let round = try await OOMRound.play(on: stage, name: "web")
        try await killer.value

        for status in ["firing", "resolved"] {
            let keys = Set(stage.provider.accepted(status: status).compactMap { $0.fields["idempotency-key"] })
            #expect(keys.count == 1, "\(status): \(keys)")
        }
        // One restart, whatever became of the first command: a second line would be a second start.
        let lines = try await vedette.lines("{container=\"web\"}")
        for line in ["started", "last words: leaking", "recovered"] {
            #expect(lines.filter { $0 == line }.count == 1, "\(line) exactly once: \(lines)")
        }
        let history = try await vedette.json("/api/v1/remedies/history")
        let actions = history["data"]["actions"].array.filter { $0["target"].string == round.id }
        #expect(actions.filter { $0["state"].string == "verified" }.count == 1)
        for action in actions where action["state"].string != "verified" {
            #expect(action["reason"].string.contains("not done again"), "\(action)")
        }
        #expect(actions.count <= 2, "\(history)")
        // Counted once, and told once.
        let events = try await vedette.lines("{source=\"vedette\"} |= \"\(round.id)\"")
        let counts = try await vedette.instant("max_over_time(container_oom_events_total{name=\"web\"}[5m])")
        #expect(counts.first?.value == 1, "\(counts) \(events)")
        for kind in ["oom_kill", "exit"] {
            // The remedy's own restart ends no process: the container was dead already.
            let told = events.filter { $0.contains("\"event\":\"\(kind)\"") }
            #expect(told.count == 1, "\(kind): \(told)")
        }
        let audit = try ChildProcess.run(VedetteProcess.binary, ["audit", "verify", "--data", vedette.dataFolder])
        #expect(audit.status == 0, "\(audit.output)")
    }
}
