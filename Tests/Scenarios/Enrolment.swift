internal import Glibc
internal import ScenarioSupport
internal import Testing

/// A server that other hosts could reach, and a node that joins it: token, certificate, samples over mutual TLS,
/// revocation. Everything by the commands that people type.
@Suite(.serialized) struct Enrolment {
    private final class Stage {
        let scratch: ScratchFolder
        let port: Int
        let server: ChildProcess
        private(set) var agents: [ChildProcess] = []

        init() async throws {
            scratch = try ScratchFolder("enrolment")
            port = try FreePort.find()
            try scratch.write("operators.token", "opensesame\n")
            try scratch.write(
                "server.yml",
                """
                server:
                  tls:
                    names: [vedette.test]
                  tokens:
                    - name: operators
                      file: \(scratch.file("operators.token"))
                      permissions: [read, admin]
                """)
            // All addresses: refused without TLS and a token.
            server = try ChildProcess(
                VedetteProcess.binary,
                [
                    "server", "--data", scratch.file("data"), "--listen", "0.0.0.0:\(port)", "--config",
                    scratch.file("server.yml"),
                ], logPath: scratch.file("server.log"))
            let isUp = await eventually(seconds: 30) {
                !self.server.isRunning || (try? self.ask("agents", "list"))?.status == 0
            }
            guard isUp, server.isRunning else { throw ScenarioError("no server:\n\(server.output.suffix(3_000))") }
        }

        /// A command that asks the server.
        func ask(_ arguments: String...) throws -> (status: Int32, output: String) {
            try ChildProcess.run(
                VedetteProcess.binary, arguments,
                environment: [
                    "VEDETTE_SERVER": "https://127.0.0.1:\(port)",
                    "VEDETTE_TOKEN_FILE": scratch.file("operators.token"),
                    "VEDETTE_CA_FILE": scratch.file("data/enrolment/ca.pem"),
                ])
        }

        func enroll(_ folder: String, token: String) throws -> (status: Int32, output: String) {
            try ChildProcess.run(
                VedetteProcess.binary,
                ["enroll", "--server", "127.0.0.1:\(port)", "--token", token, "--data", scratch.file(folder)])
        }

        func startAgent(_ folder: String, _ arguments: [String] = []) throws -> ChildProcess {
            let agent = try ChildProcess(
                VedetteProcess.binary,
                [
                    "agent", "--data", scratch.file(folder), "--node", folder, "--docker",
                    "unix://\(scratch.file("none.sock"))",
                ] + arguments, logPath: scratch.file("\(folder).\(agents.count).log"))
            agents.append(agent)
            return agent
        }

        /// The value of `expression`; nil when there is none.
        func value(_ expression: String) -> Double? {
            guard let (status, output) = try? ask("query", "-o", "json", expression), status == 0,
                let tree = try? JSONTree(output)
            else { return nil }
            return Double(tree["result"][0]["value"][1].string)
        }

        func strike() async {
            for agent in agents { await agent.stop() }
            await server.stop()
            scratch.remove()
        }
    }

    @Test func aNodeJoinsDeliversAndIsRevoked() async throws {
        let stage = try await Stage()
        do {
            try await play(stage)
        } catch {
            Issue.record("\(error)")
        }
        await stage.strike()
    }

    private func play(_ stage: Stage) async throws {
        // What the server proposes at its start works as it is printed.
        let proposal =
            stage.server.output.split(separator: "\n").first { $0.contains(" query ") }.map(String.init) ?? ""
        let proposed = try ChildProcess.run("sh", ["-c", proposal])
        #expect(proposed.status == 0 && !proposal.isEmpty, "\(proposal): \(proposed.output)")
        let made = try stage.ask("enroll", "token", "--lifetime", "10m")
        let token = made.output.split(separator: "\n").last.map(String.init) ?? ""
        #expect(made.status == 0 && token.hasPrefix("vedette1_"), "\(made.output)")
        let pinned = token.split(separator: "_").map(String.init)
        let foreign = try stage.enroll(
            "node-1", token: "vedette1_\(String(repeating: "0", count: 64))_\(pinned.last ?? "")")
        #expect(foreign.status == 1 && foreign.output.contains("not the server"), "\(foreign.output)")
        let joined = try stage.enroll("node-1", token: token)
        #expect(joined.status == 0, "\(joined.output)")
        // What is secret is its owner's alone.
        let secrets = [stage.scratch.file("node-1/enrolment"), stage.scratch.file("data/enrolment/authority.pem")]
        #expect(try ChildProcess.run("stat", ["-c", "%a"] + secrets).output == "600\n600\n")
        // Once more is no harm, and no use for another node.
        let again = try stage.enroll("node-1", token: token)
        #expect(again.status == 0 && again.output.contains("enrolled already"), "\(again.output)")
        let second = try stage.enroll("node-2", token: token)
        #expect(second.status == 1 && second.output.contains("used already"), "\(second.output)")

        let agent = try stage.startAgent("node-1")
        let isHere = await eventually(seconds: 30) { stage.value("count(node_load1{node=\"node-1\"})") == 1 }
        #expect(isHere, "\(agent.output.suffix(2_000))")
        let list = try stage.ask("agents").output
        #expect(list.contains("node-1") && list.contains("enrolled"), "\(list)")

        // A copy of its data folder is the same agent twice: one of the two is held off, and told.
        try await aCopyIsFound(stage)
        try await aRevocationHolds(stage, agent)
    }

