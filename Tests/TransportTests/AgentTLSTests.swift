import Synchronization
import Telemetry
import Testing
import Wire

@testable import Transport

/// A listener that knows its agents by their certificates, and everybody else not by theirs.
@Suite struct AgentTLSTests {
    /// A listener with an authority; it answers who asks.
    private struct Stage {
        let authority: CertificateAuthority
        let listener: HTTPListener
        let failures = Failures()

        final class Failures: Sendable {
            let reasons = Mutex<[String]>([])
        }

        init() async throws {
            authority = try CertificateTests.authority()
            var options = HTTPListener.Options(host: "127.0.0.1", port: 0, tls: try Stage.identity(authority))
            options.handshakeFailed = { [failures] _, reason in failures.reasons.withLock { $0.append(reason) } }
            listener = try await HTTPListener.start(options) { request in
                if request.target == "/wait" { try? await Task.sleep(for: .seconds(30)) }
                return .text(200, request.peer?.agent ?? "nobody")
            }
        }

        static func identity(_ authority: CertificateAuthority) throws -> TLSServerIdentity {
            let validity = CertificateTests.validity(from: CertificateTests.now - CertificateTests.second, for: 3_600)
            var identity = try authority.serverIdentity(names: ["localhost", "127.0.0.1"], validity: validity)
            identity.agentAuthorities = authority.certificatePEM
            return identity
        }

        /// What a client with this certificate is taken for, or why it is not let in.
        func ask(_ profile: TLSProfile, host: String = "127.0.0.1") async -> Result<String, HTTPFailure> {
            let client = HTTPClient(tlsProfiles: ["a": profile])
            return await ask(client, host: host)
        }

        func ask(
            _ client: HTTPClient, host: String = "127.0.0.1", _ target: String = "/"
        ) async -> Result<
            String, HTTPFailure
        > {
            let endpoint = HTTPEndpoint(.tls(host: host, port: listener.port))
            do {
                let reply = try await client.send(HTTPCall("GET", endpoint, target, tlsProfile: "a"))
                return .success(String(decoding: reply.body, as: UTF8.self))
            } catch {
                return .failure(error as? HTTPFailure ?? HTTPFailure(.body, "\(error)"))
            }
        }

        func profile(
            signedBy signer: CertificateAuthority? = nil, agent: String = CertificateTests.agent,
            from start: Int64 = CertificateTests.now - CertificateTests.second, seconds: Int64 = 3_600
        ) throws -> TLSProfile {
            let key = CertificateKey()
            let request = try CertificateRequest(pem: String(decoding: try key.request(name: agent), as: UTF8.self))
            let certificate = try (signer ?? authority).agentCertificate(
                for: request, agent: agent, validity: CertificateTests.validity(from: start, for: seconds))
            return TLSProfile(
                authorities: authority.certificatePEM, certificateChain: certificate, privateKey: key.pem)
        }
    }

    @Test func anAgentIsKnownByItsCertificateAndOthersNeedNone() async throws {
        let stage = try await Stage()
        #expect(await stage.ask(try stage.profile()) == .success("\(CertificateTests.agent)\n"))
        #expect(
            await stage.ask(TLSProfile(authorities: stage.authority.certificatePEM), host: "localhost")
                == .success("nobody\n"))
    }

    @Test func aForeignAnEndedAndATamperedCertificateAreRefused() async throws {
        let stage = try await Stage()
        let foreign = try stage.profile(signedBy: try CertificateTests.authority())
        let ended = try stage.profile(from: CertificateTests.now - 7_200 * CertificateTests.second, seconds: 3_600)
        let early = try stage.profile(from: CertificateTests.now + 3_600 * CertificateTests.second)
        for (what, profile) in [("foreign", foreign), ("ended", ended), ("early", early)] {
            guard case .failure = await stage.ask(profile) else {
                Issue.record("a certificate that is \(what) was let in")
                continue
            }
        }
        // One character of its signature changed; the key is the right one.
        var tampered = try stage.profile()
        var lines = String(decoding: tampered.certificateChain ?? [], as: UTF8.self).split(separator: "\n").map(
            String.init)
        let last = lines.count - 2
        lines[last] = (lines[last].hasPrefix("A") ? "B" : "A") + lines[last].dropFirst()
        tampered.certificateChain = Array(lines.joined(separator: "\n").utf8)
        let before = stage.failures.reasons.withLock { $0.count }
        #expect(before >= 3)
        guard case .failure = await stage.ask(tampered) else {
            Issue.record("a certificate that was tampered with was let in")
            return
        }
        for _ in 0..<100 where stage.failures.reasons.withLock({ $0.count }) == before {
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(stage.failures.reasons.withLock { $0.count } > before, "it did not reach the server")
    }

    @Test func aClientBelievesItsOwnServerAlone() async throws {
        let stage = try await Stage()
        let other = try CertificateTests.authority()
        guard case .failure(let failure) = await stage.ask(TLSProfile(authorities: other.certificatePEM)) else {
            Issue.record("a foreign server was believed")
            return
        }
        #expect(failure.stage == .tls)
    }

    @Test func certificatesOfBothSidesAreReplacedWhileConnectionsAreOpen() async throws {
        let stage = try await Stage()
        let client = HTTPClient(tlsProfiles: ["a": try stage.profile()])
        #expect(await stage.ask(client) == .success("\(CertificateTests.agent)\n"))
        let next = String(repeating: "cd", count: 16)
        client.replace(try stage.profile(agent: next), named: "a")
        #expect(await stage.ask(client) == .success("\(next)\n"))
        try stage.listener.replaceIdentity(try Stage.identity(stage.authority))
        #expect(await stage.ask(try stage.profile()) == .success("\(CertificateTests.agent)\n"))
        // One that is of no use changes nothing.
        #expect(throws: ListenerFailure.self) {
            try stage.listener.replaceIdentity(TLSServerIdentity(certificateChain: [1], privateKey: []))
        }
        #expect(await stage.ask(try stage.profile()) == .success("\(CertificateTests.agent)\n"))
    }

    @Test func theConnectionsOfOneAgentAreCut() async throws {
        let stage = try await Stage()
        let cut = HTTPClient(tlsProfiles: ["a": try stage.profile()])
        let kept = HTTPClient(tlsProfiles: ["a": try stage.profile(agent: String(repeating: "cd", count: 16))])
        #expect(await stage.ask(kept) == .success("\(String(repeating: "cd", count: 16))\n"))
        async let waiting = stage.ask(cut, "/wait")
        while stage.listener.connectionCount < 2 { await Task.yield() }
        // The request has been read once its connection knows its peer.
        var answer: Result<String, HTTPFailure>?
        for _ in 0..<200 where stage.listener.connectionCount == 2 {
            stage.listener.cutConnections(ofAgent: CertificateTests.agent)
            try await Task.sleep(for: .milliseconds(10))
        }
        answer = await waiting
        guard case .failure = answer else {
            Issue.record("the connection was not cut: \(String(describing: answer))")
            return
        }
        #expect(stage.listener.connectionCount == 1)
    }
}
