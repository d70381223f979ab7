import Disk
import Glibc
import Synchronization
import Telemetry
import Testing
import Transport
import Wire

@testable import Agent

/// A whole agent beside a real engine. `VEDETTE_TEST_DOCKER` names the socket of an engine of the test's own that has
/// the image `bb:1` (a busybox); without it there is nothing to test against.
@Suite(
    .serialized,
    .enabled(if: getenv("VEDETTE_TEST_DOCKER") != nil, "VEDETTE_TEST_DOCKER does not name an engine's socket"))
struct RealDockerTests {
    private let socket = getenv("VEDETTE_TEST_DOCKER").map { String(cString: $0) } ?? ""

    private func engineCall(_ method: String, _ target: String, _ body: String = "") async throws -> HTTPReply {
        let endpoint = HTTPEndpoint(.unix(path: socket))
        return try await HTTPClient().send(
            HTTPCall(
                method, endpoint, target, fields: [HTTPField("Content-Type", "application/json")],
                body: Array(body.utf8), timeoutMilliseconds: 30_000))
    }

    private func create(
        _ name: String, _ script: String, memory: Int = 0, logDriver: String = "json-file"
    ) async throws -> String {
        let body = """
            {"Image":"bb:1","Cmd":["sh","-c",\(QuotedText.quoted(script))],\
            "HostConfig":{"NetworkMode":"none","Memory":\(memory),"MemorySwap":\(memory),\
            "LogConfig":{"Type":"\(logDriver)"}}}
            """
        let reply = try await engineCall("POST", "/containers/create?name=\(name)", body)
        let id = try JSONValue(parsing: reply.body)["Id"]?.text
        return try #require(id, "\(String(decoding: reply.body, as: UTF8.self))")
    }

    private func options(_ folder: String) -> AgentOptions {
        var options = AgentOptions(
            server: HTTPEndpoint(.tcp(host: "127.0.0.1", port: 1)), dataFolder: folder, version: "test")
        options.engineSocket = socket
        options.node = "node-a"
        return options
    }

