import Synchronization
import Testing
import Wire

@testable import Server

/// Who may do what.
@Suite struct AccessTests {
    private static let tokens = [
        AccessToken(
            secret: Array("reader-secret".utf8), principal: Principal(name: "grafana", permissions: [.read])),
        AccessToken(
            secret: Array("agent-secret".utf8), principal: Principal(name: "agents", permissions: [.ingest])),
    ]

    private func bearer(_ token: String) -> [HTTPField] { [HTTPField("Authorization", "Bearer \(token)")] }

    @Test func withTokensEveryRequestNeedsOne() async throws {
        let fixture = try await ServerFixture.start { $0.tokens = { AccessTests.tokens } }
        let none = try await fixture.send("GET", "/api/v1/labels")
        #expect(none.status == 401)
        #expect(none.fields["www-authenticate"]?.contains("Bearer") == true)
        #expect(try await fixture.send("GET", "/api/v1/labels", fields: bearer("wrong")).status == 401)
        #expect(try await fixture.send("GET", "/api/v1/labels", fields: bearer("reader-secret")).status == 200)
        // dXNlcjpyZWFkZXItc2VjcmV0 is user:reader-secret
        let basic = [HTTPField("Authorization", "Basic dXNlcjpyZWFkZXItc2VjcmV0")]
        #expect(try await fixture.send("GET", "/api/v1/labels", fields: basic).status == 200)
        let missing = try await fixture.send("POST", "/api/v1/admin/seal", fields: bearer("reader-secret"))
        #expect(missing.status == 403)
        #expect(missing.text.contains("needs the permission admin"))
        #expect(try await fixture.send("GET", "/-/healthy").status == 200)
        #expect(try await fixture.send("GET", "/metrics").status == 401)
    }

    @Test func withoutTokensThisMachineMayDoEverything() async throws {
        let fixture = try await ServerFixture.start()
        #expect(try await fixture.send("POST", "/api/v1/admin/seal").status == 200)
        #expect(fixture.metrics.sealed.load(ordering: .relaxed) == 1)
    }

    @Test func withoutTokensAWebPageMayDoNothing() async throws {
        let fixture = try await ServerFixture.start()
        let rebound = try await fixture.send("GET", "/api/v1/labels", fields: [HTTPField("Host", "evil.example:9797")])
        #expect(rebound.status == 403)
        let host = HTTPField("Host", "localhost:\(fixture.server.port)")
        let crossed = try await fixture.send(
            "POST", "/-/reload", fields: [host, HTTPField("Origin", "https://evil.example")])
        #expect(crossed.status == 403)
        let own = HTTPField("Origin", "http://localhost:\(fixture.server.port)")
        #expect(try await fixture.send("POST", "/-/reload", fields: [host, own]).status == 200)
    }

    @Test(arguments: [
        ("127.0.0.1", false, false, false, true), ("localhost", false, false, false, true),
        ("::1", false, false, false, true), ("127.8.9.10", false, false, false, true),
        ("0.0.0.0", false, false, false, false), ("", false, false, false, false),
        ("10.0.0.1", true, false, false, false), ("10.0.0.1", false, true, false, false),
        ("10.0.0.1", true, true, false, true), ("10.0.0.1", false, false, true, true),
        ("127.0.0.1.evil.example", false, false, false, false), ("::", false, false, false, false),
    ])
    func bindRule(host: String, hasTLS: Bool, hasTokens: Bool, isInsecure: Bool, isAllowed: Bool) {
        let refusal = BindRule.refusal(host: host, hasTLS: hasTLS, hasTokens: hasTokens, isInsecure: isInsecure)
        #expect((refusal == nil) == isAllowed)
        if let refusal { #expect(refusal.contains("--insecure")) }
    }

    @Test func everyRouteButLivenessNeedsAPermission() async throws {
        let fixture = try await ServerFixture.start()
        let index = try await fixture.text("/")
        let open = index.split(separator: "\n").filter { $0.contains("  open  ") }
        #expect(open.count == 5)
        #expect(
            open.allSatisfy { line in
                ["/-/", "/ready ", "/enrolment/v1/"].contains { line.hasPrefix($0) }
            })
    }
}
