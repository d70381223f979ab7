import Testing
import Wire

@testable import Transport

/// TLS in both directions: whom a client believes, and whom a listener lets in.
@Suite struct TLSTests {
    private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    private func listen(asksForCertificate: Bool = false) async throws -> HTTPListener {
        let identity = TLSServerIdentity(
            certificateChain: TLSTests.bytes(TestCertificates.server),
            privateKey: TLSTests.bytes(TestCertificates.serverKey),
            clientAuthorities: asksForCertificate ? TLSTests.bytes(TestCertificates.authority) : nil)
        return try await HTTPListener.start(HTTPListener.Options(host: "127.0.0.1", port: 0, tls: identity)) {
            request in
            let body = try? await request.body.collect(upTo: 10 << 20)
            return .text(200, "\(request.isSecure) \(body?.count ?? -1)")
        }
    }

    private let client = HTTPClient(tlsProfiles: [
        "own": TLSProfile(authorities: bytes(TestCertificates.authority)),
        "proven": TLSProfile(
            authorities: bytes(TestCertificates.authority), certificateChain: bytes(TestCertificates.client),
            privateKey: bytes(TestCertificates.clientKey)),
        "blind": TLSProfile(verification: .none),
        "named": TLSProfile(authorities: bytes(TestCertificates.authority), serverName: "localhost"),
        "other name": TLSProfile(authorities: bytes(TestCertificates.authority), serverName: "elsewhere.example"),
        "broken": TLSProfile(authorities: bytes("no certificate")),
    ])

    private func send(
        _ port: Int, host: String = "localhost", profile: String?, bytes: Int = 0
    ) async throws -> String {
        let call = HTTPCall(
            "POST", HTTPEndpoint(.tls(host: host, port: port)), "/", body: [UInt8](repeating: 7, count: bytes),
            tlsProfile: profile)
        return String(decoding: try await client.send(call).body, as: UTF8.self)
    }

    private func stage(_ port: Int, profile: String?) async -> HTTPFailure.Stage? {
        do {
            _ = try await send(port, profile: profile)
            return nil
        } catch {
            return (error as? HTTPFailure)?.stage
        }
    }

    @Test func believesItsOwnAuthority() async throws {
        let listener = try await listen()
        #expect(try await send(listener.port, profile: "own", bytes: 5_000_000) == "true 5000000\n")
        #expect(try await send(listener.port, host: "127.0.0.1", profile: "named") == "true 0\n")
        #expect(try await send(listener.port, profile: "blind") == "true 0\n")
        #expect(listener.connectionCount == 3)
    }

    @Test func refusesWhomItDoesNotKnow() async throws {
        let listener = try await listen()
        #expect(await stage(listener.port, profile: nil) == .tls)
        #expect(await stage(listener.port, profile: "other name") == .tls)
        #expect(await stage(listener.port, profile: "broken") == .tls)
    }

    @Test func aFailedHandshakeIsToldInWords() async throws {
        let listener = try await listen()
        let plain = try await HTTPListener.start(HTTPListener.Options(host: "127.0.0.1", port: 0)) { _ in .text(200, "")
        }
        for (port, profile, words) in [
            (listener.port, nil, "no authority that is believed here vouches for the peer's certificate"),
            (listener.port, "other name", "the peer's certificate is for other names"),
            (plain.port, "own", "the peer does not speak TLS (WRONG_VERSION_NUMBER)"),
        ] {
            let failure = await #expect(throws: HTTPFailure.self) { try await send(port, profile: profile) }
            let text = try #require(failure?.description)
            #expect(text.contains(words), "\(text)")
            // Not where in the library's sources it happened.
            #expect(!text.contains(".cc") && !text.contains("Error"), "\(text)")
        }
    }

    @Test func aListenerMayAskForACertificate() async throws {
        let listener = try await listen(asksForCertificate: true)
        #expect(try await send(listener.port, profile: "proven") == "true 0\n")
        // In TLS 1.3 a client has sent its call before it learns that it is not let in.
        let refused = await stage(listener.port, profile: "own")
        #expect([.tls, .send, .head].contains(refused))
    }

    @Test func aPlainClientGetsNothing() async throws {
        let listener = try await listen()
        let text = await onThread {
            let socket = RawSocket(port: listener.port)
            socket.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            return socket.read()
        }
        #expect(!text.contains("200"))
    }

    @Test func anIdentityThatIsOfNoUseIsRefusedInWords() async {
        let identity = TLSServerIdentity(certificateChain: [1, 2, 3], privateKey: [])
        let options = HTTPListener.Options(host: "127.0.0.1", port: 0, tls: identity)
        await #expect {
            _ = try await HTTPListener.start(options) { _ in .text(200, "") }
        } throws: { error in
            "\(error)".contains("of no use")
        }
    }
}
