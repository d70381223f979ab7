import Disk
import Telemetry
import TestSupport
import Testing
import Transport

@testable import Server

/// A server that may die at any moment between the use of a token and the answer.
@Suite struct AgentEnrolmentTests {
    private static let agent = String(repeating: "0", count: 31) + "1"
    private static let path = "enrolment/ledger"
    private let clock = ManualClock()
    private let authority: CertificateAuthority

    init() throws {
        let now = clock.nowNanoseconds
        authority = try CertificateAuthority.make(
            name: "test",
            validity: CertificateValidity(
                startNanoseconds: now - 86_400_000_000_000, endNanoseconds: now + 86_400_000_000_000_000))
    }

    private func open(_ storage: SimulatedStorage) throws -> AgentEnrolment {
        try AgentEnrolment(
            try AtomicFile.read(Self.path, in: storage, maximumBytes: 1 << 20), authority: authority,
            ports: AgentEnrolment.Ports(
                wallClock: clock, certificateNanoseconds: 3_600_000_000_000, trust: authority.certificatePEM
            ) { bytes in
                try storage.makeFolder("enrolment")
                try AtomicFile.write(bytes, to: Self.path, in: storage)
            })
    }

    private func request(_ key: CertificateKey) throws -> CertificateRequest {
        try CertificateRequest(pem: String(decoding: try key.request(name: Self.agent), as: UTF8.self))
    }

    private func outcome(_ body: () async throws(EnrolmentRefusal) -> [UInt8]) async -> EnrolmentRefusal? {
        do throws(EnrolmentRefusal) {
            _ = try await body()
            return nil
        } catch {
            return error
        }
    }

    /// At every operation of the disk, in every moment of it, by a power cut and by a kill: the node that asked gets
    /// its certificate in the end, and nobody else gets one for the same token.
    @Test func aCrashAnywhereLosesNoNodeAndLetsNoSecondOneIn() async throws {
        var crashes = 0
        for operation in 1...12 {
            for moment in SimulatedStorage.Moment.allCases {
                for ending in SimulatedStorage.Ending.allCases {
                    let whole = SimulatedStorage(seed: UInt64(operation))
                    let made = try await open(whole).makeToken(seconds: 600, uses: 1, creator: "ops")
                    var plan = SimulatedStorage.Plan()
                    plan.crashAtOperation = operation
                    plan.crashMoment = moment
                    let dying = whole.survivors(of: .kill, plan: plan)
                    let wish = try request(CertificateKey())
                    let first = try open(dying)
                    let refusal = await outcome { () async throws(EnrolmentRefusal) in
                        try await first.enroll(Self.agent, node: "n", secret: made.token.secret, request: wish)
                    }
                    if dying.crash != nil { crashes += 1 } else { #expect(refusal == nil) }
                    let next = try open(dying.survivors(of: ending))
                    #expect(next.damage == [])
                    if refusal == nil { #expect(next.isEnrolled(Self.agent), "answered, and then forgotten") }
                    let again = await outcome { () async throws(EnrolmentRefusal) in
                        try await next.enroll(Self.agent, node: "n", secret: made.token.secret, request: wish)
                    }
                    #expect(again == nil, "\(operation) \(moment) \(ending)")
                    let stranger = try request(CertificateKey())
                    let other = await outcome { () async throws(EnrolmentRefusal) in
                        try await next.enroll(
                            String(repeating: "f", count: 32), node: "m", secret: made.token.secret, request: stranger)
                    }
                    #expect(other == .usedToken(uses: 1))
                }
            }
        }
        #expect(crashes > 20)
    }

    @Test func whatCannotBeWrittenHasNotHappened() async throws {
        let storage = SimulatedStorage(seed: 1)
        let enrolment = try open(storage)
        let made = try await enrolment.makeToken(seconds: 600, uses: 1, creator: "ops")
        storage.setCapacity(1)
        let wish = try request(CertificateKey())
        let refusal = await outcome { () async throws(EnrolmentRefusal) in
            try await enrolment.enroll(Self.agent, node: "n", secret: made.token.secret, request: wish)
        }
        guard case .notKept = refusal else {
            Issue.record("\(String(describing: refusal))")
            return
        }
        #expect(!enrolment.isEnrolled(Self.agent))
        storage.setCapacity(1 << 20)
        let again = await outcome { () async throws(EnrolmentRefusal) in
            try await enrolment.enroll(Self.agent, node: "n", secret: made.token.secret, request: wish)
        }
        #expect(again == nil)
    }

    /// A rush of nodes shares writes, and a token for many lets in exactly so many.
    @Test func aTokenForManyLetsInSoMany() async throws {
        let storage = SimulatedStorage(seed: 1)
        let enrolment = try open(storage)
        let made = try await enrolment.makeToken(seconds: 600, uses: 20, creator: "ops")
        let wishes = try (0..<40).map { _ in try request(CertificateKey()) }
        let before = storage.operations
        let letIn = await withTaskGroup(of: Bool.self) { group in
            for (index, wish) in wishes.enumerated() {
                group.addTask {
                    let agent = String(repeating: "0", count: 30) + String(index + 10)
                    do throws(EnrolmentRefusal) {
                        _ = try await enrolment.enroll(agent, node: "n", secret: made.token.secret, request: wish)
                        return true
                    } catch {
                        return false
                    }
                }
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(letIn == 20)
        #expect(enrolment.ledger.agents.count == 20)
        #expect(storage.operations - before < 40 * 6)
        // The secret itself is nowhere.
        let stored = try #require(storage.bytes(of: Self.path))
        #expect(!String(decoding: stored, as: UTF8.self).contains(Hexadecimal.text(made.token.secret)))
    }
}
