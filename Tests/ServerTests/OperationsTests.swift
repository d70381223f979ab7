import Glibc
import Synchronization
import Telemetry
import Testing
import Transport
import Wire

@testable import Server

/// What operators rely on: readiness, reload, seal, own metrics, memory cap, queries that can be seen and killed.
@Suite struct OperationsTests {
    @Test func readinessFollowsTheStores() async throws {
        let fixture = try await ServerFixture.start()
        #expect(try await fixture.get("/-/ready").status == 200)
        #expect(try await fixture.get("/-/ready", [("for", "ingest")]).status == 200)
        #expect(try await fixture.get("/-/ready", [("for", "tea")]).status == 400)
        fixture.metrics.health.withLock { $0 = .starting("replaying the log, 30 % done") }
        let reply = try await fixture.get("/-/ready")
        #expect(reply.status == 503)
        #expect(reply.text.contains("metrics: starting, replaying the log, 30 % done"))
        #expect(try await fixture.get("/-/healthy").status == 200)
    }

    @Test func aReloadThatFailsSaysWhichLine() async throws {
        struct Wrong: Error, CustomStringConvertible { let description = "rules/a.yml:7:3: unknown key \"exprr\"" }
        let fails = Mutex(true)
        let fixture = try await ServerFixture.start { dependencies in
            dependencies.reload = { if fails.withLock({ $0 }) { throw Wrong() } }
        }
        let reply = try await fixture.post("/-/reload")
        #expect(reply.status == 400)
        #expect(reply.text.contains("rules/a.yml:7:3"))
        #expect(reply.text.contains("nothing was changed"))
        fails.withLock { $0 = false }
        #expect(try await fixture.post("/-/reload").status == 200)
    }

    @Test func sealAnswersWhenBothStoresAreSealed() async throws {
        let fixture = try await ServerFixture.start()
        #expect(try await fixture.post("/api/v1/admin/seal").status == 200)
        #expect(fixture.metrics.sealed.load(ordering: .relaxed) == 1)
        #expect(fixture.logs.sealed.load(ordering: .relaxed) == 1)
    }

    @Test func snapshotsGoToAnAbsolutePathOnly() async throws {
        let fixture = try await ServerFixture.start()
        #expect(try await fixture.post("/api/v1/admin/snapshot").status == 400)
        #expect(try await fixture.post("/api/v1/admin/snapshot", [("to", "../x")]).status == 400)
        #expect(try await fixture.post("/api/v1/admin/snapshot", [("to", "/a/../b")]).status == 400)
    }

    @Test func ownMetricsAreWellFormedAndReal() async throws {
        let fixture = try await ServerFixture.start()
        fixture.metrics.add(["__name__": "up"], ServerFixture.now, 1)
        _ = try await fixture.get("/api/v1/query", [("query", "up")])
        _ = try await fixture.get("/api/v1/query", [("query", "up{")])
        let reply = try await fixture.get("/metrics")
        #expect(reply.fields["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
        let lines = reply.text.split(separator: "\n").map(String.init)
        #expect(lines.contains(#"vedette_http_requests_total{code="200",method="GET",route="/api/v1/query"} 1"#))
        #expect(lines.contains(#"vedette_http_requests_total{code="400",method="GET",route="/api/v1/query"} 1"#))
        #expect(lines.contains("# TYPE vedette_query_duration_seconds histogram"))
        #expect(lines.contains(#"vedette_query_duration_seconds_bucket{kind="promql",le="+Inf"} 2"#))
        #expect(lines.contains("vedette_metrics_series 1"))
        #expect(lines.contains { $0.hasPrefix("process_resident_memory_bytes ") && !$0.hasSuffix(" 0") })
        #expect(lines.contains { $0.hasPrefix("process_cpu_seconds_total ") })
        var types: Set<String> = []
        for line in lines where line.hasPrefix("# TYPE ") {
            #expect(types.insert(String(line.split(separator: " ")[2])).inserted, "twice: \(line)")
        }
    }

    @Test(arguments: [
        (50, 100, MemoryLevel.normal), (80, 100, .normal), (81, 100, .tight), (100, 100, .tight), (101, 100, .over),
        (112, 100, .over), (113, 100, .critical), (1_000, 0, .normal),
    ])
    func memoryLevels(resident: Int, cap: Int, level: MemoryLevel) {
        #expect(MemoryLevel(resident: resident, cap: cap) == level)
    }

    @Test func overTheCapQueriesAreRefusedAndThenIngest() async throws {
        // A cap of one byte: the process is always far above it.
        let fixture = try await ServerFixture.start { $0.options.memoryBytesMaximum = 1 }
        var reply = try await fixture.get("/api/v1/labels")
        while reply.status == 200 { reply = try await fixture.get("/api/v1/labels") }
        #expect(reply.status == 503)
        #expect(reply.text.contains("raise --memory"))
        #expect(try await fixture.send("POST", "/loki/api/v1/push").status == 429)
        let batch = try await fixture.send("POST", "/agent/v1/batch")
        #expect(batch.status == 429)
        #expect(try AgentReplyCodec.decode(batch.body).verdict == .later)
        #expect(try await fixture.get("/-/ready").status == 503)
        #expect(try await fixture.get("/-/healthy").status == 200)
        #expect(try await fixture.get("/metrics").status == 200)
    }

