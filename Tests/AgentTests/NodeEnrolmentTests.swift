import Disk
import Synchronization
import Telemetry
import TestSupport
import Testing
import Transport
import Wire

@testable import Agent

/// A server's side of enrolment in memory: one authority, one token, answers that get lost.
private final class FakeAuthority: HTTPSending {
    struct State: Sendable {
        /// The key that has used the token.
        var keyHash: String?
        /// Who has joined: a renewal names nobody, the connection does.
        var agent = ""
        var answersLost = 0
        var isAway = false
        var calls: [String] = []
    }

    let state = Mutex(State())
    let authority: CertificateAuthority
    let clock: ManualClock
    let secret = [UInt8](repeating: 3, count: JoinToken.secretBytes)
    private static let hour: Int64 = 3_600_000_000_000

    init(_ clock: ManualClock) throws {
        self.clock = clock
        let now = clock.nowNanoseconds
        authority = try CertificateAuthority.make(
            name: "test",
            validity: CertificateValidity(
                startNanoseconds: now - 24 * Self.hour, endNanoseconds: now + 9_000 * Self.hour))
    }

    func token() throws -> JoinToken {
        JoinToken(fingerprint: try TrustBundle.fingerprint(pem: authority.certificatePEM), secret: secret)
    }

    func open(_ call: HTTPCall) async throws -> any HTTPStream { throw HTTPFailure(.connect, "no streams here") }

    func send(_ call: HTTPCall) async throws -> HTTPReply {
        let isAway = state.withLock { state in
            state.calls.append("\(call.tlsProfile ?? "") \(call.target)")
            return state.isAway
        }
        if isAway { throw HTTPFailure(.connect, "nobody there") }
        switch call.target {
        case "/enrolment/v1/authorities":
            return answer([
                ("authorities", String(decoding: authority.certificatePEM, as: UTF8.self)),
                ("time", Timestamps.rfc3339(nanoseconds: clock.nowNanoseconds)),
            ])
        case "/enrolment/v1/enroll", "/agent/v1/certificate": return try certify(call)
        default: return HTTPReply(status: 404)
        }
    }