    private func aCopyIsFound(_ stage: Stage) async throws {
        try ChildProcess.run("cp", ["-a", stage.scratch.file("node-1"), stage.scratch.file("node-1-copy")])
        let copy = try stage.startAgent("node-1-copy")
        let isTold = await eventually(seconds: 50) {
            stage.server.output.contains("another agent speaks under the identity")
        }
        #expect(isTold, "\(copy.output.suffix(2_000))")
        #expect(try stage.ask("agents").output.contains("two at once"))
        await copy.stop()
    }

    private func aRevocationHolds(_ stage: Stage, _ first: ChildProcess) async throws {
        // The copy took over while both ran; the original goes on as the only one.
        await first.stop()
        let agent = try stage.startAgent("node-1")
        let identity = try JSONTree(stage.ask("agents", "-o", "json").output)["agents"].array
            .first { $0["state"].string == "enrolled" }?["agent"].string
        let delivered = await eventually(seconds: 60) {
            (stage.value("time() - timestamp(node_load1{node=\"node-1\"})") ?? 99) < 3
        }
        #expect(delivered, "\(agent.output.suffix(2_000))")
        let revoked = try stage.ask("agents", "revoke", identity ?? "none")
        #expect(revoked.status == 0, "\(revoked.output)")
        let isTold = await eventually(seconds: 20) { agent.output.contains("was revoked at") }
        #expect(isTold, "\(agent.output.suffix(2_000))")
        #expect(try stage.ask("agents").output.contains("revoked at"))
        // Nothing of it arrives any more: not when it starts anew, and not with a new token either.
        await agent.stop()
        let token = try stage.ask("enroll", "token").output.split(separator: "\n").last.map(String.init) ?? ""
        let back = try ChildProcess.run(
            VedetteProcess.binary,
            [
                "enroll", "--force", "--server", "127.0.0.1:\(stage.port)", "--token", token, "--data",
                stage.scratch.file("node-1"),
            ])
        #expect(back.status == 1 && back.output.contains("was revoked at"), "\(back.output)")
    }

    @Test func plainHTTPStaysOnLoopback() async throws {
        let scratch = try ScratchFolder("plain")
        let refused = try ChildProcess.run(
            VedetteProcess.binary, ["agent", "--data", scratch.file("a"), "--server", "http://10.1.2.3:9797"])
        #expect(refused.status == 1 && refused.output.contains("--insecure"), "\(refused.output)")
        let lost = try ChildProcess.run(VedetteProcess.binary, ["agent", "--data", scratch.file("a")])
        #expect(lost.status == 1 && lost.output.contains("not enrolled"), "\(lost.output)")
        scratch.remove()
    }

    /// systemd is told when the service is up, fed while it works, and told when it leaves.
    @Test func systemdIsToldOfProgress() async throws {
        let scratch = try ScratchFolder("notify")
        let path = "/tmp/vedette-notify-\(getpid()).sock"
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        defer {
            close(descriptor)
            unlink(path)
            scratch.remove()
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let isBound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        try #require(isBound)
        let process = try await VedetteProcess(
            "up", dataFolder: scratch.file("data"), arguments: ["--docker", "unix://\(scratch.file("none"))"],
            environment: ["NOTIFY_SOCKET": path, "WATCHDOG_USEC": "4000000"])
        var heard: [String] = []
        func hear() {
            var buffer = [UInt8](repeating: 0, count: 4_096)
            while true {
                let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
                if count <= 0 { return }
                heard.append(String(decoding: buffer.prefix(count), as: UTF8.self))
            }
        }
        let isFed = await eventually(seconds: 20) {
            hear()
            return heard.count { $0 == "WATCHDOG=1" } >= 4
        }
        #expect(isFed, "\(heard)")
        #expect(heard.first?.hasPrefix("READY=1\nSTATUS=serving on 127.0.0.1") == true, "\(heard)")
        await process.stop()
        hear()
        #expect(heard.last == "STOPPING=1", "\(heard)")
    }
}