    @Test func aQueryCanBeSeenAndKilled() async throws {
        let fixture = try await ServerFixture.start()
        fixture.metrics.add(["__name__": "up"], ServerFixture.now, 1)
        let gate = Gate()
        fixture.metrics.onRead.withLock { $0 = { gate.pass() } }
        let query = Task { try await fixture.get("/api/v1/query", [("query", "up")]) }
        var entries: [JSONValue] = []
        while entries.isEmpty {
            entries =
                try JSONValue(parsing: try await fixture.get("/api/v1/status/queries").body)["data"]?.elements ?? []
        }
        #expect(entries[0]["query"]?.text == "up")
        #expect(entries[0]["principal"]?.text == "local")
        let id = try #require(entries[0]["id"]?.text)
        #expect(try await fixture.send("DELETE", "/api/v1/status/queries/\(id)").status == 200)
        gate.open()
        let reply = try await query.value
        #expect(reply.status == 499)
        #expect(reply.text.contains("canceled"))
        #expect(try await fixture.send("DELETE", "/api/v1/status/queries/\(id)").status == 404)
    }

    @Test func aClientThatLeavesEndsItsQuery() async throws {
        let fixture = try await ServerFixture.start()
        fixture.metrics.add(["__name__": "up"], ServerFixture.now, 1)
        let gate = Gate()
        fixture.metrics.onRead.withLock { $0 = { gate.pass() } }
        let query = Task { try await fixture.get("/api/v1/query", [("query", "up")]) }
        while gate.waiting == 0 { await Task.yield() }
        query.cancel()
        _ = await query.result
        // The server has seen the client leave when only the connection of this question is left.
        while !(try await fixture.text("/metrics")).contains("vedette_http_connections 1\n") { await Task.yield() }
        gate.open()
        var failures = ""
        while !failures.contains(#"reason="canceled"} 1"#) { failures = try await fixture.text("/metrics") }
    }

    @Test func queriesTimeOut() async throws {
        let fixture = try await ServerFixture.start()
        fixture.metrics.add(["__name__": "up"], ServerFixture.now, 1)
        fixture.metrics.onRead.withLock { $0 = { usleep(5_000) } }
        let reply = try await fixture.get("/api/v1/query", [("query", "up"), ("timeout", "1ms")])
        #expect(reply.status == 503)
        #expect(reply.text.contains(#""errorType":"timeout""#))
    }

    @Test func tooManyQueriesAreRefusedAtOnce() async throws {
        let fixture = try await ServerFixture.start {
            $0.options.queryConcurrency = 1
            $0.options.queriesWaitingBytesMaximum = 1
        }
        fixture.metrics.add(["__name__": "up"], ServerFixture.now, 1)
        let gate = Gate()
        fixture.metrics.onRead.withLock { $0 = { gate.pass() } }
        async let first = fixture.get("/api/v1/query", [("query", "up")])
        while gate.waiting == 0 { await Task.yield() }
        // Equal queries would share one place.
        async let second = fixture.get("/api/v1/query", [("query", "up + 0")])
        while !(try await fixture.text("/metrics")).contains("vedette_queries_waiting 1") { await Task.yield() }
        let third = try await fixture.get("/api/v1/query", [("query", "up + 1")])
        #expect(third.status == 503)
        #expect(third.fields["retry-after"] == "2")
        gate.open()
        #expect(try await first.status == 200)
        #expect(try await second.status == 200)
    }

    @Test func shutdownEndsWhatRuns() async throws {
        let fixture = try await ServerFixture.start()
        fixture.metrics.add(["__name__": "up"], ServerFixture.now, 1)
        let gate = Gate()
        fixture.metrics.onRead.withLock { $0 = { gate.pass() } }
        let query = Task { try await fixture.get("/api/v1/query", [("query", "up")]) }
        while gate.waiting == 0 { await Task.yield() }
        await fixture.server.shutdown(deadlineMilliseconds: 100)
        gate.open()
        await #expect(throws: HTTPFailure.self) { try await query.value }
        await #expect(throws: HTTPFailure.self) { try await fixture.get("/-/healthy") }
    }
}

/// Holds threads back until it is opened.
final class Gate: Sendable {
    private let isOpen = Atomic<Bool>(false)
    private let count = Atomic<Int>(0)

    /// How many have come to it.
    var waiting: Int { count.load(ordering: .acquiring) }

    /// Waits on the calling thread; gives up after ten seconds.
    func pass() {
        count.add(1, ordering: .acquiringAndReleasing)
        for _ in 0..<10_000 where !isOpen.load(ordering: .acquiring) { usleep(1_000) }
    }

    func open() { isOpen.store(true, ordering: .releasing) }
}
