internal import ScenarioSupport
internal import Testing

/// A remedy in mode shadow records what it would have done and does nothing; in mode approve it waits for a person.
@Suite(.serialized) struct ApproveAndShadow {
    @Test(.enabled(if: DockerEngine.reasonForAbsence == nil, "\(DockerEngine.reasonForAbsence ?? "")"))
    func nothingIsDoneWithoutLeave() async throws {
        var options = HealingStage.Options()
        options.mode = "shadow"
        let stage = try await HealingStage.set("leave", options: options)
        do {
            try await shadow(stage)
            try await approve(stage)
        } catch {
            Issue.record("\(error)\n\(stage.vedette.process.output.suffix(4_000))")
        }
        await stage.strike()
    }

    private func shadow(_ stage: HealingStage) async throws {
        let id = try await kill("web1", on: stage)
        let action = try await action(for: id, in: "shadowed", on: stage)
        #expect(action["mode"].string == "shadow", "\(action)")
        #expect(try stage.engine.inspect("web1", "{{.State.Running}}") == "false")
        await expectSoon("people are told all the same") {
            stage.provider.accepted(status: "firing").contains { $0.body.contains(id) }
        }
        try stage.engine.docker("rm", "-f", "web1")
    }

    private func approve(_ stage: HealingStage) async throws {
        try stage.setMode("approve")
        let reload = try await stage.vedette.post("/-/reload")
        #expect(reload.status == 200, "\(reload.body)")
        let id = try await kill("web2", on: stage)
        let waiting = try await action(for: id, in: "awaiting_approval", on: stage)
        // Over several rounds of the remediator: it waits for the person, not for a timer.
        try await Task.sleep(nanoseconds: 2_000_000_000)
        #expect(try stage.engine.inspect("web2", "{{.State.Running}}") == "false")

        let refused = try stage.vedette.command("remedies", "approve", "no-such-action")
        #expect(refused.status == 1 && refused.output.contains("no-such-action"), "\(refused)")
        let approved = try stage.vedette.command("remedies", "approve", waiting["id"].string)
        #expect(approved.status == 0, "\(approved.output)")
        await expectSoon("it runs again") { try stage.engine.inspect("web2", "{{.State.Running}}") == "true" }
        _ = try await action(for: id, in: "verified", on: stage)
        let again = try stage.vedette.command("remedies", "approve", waiting["id"].string)
        #expect(again.status == 1, "an action is approved once: \(again.output)")
        let history = try stage.vedette.command("remedies", "history")
        #expect(history.output.contains("verified") && history.output.contains("shadowed"), "\(history.output)")
        let audit = try stage.vedette.offline("audit", "verify")
        #expect(audit.status == 0, "\(audit.output)")
    }

    /// Starts a container and lets it run into its limit; returns its id.
    private func kill(_ name: String, on stage: HealingStage) async throws -> String {
        let id = try stage.engine.runContainer(name: name, memoryMegabytes: 32, script: HealingStage.leakingScript)
        let counter = "container_oom_events_total{name=\"\(name)\"}"
        await expectSoon("its counter exists") { try await stage.vedette.instant(counter).first?.value == 0 }
        try stage.engine.docker("exec", "-d", name, "touch", "/go")
        await expectSoon("it is killed", seconds: 20) {
            try stage.engine.inspect(name, "{{.State.Running}}") == "false"
        }
        return id
    }

    private func action(for id: String, in state: String, on stage: HealingStage) async throws -> JSONTree {
        var last: JSONTree?
        let isReached = await eventually(seconds: 25) {
            last = try? await OOMRound.action(for: id, on: stage)
            return last?["state"].string == state
        }
        guard isReached, let last else { throw ScenarioError("not \(state): \(last?.description ?? "no action")") }
        return last
    }
}