    @Test func anOOMKillIsSeenToldAndItsLastWordsAreKept() async throws {
        let scratch = ScratchFolder()
        let server = FakeServer(sockets: HTTPClient())
        let name = "vedette-oom-\(getpid())"
        let agent = NodeAgent(
            options(scratch.path), ports: AgentPorts(http: server, storage: SystemStorage())
        ) { Swift.print("notice: \($0.level): \($0.text)") }
        let run = Task { try await agent.run() }
        // Ends by itself once the test goes on without it, and is removed whatever happens.
        let id = try await create(
            name, "echo start; printf last; sleep 3; x=a; while :; do x=$x$x; done", memory: 32 << 20)
        _ = try await engineCall("POST", "/containers/\(id)/start")
        let isNamed: (Labels) -> Bool = { $0["name"] == name }
        #expect(
            await server.waits(seconds: 5) {
                server.values("container_oom_events_total", where: isNamed).first?.value == 0
            })
        #expect(await server.waits(seconds: 10) { server.events.contains { $0.kind == .oomKill } })
        #expect(await server.waits(seconds: 5) { server.lines.contains("last") })
        #expect(await server.waits(seconds: 5) { server.events.contains { $0.kind == .exit } })
        let urgent = server.values("container_oom_events_total", where: isNamed).filter(\.isUrgent)
        #expect(urgent.contains { $0.value == 1 })
        for event in server.events {
            Swift.print("event: \(event.kind) \(event.source) \(event.details) \(event.text)")
        }
        Swift.print("milliseconds from the kill to the server: \(server.delays(of: .oomKill))")
        let kills = server.events.filter { $0.kind == .oomKill && $0.subject["container"] == name }
        #expect(kills.count == 1)
        #expect(kills.first?.details["sources"]?.contains(",") == true)
        run.cancel()
        _ = try? await run.value
        _ = try await engineCall("DELETE", "/containers/\(id)?force=1")
    }

    @Test func anOOMKillIsSeenWhileTheEngineIsStopped() async throws {
        let pidFile = socket.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        let text = HostRoot().text("\(pidFile)/docker.pid") ?? ""
        let engine = try #require(Int32(text.prefix { $0.isNumber }), "no docker.pid beside the socket")
        let scratch = ScratchFolder()
        let server = FakeServer(sockets: HTTPClient())
        let name = "vedette-stopped-\(getpid())"
        let agent = NodeAgent(options(scratch.path), ports: AgentPorts(http: server, storage: SystemStorage())) { _ in }
        let run = Task { try await agent.run() }
        let id = try await create(name, "sleep 4; x=a; while :; do x=$x$x; done", memory: 32 << 20)
        _ = try await engineCall("POST", "/containers/\(id)/start")
        #expect(
            await server.waits(seconds: 5) {
                agent.runningContainers > 0 && !server.values("container_last_seen").isEmpty
            })
        kill(engine, SIGSTOP)
        let isSeen = await server.waits(seconds: 15) {
            server.events.contains { $0.kind == .oomKill && $0.subject["container"] == name }
        }
        let exited = await server.waits(seconds: 5) {
            server.events.contains { $0.kind == .exit && $0.subject["container"] == name }
        }
        kill(engine, SIGCONT)
        #expect(isSeen)
        #expect(exited)
        // The engine's late word about the same kill is no second one.
        _ = await server.waits(seconds: 3) { false }
        for event in server.events { Swift.print("event: \(event.kind) \(event.details) \(event.text)") }
        #expect(server.events.count { $0.kind == .oomKill && $0.subject["container"] == name } == 1)
        #expect(server.events.count { $0.kind == .exit && $0.subject["container"] == name } == 1)
        run.cancel()
        _ = try? await run.value
        _ = try await engineCall("DELETE", "/containers/\(id)?force=1")
    }

    @Test func anAllowedRestartIsDoneOnceAndReported() async throws {
        let scratch = ScratchFolder()
        let server = FakeServer(sockets: HTTPClient())
        let name = "vedette-restart-\(getpid())"
        // Not below /tmp: a folder that others may write is refused.
        let folder = "/run/vedette-test-\(getpid())"
        mkdir(folder, 0o755)
        ScratchFolder.overwrite(
            "\(folder)/actions.yml",
            """
            actions:
              - action: container.restart
                targets: [{name: "vedette-restart-*"}]
                limit: 1/1h
            """)
        var options = options(scratch.path)
        options.actionsFile = "\(folder)/actions.yml"
        let agent = NodeAgent(options, ports: AgentPorts(http: server, storage: SystemStorage())) { _ in }
        let run = Task { try await agent.run() }
        let id = try await create(name, "sleep 1000")
        _ = try await engineCall("POST", "/containers/\(id)/start")
        #expect(
            await server.waits(seconds: 5) {
                agent.runningContainers > 0 && !server.values("container_last_seen").isEmpty
            })
        func command(_ number: Int, _ target: String) -> AgentCommand {
            AgentCommand(
                id: "c\(number)", action: "container.restart", target: target, arguments: ["grace": "0"],
                expiresNanoseconds: SystemWallClock().nowNanoseconds + 60_000_000_000)
        }
        // The same id twice, then another that the limit refuses, then a stranger.
        server.state.withLock { $0.commands = [command(1, id), command(1, id)] }
        #expect(
            await server.waits(seconds: 10) { server.state.withLock { $0.reports }.contains { $0.outcome == .done } })
        server.state.withLock { $0.commands = [command(2, "/docker/\(id)"), command(3, "nobody")] }
        #expect(
            await server.waits(seconds: 5) {
                server.state.withLock { $0.reports }.count { $0.outcome == .refused } >= 2
            })
        for report in server.state.withLock({ $0.reports }) { Swift.print("report: \(report)") }
        let done = server.state.withLock { $0.reports }.filter { $0.outcome == .done }
        #expect(Set(done.map(\.id)) == ["c1"])
        let facts = try #require(done.first).facts
        #expect(facts["started_at"] != nil && facts["started_at"] != facts["previous_started_at"])
        #expect(facts["pid"] != facts["previous_pid"])
        #expect(await server.waits(seconds: 3) { server.events.contains { $0.kind == .restart } })
        run.cancel()
        _ = try? await run.value
        unlink("\(folder)/actions.yml")
        rmdir(folder)
        _ = try await engineCall("DELETE", "/containers/\(id)?force=1")
    }

    @Test func everyLineComesOnceThroughRotationsAndARestartOfTheAgent() async throws {
        let scratch = ScratchFolder()
        let server = FakeServer(sockets: HTTPClient())
        let name = "vedette-rotate-\(getpid())"
        let script =
            "i=0; while [ $i -lt 6000 ]; do i=$((i+1)); echo \"line $i\"; [ $((i % 200)) = 0 ] && sleep 0.1; done"
        let body = """
            {"Image":"bb:1","Cmd":["sh","-c",\(QuotedText.quoted(script))],"HostConfig":{"NetworkMode":"none",\
            "LogConfig":{"Type":"json-file","Config":{"max-size":"100k","max-file":"4"}}}}
            """
        let reply = try await engineCall("POST", "/containers/create?name=\(name)", body)
        let id = try #require(try JSONValue(parsing: reply.body)["Id"]?.text)
        let first = NodeAgent(options(scratch.path), ports: AgentPorts(http: server, storage: SystemStorage())) { _ in }
        let running = Task { try await first.run() }
        _ = await server.waits(seconds: 3) { !server.events.isEmpty }
        _ = try await engineCall("POST", "/containers/\(id)/start")
        _ = await server.waits(seconds: 20) { server.lines(of: name).count > 2_000 }
        running.cancel()
        _ = try? await running.value
        let second = NodeAgent(options(scratch.path), ports: AgentPorts(http: server, storage: SystemStorage())) {
            Swift.print("notice: \($0.text)")
        }
        let again = Task { try await second.run() }
        #expect(await server.waits(seconds: 30) { Set(server.lines(of: name)).count == 6_000 })
        // What was read again has the same bytes of the same file: the database drops it.
        var seen: Set<String> = []
        var overlaps = 0
        for stored in server.state.withLock({ $0.stored }) {
            guard case .lines(let batch) = stored.signal else { continue }
            for stream in batch.streams where stream.labels["container"] == name {
                for index in 0..<stream.count {
                    let place =
                        "\(stream.origin?.source ?? "") \(stream.origin?.generation ?? 0) \(stream.offsetStarts[index])"
                    if !seen.insert(place).inserted { overlaps += 1 }
                }
            }
        }
        Swift.print("lines \(server.lines(of: name).count), places \(seen.count), read again \(overlaps)")
        #expect(seen.count == 6_000)
        #expect(server.losses.isEmpty)
        again.cancel()
        _ = try? await again.value
        _ = try await engineCall("DELETE", "/containers/\(id)?force=1")
    }

    /// `VEDETTE_MEASURE_CONTAINERS=N` (a release build, please): what an agent costs beside N containers that run
    /// already.
    @Test(.enabled(if: getenv("VEDETTE_MEASURE_CONTAINERS") != nil, "VEDETTE_MEASURE_CONTAINERS is not set"))
    func whatItCosts() async throws {
        let scratch = ScratchFolder()
        let server = FakeServer(sockets: HTTPClient())
        let agent = NodeAgent(options(scratch.path), ports: AgentPorts(http: server, storage: SystemStorage())) { _ in }
        let run = Task { try await agent.run() }
        try await Task.sleep(for: .seconds(5))
        let before = AgentLimits.usage()
        let batches = server.state.withLock { $0.stored.count }
        try await Task.sleep(for: .seconds(20))
        let after = AgentLimits.usage()
        let samples = server.state.withLock { $0.stored }.last.map { stored -> Int in
            guard case .samples(let batch, _) = stored.signal else { return 0 }
            return batch.sampleCount
        }
        let seconds = server.values("vedette_agent_collection_seconds").map(\.value).sorted()
        Swift.print(
            """
            \(agent.runningContainers) containers, \(samples ?? 0) samples a tick, \
            \(server.state.withLock { $0.stored.count } - batches) batches, \
            CPU \((after.cpuSeconds - before.cpuSeconds) / 20 * 100) % (agent and the test's server), \
            RSS \(after.residentBytes >> 20) MiB, median tick \(seconds[seconds.count / 2] * 1000) ms
            """)
        run.cancel()
        _ = try? await run.value
    }

    /// Docker's `local` driver keeps its files to itself: lines come through the API, once over a restart of the agent,
    /// over one of the container, and to the last word.
    @Test func aLogThatOnlyTheEngineReadsArrivesOnce() async throws {
        let scratch = ScratchFolder()
        let server = FakeServer(sockets: HTTPClient())
        let name = "vedette-local-\(getpid())"
        let script = "i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo line $i; sleep 0.1; done; printf last"
        let id = try await create(name, script, logDriver: "local")
        var agent = NodeAgent(options(scratch.path), ports: AgentPorts(http: server, storage: SystemStorage())) { _ in }
        var run = Task { [agent] in try await agent.run() }
        _ = try await engineCall("POST", "/containers/\(id)/start")
        #expect(await server.waits(seconds: 10) { server.lines(of: name).contains("line 10") })
        run.cancel()
        _ = try? await run.value
        agent = NodeAgent(options(scratch.path), ports: AgentPorts(http: server, storage: SystemStorage())) { _ in }
        run = Task { [agent] in try await agent.run() }
        #expect(await server.waits(seconds: 20) { server.lines(of: name).contains("last") })
        _ = try await engineCall("POST", "/containers/\(id)/restart?t=0")
        #expect(await server.waits(seconds: 20) { server.lines(of: name).count { $0 == "last" } == 2 })
        run.cancel()
        _ = try? await run.value
        _ = try await engineCall("DELETE", "/containers/\(id)?force=1")
        let once = (1...40).map { "line \($0)" } + ["last"]
        #expect(server.distinctLines(of: name) == once + once)
    }
}
