internal import Foundation
internal import ScenarioSupport
internal import Testing

/// The configuration file is what its page says: every key is read, none is passed over, and limits hold.
@Suite(.serialized) struct Configuration {
    /// The example of docs/configuration.md.
    private func example() throws -> [String] {
        let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../docs/configuration.md")
        let text = try String(contentsOf: page, encoding: .utf8)
        let block = try #require(text.components(separatedBy: "```yaml\n").dropFirst().first)
        return (block.components(separatedBy: "```").first ?? "").components(separatedBy: "\n")
    }

    @Test func everyKeyOfThePageIsRead() throws {
        let scratch = try ScratchFolder("configuration")
        defer { scratch.remove() }
        let lines = try example()
        let path = try scratch.write("vedette.yml", lines.joined(separator: "\n"))
        let check = { try ChildProcess.run(VedetteProcess.binary, ["config", "check", "--syntax-only", path]) }
        let whole = try check()
        #expect(whole.status == 0, "\(whole.output)")
        var keys = 0
        for (index, line) in lines.enumerated() {
            // The colon of an address is followed by more.
            guard let colon = line.firstIndex(of: ":"), !line.hasPrefix("#"),
                [nil, " "].contains(line[colon...].dropFirst().first)
            else { continue }
            let word = line[..<colon].split(whereSeparator: { " -".contains($0) }).joined()
            guard !word.isEmpty, word.allSatisfy({ $0.isLetter || $0 == "_" }) else { continue }
            var mistaken = lines
            mistaken[index].insert(contentsOf: "_x", at: colon)
            try scratch.write("vedette.yml", mistaken.joined(separator: "\n"))
            let (status, output) = try check()
            #expect(status == 1 && output.contains("\(path):"), "\(word): \(output)")
            // A missing key may be told before the unknown one; either names the word.
            #expect(output.contains(word), "\(word): \(output)")
            keys += 1
        }
        #expect(keys > 35)
    }

    @Test(arguments: [
        ("limits: {memory: 1MiB}", "1:18", "64MiB"), ("retention:\n  logs_size: many", "2:14", "512MiB"),
        ("limits:\n  series: -1", "2:11", "between"), ("logs: {redact_numbers: perhaps}", "1:24", "true or false"),
        ("agent: {interval: 0s}", "1:19", "100ms"), ("server: {evaluation_interval: 1ms}", "1:31", "100ms"),
        ("server:\n  tokens: [{name: a, file: /f, permissions: [raed]}]", "2:45", "raed"),
        ("retention:\n\tlogs: 1d", "2:1", "not YAML"), ("[1]", "1:1", "mapping"),
        ("server: {tls: {names: []}}", "1:23", "no name"), ("agent: {docker: \"tcp://a\"}", "1:17", "unix:///PATH"),
    ])
    func aMistakeIsNamedWithItsPlace(_ text: String, _ place: String, _ words: String) throws {
        let scratch = try ScratchFolder("mistake")
        defer { scratch.remove() }
        let path = try scratch.write("vedette.yml", text)
        for command in [["config", "check", path], ["up", "--data", scratch.file("data"), "--config", path]] {
            let (status, output) = try ChildProcess.run(VedetteProcess.binary, command)
            #expect(status == 1 && output.contains("\(path):\(place)") && output.contains(words), "\(output)")
        }
    }

