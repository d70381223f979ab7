import Telemetry
import Testing

@testable import Transport

/// An authority, what it signs, and what is made of bytes that somebody changed.
@Suite struct CertificateTests {
    static let second: Int64 = 1_000_000_000
    static let now = SystemWallClock().nowNanoseconds / second * second
    static let agent = String(repeating: "ab", count: 16)

    static func validity(from start: Int64, for seconds: Int64) -> CertificateValidity {
        CertificateValidity(startNanoseconds: start, endNanoseconds: start + seconds * second)
    }

    static func authority() throws -> CertificateAuthority {
        try CertificateAuthority.make(
            name: "test", validity: validity(from: now - 86_400 * second, for: 10 * 86_400))
    }

    @Test func aCertificateSaysWhoseItIs() throws {
        let authority = try CertificateTests.authority()
        let again = try CertificateAuthority(pem: authority.pem)
        #expect(again.certificatePEM == authority.certificatePEM)
        let key = CertificateKey()
        let request = try CertificateRequest(
            pem: String(decoding: try key.request(name: CertificateTests.agent), as: UTF8.self))
        #expect(request.publicKeyHash == key.publicKeyHash)
        let validity = CertificateTests.validity(from: CertificateTests.now, for: 3_600)
        let pem = try again.agentCertificate(for: request, agent: CertificateTests.agent, validity: validity)
        let peer = try PeerCertificate(pem: pem)
        #expect(peer.agent == CertificateTests.agent)
        #expect(peer.publicKeyHash == key.publicKeyHash)
        #expect(peer.validity == validity)
        #expect(peer.validity.renewalNanoseconds == validity.startNanoseconds + 2_400 * CertificateTests.second)
        #expect(try CertificateKey(pem: key.pem).publicKeyHash == key.publicKeyHash)
        // A listener's certificate names no agent.
        let identity = try authority.serverIdentity(names: ["a.example", "10.0.0.1", "::1"], validity: validity)
        #expect(try PeerCertificate(pem: identity.certificateChain).agent == nil)
    }

    @Test func nothingOutlivesItsAuthority() throws {
        let authority = try CertificateTests.authority()
        let request = try CertificateRequest(
            pem: String(decoding: try CertificateKey().request(name: "a"), as: UTF8.self))
        let long = CertificateTests.validity(from: CertificateTests.now, for: 100 * 86_400)
        let pem = try authority.agentCertificate(for: request, agent: CertificateTests.agent, validity: long)
        #expect(try PeerCertificate(pem: pem).validity.endNanoseconds == authority.validity.endNanoseconds)
        let later = CertificateTests.validity(
            from: CertificateTests.now + 20 * 86_400 * CertificateTests.second, for: 9)
        #expect(throws: CertificateFailure.self) {
            try authority.agentCertificate(for: request, agent: CertificateTests.agent, validity: later)
        }
    }

    /// Whoever asks has the key: a request whose bytes were changed anywhere is no request.
    @Test func aTamperedRequestIsRefused() throws {
        let pem = String(decoding: try CertificateKey().request(name: CertificateTests.agent), as: UTF8.self)
        let lines = pem.split(separator: "\n").map(String.init)
        var refused = 0
        for line in 1..<lines.count - 1 {
            for (from, to) in [("A", "B"), ("g", "h"), ("Q", "R")] as [(Character, Character)] {
                guard let index = lines[line].firstIndex(of: from) else { continue }
                var changed = lines
                changed[line].replaceSubrange(index...index, with: String(to))
                #expect(throws: CertificateFailure.self, "line \(line) \(from)") {
                    try CertificateRequest(pem: changed.joined(separator: "\n"))
                }
                refused += 1
            }
        }
        #expect(refused > 5)
        #expect(throws: CertificateFailure.self) { try CertificateRequest(pem: "") }
    }

    @Test func aTokenCarriesWhomToBelieve() throws {
        let authority = try CertificateTests.authority()
        let fingerprint = try TrustBundle.fingerprint(pem: authority.certificatePEM)
        let token = JoinToken(fingerprint: fingerprint, secret: [UInt8](repeating: 7, count: 20))
        #expect(try JoinToken(parsing: " \(token.text)\n") == token)
        for text in ["", "vedette1_00_11", token.text + "0", "vedette2" + token.text.dropFirst(8)] {
            #expect(throws: CertificateFailure.self) { try JoinToken(parsing: text) }
        }
        // What stands between the certificates changes nothing; another authority does.
        #expect(try TrustBundle.fingerprint(pem: Array("# ours\n".utf8) + authority.certificatePEM) == fingerprint)
        let other = try CertificateTests.authority().certificatePEM
        #expect(try TrustBundle.fingerprint(pem: other) != fingerprint)
        #expect(try TrustBundle.fingerprint(pem: authority.certificatePEM + other) != fingerprint)
        #expect(throws: CertificateFailure.self) { try TrustBundle.fingerprint(pem: []) }
    }

    @Test func aWrongClockIsSaid() {
        let validity = CertificateTests.validity(from: 0, for: 60)
        #expect(validity.refusal(at: 30 * CertificateTests.second) == nil)
        #expect(validity.refusal(at: -1)?.contains("set the clock") == true)
        #expect(validity.refusal(at: 61 * CertificateTests.second)?.contains("enroll again") == true)
    }
}
