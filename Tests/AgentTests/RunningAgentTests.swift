import Disk
import Telemetry
import TestSupport
import Testing
import Wire

@testable import Agent

/// A whole agent of this host with a server in memory: what only shows while it runs.
@Suite struct RunningAgentTests {
    private func options(_ folder: String) -> AgentOptions {
        var options = AgentOptions(
            server: HTTPEndpoint(.tcp(host: "127.0.0.1", port: 1)), dataFolder: folder, version: "test")
        options.engineSocket = "/none.sock"
        options.node = "node-a"
        options.intervalMilliseconds = 100
        options.logs.journal = .off
        options.logs.podFolder = ""
        options.logs.podmanFolders = []
        options.isAlone = true
        return options
    }

    @Test func anAgentThatTakesTooMuchReadsLessOftenAndSaysSo() async throws {
        let scratch = ScratchFolder()
        let server = FakeServer()
        var options = options(scratch.path)
        // Whatever it does is too much.
        options.limits = SelfLimits(processorShare: 0.000_001)
        options.limits.windowNanoseconds = 150_000_000
        let agent = NodeAgent(options, ports: AgentPorts(http: server, storage: SystemStorage())) { _ in }
        let run = Task { try await agent.run() }
        #expect(
            await server.waits(seconds: 15) {
                server.values("vedette_agent_degraded_step").contains { $0.value == 2 }
            })
        #expect(server.values("vedette_agent_interval_seconds").map(\.value).contains(1.5))
        let steps = server.events.filter { $0.kind == .pressure && $0.details["subject"] == "agent" }
        #expect(steps.map { $0.details["step"] }.starts(with: ["1", "2"]))
        #expect(steps.first?.text.contains("of a processor") == true)
        run.cancel()
        _ = try? await run.value
        let status = try AgentStatusFile(
            decoding: AtomicFile.read("\(scratch.path)/status.json", in: SystemStorage(), maximumBytes: 1 << 20) ?? [])
        #expect(status.node == "node-a")
    }
}