    private func certify(_ call: HTTPCall) throws -> HTTPReply {
        let body = try JSONValue(parsing: call.body)
        let request = try CertificateRequest(pem: body["request"]?.text ?? "")
        if let agent = body["agent"]?.text { state.withLock { $0.agent = agent } }
        if call.target.hasPrefix("/enrolment") {
            let isTaken = state.withLock { state in
                if let used = state.keyHash { return used == request.publicKeyHash }
                state.keyHash = request.publicKeyHash
                return true
            }
            guard isTaken else {
                return HTTPReply(status: 401, body: Array(#"{"status":"error","error":"used already"}"#.utf8))
            }
        }
        let isLost = state.withLock { state in
            guard state.answersLost > 0 else { return false }
            state.answersLost -= 1
            return true
        }
        if isLost { throw HTTPFailure(.head, "the connection was closed") }
        let now = clock.nowNanoseconds
        let certificate = try authority.agentCertificate(
            for: request, agent: state.withLock { $0.agent },
            validity: CertificateValidity(startNanoseconds: now, endNanoseconds: now + 3 * Self.hour))
        return answer([
            ("certificate", String(decoding: certificate, as: UTF8.self)),
            ("authorities", String(decoding: authority.certificatePEM, as: UTF8.self)),
        ])
    }

    private func answer(_ members: [(String, String)]) -> HTTPReply {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("data")
        writer.beginObject()
        for (name, text) in members { writer.member(name, text) }
        writer.endObject()
        writer.endObject()
        return HTTPReply(status: 200, body: writer.bytes)
    }
}

/// A node joins, keeps what it got, and renews it in time.
@Suite struct NodeEnrolmentTests {
    private static let server = HTTPEndpoint(.tls(host: "10.0.0.5", port: 9797))
    private let clock = ManualClock()

    private func enroller(_ storage: SimulatedStorage, _ server: FakeAuthority) -> Enroller {
        Enroller(folder: "agent", node: "web-1", storage: storage, wallClock: clock, connect: { _ in server })
    }

    @Test func aNodeJoinsAndKeepsAllOfItInOneFile() async throws {
        let (storage, server) = (SimulatedStorage(seed: 1), try FakeAuthority(clock))
        let enrolment = try await enroller(storage, server).enroll(server: Self.server, token: try server.token())
        #expect(try NodeEnrolment.load(folder: "agent", in: storage) == enrolment)
        #expect(enrolment.agent == (try AgentIdentity.load(folder: "agent", in: storage)))
        #expect(try enroller(storage, server).present() == enrolment)
        // Nothing was said before the server had proved itself.
        #expect(
            server.state.withLock { $0.calls } == ["unproven /enrolment/v1/authorities", "pinned /enrolment/v1/enroll"])
        // One changed byte anywhere is found.
        let whole = try #require(storage.bytes(of: "agent/enrolment"))
        for index in stride(from: 0, to: whole.count - 1, by: 7) {
            var bytes = whole
            bytes[index] ^= 0x02
            #expect(throws: (any Error).self, "byte \(index)") { try NodeEnrolment(decoding: bytes) }
        }
        clock.advance(milliseconds: 4 * 3_600_000)
        #expect(try enroller(storage, server).present() == nil)
    }

    @Test func anotherServerIsToldNothing() async throws {
        let (storage, server) = (SimulatedStorage(seed: 1), try FakeAuthority(clock))
        let foreign = try FakeAuthority(clock).token()
        await #expect {
            try await enroller(storage, server).enroll(server: Self.server, token: foreign)
        } throws: { "\($0)".contains("not the server that made this token") }
        #expect(server.state.withLock { $0.calls } == ["unproven /enrolment/v1/authorities"])
        await #expect(throws: EnrolmentFailure.self) {
            try await enroller(storage, server).enroll(
                server: HTTPEndpoint(.tcp(host: "10.0.0.5", port: 1)), token: foreign)
        }
    }

    @Test func aWrongClockIsSaidBeforeTheTokenIsUsed() async throws {
        let (storage, server) = (SimulatedStorage(seed: 1), try FakeAuthority(ManualClock()))
        clock.advance(milliseconds: -86_400_000)
        await #expect {
            try await enroller(storage, server).enroll(server: Self.server, token: try server.token())
        } throws: { "\($0)".contains("86400 s behind") }
        #expect(server.state.withLock { $0.keyHash } == nil)
    }

    /// Wherever the node dies, it joins in the end with the one use that its token has.
    @Test func aCrashAnywhereOrALostAnswerUsesNoSecondToken() async throws {
        var crashes = 0
        for operation in 1...24 {
            for ending in SimulatedStorage.Ending.allCases {
                let server = try FakeAuthority(clock)
                if operation.isMultiple(of: 3) { server.state.withLock { $0.answersLost = 1 } }
                var plan = SimulatedStorage.Plan()
                plan.crashAtOperation = operation
                plan.crashMoment = SimulatedStorage.Moment.allCases[operation % 3]
                let storage = SimulatedStorage(seed: UInt64(operation), plan: plan)
                _ = try? await enroller(storage, server).enroll(server: Self.server, token: try server.token())
                if storage.crash != nil { crashes += 1 }
                let next = storage.survivors(of: ending)
                let present = try enroller(next, server).present()
                let enrolment =
                    if let present { present } else { try await enrollAgain(next, server) }
                #expect(enrolment.agent == (try AgentIdentity.load(folder: "agent", in: next)))
                #expect(try NodeEnrolment.load(folder: "agent", in: next) == enrolment)
            }
        }
        #expect(crashes > 20)
    }

    /// As an operator does: once more when the answer was lost.
    private func enrollAgain(_ storage: SimulatedStorage, _ server: FakeAuthority) async throws -> NodeEnrolment {
        do {
            return try await enroller(storage, server).enroll(server: Self.server, token: try server.token())
        } catch let failure as EnrolmentFailure where !failure.isFinal {
            return try await enroller(storage, server).enroll(server: Self.server, token: try server.token())
        }
    }

    @Test func aCertificateIsRenewedAtTwoThirdsAndAdopted() async throws {
        let (storage, server) = (SimulatedStorage(seed: 1), try FakeAuthority(clock))
        let first = try await enroller(storage, server).enroll(server: Self.server, token: try server.token())
        let adopted = Mutex<[TLSProfile]>([])
        let current = CurrentEnrolment(first)
        let renewal = CertificateRenewal(
            current: current,
            setting: CertificateRenewal.Setting(
                folder: "agent", storage: storage, http: server, wallClock: clock, notices: Fixture.quiet,
                adopt: { profile in adopted.withLock { $0.append(profile) } }, onDisk: { try $0() }))
        #expect(!renewal.isDue)
        clock.advance(milliseconds: 2 * 3_600_000 - 1_000)
        #expect(!renewal.isDue)
        clock.advance(milliseconds: 1_000)
        #expect(renewal.isDue)
        // A clock that jumps back takes it back.
        clock.advance(milliseconds: -3_600_000)
        #expect(!renewal.isDue)
        clock.advance(milliseconds: 3_600_000)
        server.state.withLock { $0.isAway = true }
        await #expect(throws: EnrolmentFailure.self) { try await renewal.renew() }
        #expect(current.value == first)
        server.state.withLock {
            $0.isAway = false
            $0.answersLost = 1
        }
        await #expect(throws: EnrolmentFailure.self) { try await renewal.renew() }
        let asked = try PendingKey.take(folder: "agent", in: storage).publicKeyHash
        try await renewal.renew()
        let second = current.value
        #expect(second.agent == first.agent)
        // The key that was asked with before the answer was lost.
        #expect(second.standing.publicKeyHash == asked)
        #expect(second.standing.validity.endNanoseconds > first.standing.validity.endNanoseconds)
        #expect(try NodeEnrolment.load(folder: "agent", in: storage) == second)
        #expect(adopted.withLock { $0 } == [second.profile])
        #expect(!renewal.isDue)
    }

    @Test func aFullDiskKeepsThePresentCertificate() async throws {
        let (storage, server) = (SimulatedStorage(seed: 1), try FakeAuthority(clock))
        let first = try await enroller(storage, server).enroll(server: Self.server, token: try server.token())
        let renewal = CertificateRenewal(
            current: CurrentEnrolment(first),
            setting: CertificateRenewal.Setting(
                folder: "agent", storage: storage, http: server, wallClock: clock, notices: Fixture.quiet,
                adopt: { _ in Issue.record("what is not on disk was used") }, onDisk: { try $0() }))
        storage.setCapacity(10)
        await #expect(throws: StorageError.self) { try await renewal.renew() }
        #expect(renewal.current.value == first)
        #expect(try NodeEnrolment.load(folder: "agent", in: storage) == first)
    }

    /// The file of another build of the same version is read, byte for byte (docs/formats/enrolment.md).
    @Test func theFileIsAsItsPageSays() throws {
        let golden = try GoldenPage("enrolment").bytes(of: "a node's enrolment")
        let enrolment = try NodeEnrolment(decoding: golden)
        #expect(enrolment.bytes == golden)
        #expect(enrolment.agent == String(repeating: "0", count: 31) + "1")
    }
}
