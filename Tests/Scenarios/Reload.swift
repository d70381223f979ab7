internal import Glibc
internal import ScenarioSupport
internal import Testing

/// Rules and configuration are read anew, on SIGHUP and on request; what is wrong changes nothing and names its line.
@Suite(.serialized) struct Reload {
    @Test func rulesAndConfiguration() async throws {
        var options = ServerStage.Options()
        options.rules = ["a.yml": ServerStage.alwaysFiring("First")]
        try await ServerStage.play("reload", options) { stage in
            #expect(try await alertNames(stage) == ["First"])
            await expectTold("First", stage)
            try stage.scratch.write("rules/a.yml", ServerStage.alwaysFiring("Second"))
            let reply = try await stage.vedette.post("/-/reload")
            #expect(reply.status == 200, "\(reply.body)")
            #expect(try await alertNames(stage) == ["Second"])
            await expectTold("Second", stage)
            // The alert of a rule that is gone is told as over, with the reason.
            await expectSoon("its end is told") {
                stage.providers[0].accepted(status: "resolved").contains { $0.body.contains("rule_removed") }
            }

            try stage.scratch.write("rules/a.yml", ServerStage.alwaysFiring("Third"))
            stage.vedette.process.signal(SIGHUP)
            await expectSoon("SIGHUP reads again") { try await alertNames(stage) == ["Third"] }
            try await brokenRules(stage)
            try await brokenConfiguration(stage)
            await expectTold("Third", stage)
            #expect(stage.providers[0].accepted(status: "firing").count == 3, "each of three rules is told once")
        }
    }

    private func brokenRules(_ stage: ServerStage) async throws {
        let broken = """
            groups:
              - name: broken
                rules:
                  - alert: Fourth
                    expr: rate(node_load1[5m)
            """
        try stage.scratch.write("rules/b.yml", broken)
        let place = stage.scratch.file("rules/b.yml") + ":5"
        let reply = try await stage.vedette.post("/-/reload")
        #expect(reply.status >= 400 && reply.body.contains(place), "\(reply)")
        #expect(try await alertNames(stage) == ["Third"], "what ran before still runs")
        let before = stage.vedette.process.output.count
        stage.vedette.process.signal(SIGHUP)
        await expectSoon("the log names the place", seen: { "\(stage.vedette.process.output.suffix(1_000))" }) {
            stage.vedette.process.output.dropFirst(before).contains(place)
        }
        #expect(try await alertNames(stage) == ["Third"])
        try await expectReloadMetric(stage, 0)
        unlink(stage.scratch.file("rules/b.yml"))
        let mended = try await stage.vedette.post("/-/reload")
        #expect(mended.status == 200, "\(mended.body)")
        try await expectReloadMetric(stage, 1)
    }

    private func brokenConfiguration(_ stage: ServerStage) async throws {
        let path = stage.scratch.file("vedette.yml")
        let good = try stage.scratch.read("vedette.yml")
        let lines = good.split(separator: "\n", omittingEmptySubsequences: false).count
        try stage.scratch.write("vedette.yml", good + "\nservre:\n  query_timeout: 5s\n")
        let reply = try await stage.vedette.post("/-/reload")
        #expect(reply.status >= 400 && reply.body.contains("\(path):\(lines + 1)"), "\(reply)")
        #expect(reply.body.contains("servre"), "\(reply)")
        let check = try ChildProcess.run(VedetteProcess.binary, ["config", "check", path])
        #expect(check.status == 1 && check.output.contains("\(path):\(lines + 1)"), "\(check.output)")
        // A server that is started on it says the same and does not start.
        let start = try ChildProcess.run(
            VedetteProcess.binary,
            ["server", "--data", stage.scratch.file("other"), "--listen", "127.0.0.1:0", "--config", path])
        #expect(start.status == 1 && start.output.contains("\(path):\(lines + 1)"), "\(start)")
        try stage.scratch.write("vedette.yml", good)
        let mended = try await stage.vedette.post("/-/reload")
        #expect(mended.status == 200, "\(mended.body)")
    }

    private func expectTold(_ alert: String, _ stage: ServerStage) async {
        await expectSoon("\(alert) is told", seen: { stage.vedette.process.output }) {
            stage.providers[0].accepted(status: "firing").contains { $0.body.contains("\"\(alert)\"") }
        }
    }

    private func expectReloadMetric(_ stage: ServerStage, _ value: Int) async throws {
        let page = try await stage.vedette.get("/metrics").body
        #expect(page.contains("\nvedette_config_last_reload_successful \(value)\n"))
    }

    private func alertNames(_ stage: ServerStage) async throws -> [String] {
        let groups = try await stage.vedette.json("/api/v1/rules")["data"]["groups"].array
        return groups.flatMap { $0["rules"].array.map { $0["name"].string } }.sorted()
    }
}