    @Test func filesThatAreNamedAreLookedFor() throws {
        let scratch = try ScratchFolder("named")
        defer { scratch.remove() }
        let (token, key) = (scratch.file("token"), scratch.file("key.pem"))
        let path = try scratch.write(
            "vedette.yml",
            """
            server:
              tokens: [{name: a, file: \(token), permissions: [read]}]
              tls: {certificate_file: /dev/null, key_file: \(key)}
            """)
        let (status, output) = try ChildProcess.run(VedetteProcess.binary, ["config", "check", path])
        #expect(
            status == 1 && output.contains(token) && output.contains("key_file") && output.contains(key), "\(output)")
        try scratch.write("token", "secret")
        try scratch.write("key.pem", "")
        #expect(try ChildProcess.run(VedetteProcess.binary, ["config", "check", path]).status == 0)
    }

    @Test(arguments: [
        (["--interval", "soon"], "--interval soon"), (["--interval", "0s"], "100ms"),
        (["--memory", "2"], "--memory 2"), (["--retention-logs", "often"], "--retention-logs often"),
        (["--listen", "nowhere"], "nowhere"), (["--docker", "tcp://a:1"], "--docker tcp://a:1"),
        (["--node", ""], "--node"),
    ])
    func aWrongOptionIsNamed(_ options: [String], _ words: String) throws {
        let scratch = try ScratchFolder("option")
        defer { scratch.remove() }
        let (status, output) = try ChildProcess.run(
            VedetteProcess.binary, ["up", "--data", scratch.file("data"), "--listen", "127.0.0.1:0"] + options)
        #expect(status == 2 && output.contains(words), "\(output)")
    }

    @Test(arguments: [
        ("actions: [{action: container.restart, targets: [{name: web}], limit: 1/1h}]", "allows container.restart"),
        ("actions:\n  - action: container.restart\n    target: web", "actions.yml:3:5: unknown key target"),
        (nil as String?, "this agent observes only"),
    ])
    func theAllowListIsToldAtTheStart(_ list: String?, _ words: String) async throws {
        let scratch = try ScratchFolder("allow")
        defer { scratch.remove() }
        if let list { try scratch.write("actions.yml", list) }
        let vedette = try await VedetteProcess(
            "up", dataFolder: scratch.file("data"),
            arguments: ["--actions", scratch.file("actions.yml"), "--docker", "unix://\(scratch.file("none.sock"))"])
        await expectSoon("it is told", seen: { vedette.process.output }) { vedette.process.output.contains(words) }
        await vedette.stop()
    }

    @Test func limitsHoldAndAreTold() async throws {
        let scratch = try ScratchFolder("limits")
        defer { scratch.remove() }
        let port = try FreePort.find()
        let configuration = try scratch.write(
            "vedette.yml",
            """
            limits: {memory: 300MiB, series_per_target: 40, log_streams: 3}
            logs: {redact_numbers: true}
            scrape_configs:
              - job_name: self
                scrape_interval: 1s
                static_configs: [{targets: ["127.0.0.1:\(port)"]}]
            """)
        let vedette = try await VedetteProcess(
            "server", dataFolder: scratch.file("data"), arguments: ["--config", configuration],
            listen: "127.0.0.1:\(port)")
        // Series beyond the limit are refused, the others are kept.
        await expectSoon("the target is scraped up to its limit", seen: { try await vedette.get("/metrics").body }) {
            let count = try await vedette.instant("count({job=\"self\"})").first?.value ?? 0
            let page = try await vedette.get("/metrics").body
            let isTold = page.split(separator: "\n").contains {
                $0.hasPrefix("vedette_tsdb_samples_rejected_total{reason=\"series limit exceeded\"}")
                    && !$0.hasSuffix(" 0")
            }
            return count == 40 && isTold
        }
        let flags = try await vedette.json("/api/v1/status/flags")
        #expect(flags["data"]["memory"].string == "300 MiB", "\(flags)")

        // A card's number is hidden before the line is stored; other numbers are not.
        let secret = "paid with 4111 1111 1111 1111, order 4111111111111112"
        #expect(try await push(secret, stream: 0, to: vedette).status == 204)
        let stored = try await vedette.lines("{job=\"limits\"}")
        #expect(stored == ["paid with **** **** **** 1111, order 4111111111111112"], "\(stored)")
        var refusal: (status: Int, body: String)?
        for stream in 1...6 where refusal == nil {
            let reply = try await push("x", stream: stream, to: vedette)
            if reply.status != 204 { refusal = reply }
        }
        #expect(refusal?.body.contains("streams") == true, "\(String(describing: refusal))")
        await vedette.stop()
    }

    private func push(
        _ line: String, stream: Int, to vedette: VedetteProcess
    ) async throws -> (status: Int, body: String) {
        let now = Int64(Date().timeIntervalSince1970 * 1e9)
        let body = """
            {"streams":[{"stream":{"job":"limits","number":"\(stream)"},"values":[["\(now)","\(line)"]]}]}
            """
        return try await vedette.post("/loki/api/v1/push", body: body)
    }
}
