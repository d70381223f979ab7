internal import Crypto
internal import Synchronization
package import Telemetry
package import Transport

/// Lets nodes join under the server's own authority, and knows at any time who may come in.
///
/// What is decided is on disk before it is told. Decisions that come while a write is under way share the next one;
/// one whose write failed has not happened.
package final class AgentEnrolment: Sendable {
    /// What it works with.
    package struct Ports: Sendable {
        /// Writes the ledger durably.
        package var persist: @Sendable ([UInt8]) async throws -> Void
        package var wallClock: any WallClock
        /// How long a certificate of an agent holds.
        package var certificateNanoseconds: Int64
        /// Whom nodes are to believe, PEM: it vouches for the listener's certificate.
        package var trust: [UInt8]

        /// Ports; the listener's certificate is the authority's own unless `trust` says otherwise.
        package init(
            wallClock: any WallClock, certificateNanoseconds: Int64, trust: [UInt8],
            persist: @escaping @Sendable ([UInt8]) async throws -> Void
        ) {
            self.persist = persist
            self.wallClock = wallClock
            self.certificateNanoseconds = certificateNanoseconds
            self.trust = trust
        }
    }

    /// A decision that waits for its write: applies itself, and returns whom to tell how the write went.
    private typealias Change = @Sendable (inout EnrolmentLedger) -> @Sendable (String?) -> Void

    private struct State {
        var ledger: EnrolmentLedger
        var waiting: [Change] = []
        var isWriting = false
    }

    /// Clocks of nodes may be behind by so much.
    private static let leewayNanoseconds: Int64 = 600_000_000_000

    private let state: Mutex<State>
    private let authority: CertificateAuthority
    private let ports: Ports
    /// What is damaged in the file, a sentence each.
    package let damage: [String]
    /// What a join token pins.
    private let fingerprint: [UInt8]

    /// The enrolment of a ledger's bytes (nil: none yet). Throws in words when they are of another version.
    package init(_ bytes: [UInt8]?, authority: CertificateAuthority, ports: Ports) throws {
        let found = try bytes.map { try EnrolmentLedger.read($0) }
        damage = found?.damage ?? []
        state = Mutex(State(ledger: found?.ledger ?? EnrolmentLedger()))
        self.authority = authority
        self.ports = ports
        fingerprint = try TrustBundle.fingerprint(pem: ports.trust)
    }

    private var nowSeconds: Int64 { ports.wallClock.nowNanoseconds / 1_000_000_000 }

    /// Whom nodes are to believe, PEM.
    var trust: [UInt8] { ports.trust }

    /// The ledger as it is on disk.
    var ledger: EnrolmentLedger { state.withLock { $0.ledger } }

    /// Whether `agent` has joined, so that its certificate is what proves it and a secret is not enough.
    func isEnrolled(_ agent: String) -> Bool { state.withLock { $0.ledger.agents[agent] != nil } }

    /// Makes a token that lets `uses` nodes in within `seconds`.
    func makeToken(
        seconds: Int64, uses: Int, creator: String
    ) async throws(EnrolmentRefusal) -> (token: JoinToken, entry: EnrolmentLedger.Token) {
        var generator = SystemRandomNumberGenerator()
        let secret = (0..<JoinToken.secretBytes).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        let now = nowSeconds
        let entry = EnrolmentLedger.Token(
            hash: AgentEnrolment.hash(secret), endSeconds: now + seconds, uses: uses, creator: creator)
        try await change { ledger throws(EnrolmentRefusal) in try ledger.add(entry, nowSeconds: now) }
        return (JoinToken(fingerprint: fingerprint, secret: secret), entry)
    }

    /// Takes a token back; false when there is none of that id.
    func removeToken(id: String) async throws(EnrolmentRefusal) -> Bool {
        try await change { ledger throws(EnrolmentRefusal) in ledger.removeToken(id: id) }
    }

    /// Lets a node in that shows the secret of a token. Returns its certificate, PEM, once the use of the token is on
    /// disk; asked again with the same key, a fresh one.
    func enroll(
        _ agent: String, node: String, secret: [UInt8], request: CertificateRequest
    ) async throws(EnrolmentRefusal) -> [UInt8] {
        let (hash, now, validity) = (AgentEnrolment.hash(secret), nowSeconds, nextValidity)
        // Strangers get no signature to wait for.
        guard ledger.tokens[hash] != nil else { throw .unknownToken }
        // Before anything is used up: an authority that has ended lets nobody in.
        let certificate = try sign(request, agent, validity)
        try await change { ledger throws(EnrolmentRefusal) in
            try ledger.enroll(
                agent, keyHash: request.publicKeyHash, tokenHash: hash, node: node, nowSeconds: now,
                endSeconds: validity.endNanoseconds / 1_000_000_000)
        }
        return certificate
    }

    /// The next certificate of an agent that has proved itself with `peer`. PEM.
    func renew(
        _ agent: String, peer: PeerCertificate, request: CertificateRequest
    ) async throws(EnrolmentRefusal) -> [UInt8] {
        let validity = nextValidity
        let certificate = try sign(request, agent, validity)
        try await change { ledger throws(EnrolmentRefusal) in
            try ledger.renew(
                agent, currentKeyHash: peer.publicKeyHash, keyHash: request.publicKeyHash,
                endSeconds: validity.endNanoseconds / 1_000_000_000)
        }
        return certificate
    }

    /// Shuts an agent out for ever: from the return of this on nothing is taken from it.
    func revoke(_ agent: String, by revoker: String) async throws(EnrolmentRefusal) {
        let now = nowSeconds
        try await change { ledger throws(EnrolmentRefusal) in
            try ledger.revoke(agent, by: revoker, nowSeconds: now)
        }
    }

    /// Whether an agent that has proved itself with `peer` is let in now. A handshake may be older than the
    /// certificate's end, and than a revocation.
    func check(_ peer: PeerCertificate, agent: String) throws(EnrolmentRefusal) {
        if ports.wallClock.nowNanoseconds > peer.validity.endNanoseconds {
            let end = Timestamps.rfc3339(nanoseconds: peer.validity.endNanoseconds)
            throw .unusable("the certificate of agent \(agent) ended at \(end); enroll it again with a new token")
        }
        try state.withLock { state throws(EnrolmentRefusal) in
            try state.ledger.check(agent, keyHash: peer.publicKeyHash)
        }
    }

    /// How many agents there are, for `/metrics`.
    package var metrics: [StoreMetric] {
        let agents = ledger.agents.values
        let now = nowSeconds
        let ended = agents.count { $0.revokedSeconds == 0 && $0.endSeconds < now }
        let revoked = agents.count { $0.revokedSeconds != 0 }
        return [
            StoreMetric(
                "vedette_enrolled_agents", .gauge, Double(agents.count - ended - revoked),
                help: "Agents with a certificate that holds."),
            StoreMetric(
                "vedette_expired_agents", .gauge, Double(ended),
                help: "Agents whose certificate ended without being renewed: they are shut out until enrolled again."),
            StoreMetric("vedette_revoked_agents", .gauge, Double(revoked), help: "Agents that were shut out for ever."),
            StoreMetric(
                "vedette_authority_end_timestamp_seconds", .gauge,
                Double(authority.validity.endNanoseconds / 1_000_000_000),
                help: "When the server's own authority ends."),
        ]
    }

    private var nextValidity: CertificateValidity {
        let now = ports.wallClock.nowNanoseconds
        return CertificateValidity(
            startNanoseconds: now - AgentEnrolment.leewayNanoseconds,
            endNanoseconds: now + ports.certificateNanoseconds)
    }

    private func sign(
        _ request: CertificateRequest, _ agent: String, _ validity: CertificateValidity
    ) throws(EnrolmentRefusal) -> [UInt8] {
        do throws(CertificateFailure) {
            return try authority.agentCertificate(for: request, agent: agent, validity: validity)
        } catch {
            throw .unusable(error.description)
        }
    }

    private static func hash(_ secret: [UInt8]) -> String { Hexadecimal.text(Array(SHA256.hash(data: secret))) }

    // MARK: - On disk before it is told

    private func change<Value: Sendable>(
        _ body: @escaping @Sendable (inout EnrolmentLedger) throws(EnrolmentRefusal) -> Value
    ) async throws(EnrolmentRefusal) -> Value {
        let result: Result<Value, EnrolmentRefusal> = await withCheckedContinuation { continuation in
            let change: Change = { ledger in
                let outcome = AgentEnrolment.outcome(body, &ledger)
                return { failure in
                    if case .success = outcome, let failure {
                        continuation.resume(returning: .failure(.notKept(failure)))
                    } else {
                        continuation.resume(returning: outcome)
                    }
                }
            }
            let isFirst = state.withLock { state in
                state.waiting.append(change)
                defer { state.isWriting = true }
                return !state.isWriting
            }
            if isFirst { Task { await write() } }
        }
        return try result.get()
    }

    /// What a decision comes to; one that is refused changes nothing.
    private static func outcome<Value>(
        _ body: (inout EnrolmentLedger) throws(EnrolmentRefusal) -> Value, _ ledger: inout EnrolmentLedger
    ) -> Result<Value, EnrolmentRefusal> {
        var next = ledger
        do throws(EnrolmentRefusal) {
            let value = try body(&next)
            ledger = next
            return .success(value)
        } catch {
            return .failure(error)
        }
    }

    private func write() async {
        while true {
            let (before, waiting) = state.withLock { state in
                defer { state.waiting = [] }
                if state.waiting.isEmpty { state.isWriting = false }
                return (state.ledger, state.waiting)
            }
            if waiting.isEmpty { return }
            var ledger = before
            let answers = waiting.map { $0(&ledger) }
            var failure: String?
            if ledger != before {
                do {
                    try await ports.persist(ledger.bytes)
                    let written = ledger
                    state.withLock { $0.ledger = written }
                } catch {
                    failure = "\(error)"
                }
            }
            for answer in answers { answer(failure) }
        }
    }
}
