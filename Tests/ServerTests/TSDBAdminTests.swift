import Synchronization
import Telemetry
import Testing
import Wire

@testable import Server

/// Prometheus' admin API: off until the configuration allows it, and with the answers that its clients know.
@Suite struct TSDBAdminTests {
    private static let paths = ["delete_series", "clean_tombstones", "snapshot"]

    @Test func nothingIsDoneUnlessItIsEnabled() async throws {
        let fixture = try await ServerFixture.start { $0.options.snapshotFolder = "/nowhere" }
        for path in TSDBAdminTests.paths {
            let reply = try await fixture.post("/api/v1/admin/tsdb/\(path)", [("match[]", "up")])
            #expect(reply.status == 503)
            #expect(reply.text == #"{"status":"error","errorType":"unavailable","error":"admin APIs disabled"}"#)
        }
    }

    @Test func seriesAreDeleted() async throws {
        let fixture = try await ServerFixture.start { $0.options.adminAPIEnabled = true }
        for name in ["a", "b", "c"] { fixture.metrics.add(["__name__": name], ServerFixture.now, 1) }
        for method in ["POST", "PUT"] {
            let target = "/api/v1/admin/tsdb/delete_series?match%5B%5D=\(method == "PUT" ? "a" : "b")"
            let reply = try await fixture.send(method, target)
            #expect(reply.status == 204 && reply.body.isEmpty, "\(reply.text)")
        }
        #expect(try await fixture.text("/api/v1/label/__name__/values").contains(#"["c"]"#))
        #expect(try await fixture.post("/api/v1/admin/tsdb/clean_tombstones").status == 204)
        #expect(fixture.metrics.cleaned.load(ordering: .relaxed) == 1)
    }

    @Test(arguments: [
        ([], "no match[] parameter provided"), ([("match[]", "{")], "parse error"),
        ([("match[]", "up"), ("start", "x")], "start"), ([("match[]", "{a=~\".*\"}")], "non-empty matcher"),
    ])
    func badRequestsDeleteNothing(parameters: [(String, String)], words: String) async throws {
        let fixture = try await ServerFixture.start { $0.options.adminAPIEnabled = true }
        fixture.metrics.add(["__name__": "up"], ServerFixture.now, 1)
        let reply = try await fixture.post("/api/v1/admin/tsdb/delete_series", parameters)
        #expect(reply.status == 400 && reply.text.contains(words), "\(reply.text)")
        #expect(try await fixture.text("/api/v1/label/__name__/values").contains("up"))
    }

    @Test func snapshotsAreNamedAsPrometheusNamesThem() async throws {
        let fixture = try await ServerFixture.start {
            $0.options.adminAPIEnabled = true
            $0.options.snapshotFolder = "/data/snapshots"
        }
        let reply = try await fixture.post("/api/v1/admin/tsdb/snapshot", [("skip_head", "true")])
        let name = try #require(try JSONValue(parsing: reply.body)["data"]?["name"]?.text)
        #expect(name.wholeMatch(of: /20231114T221320Z-[0-9a-f]{16}/) != nil, "\(name)")
        #expect(fixture.metrics.snapshots.withLock { $0 } == ["/data/snapshots/\(name)/metrics"])
        #expect(try await fixture.post("/api/v1/admin/tsdb/snapshot", [("skip_head", "maybe")]).status == 400)
    }
}
