internal import Crypto
internal import Telemetry
internal import Wire

/// Why a node is not enrolled, or an agent with a certificate is not let in.
package enum EnrolmentRefusal: Error, Equatable, CustomStringConvertible {
    case unknownToken
    case expiredToken(endSeconds: Int64)
    case usedToken(uses: Int)
    case otherKey(agent: String)
    case revoked(agent: String, atSeconds: Int64, by: String)
    case unknownAgent(agent: String)
    case oldKey(agent: String)
    case tooMany(String)
    case unusable(String)
    case notKept(String)

    package var description: String {
        switch self {
        case .unknownToken:
            "the join token is not known here: it was mistyped, taken back, made by another server, or is long gone; "
                + "`vedette enroll token` makes a new one"
        case .expiredToken(let end):
            "the join token ended at \(EnrolmentRefusal.time(end)); `vedette enroll token` makes a new one"
        case .usedToken(let uses):
            "the join token was used already (good for \(uses)); `vedette enroll token` makes a new one. If nobody of "
                + "yours used it, `vedette agents list` shows who did"
        case .otherKey(let agent):
            "agent \(agent) is enrolled with another key. A node that was cloned, or has lost its key, begins as a new "
                + "agent: remove agent-id, agent-secret and enrolment from its data folder and enroll again"
        case .revoked(let agent, let at, let by):
            "agent \(agent) was revoked at \(EnrolmentRefusal.time(at)) by \(by). A node that is to come back begins "
                + "as a new agent: remove agent-id, agent-secret and enrolment from its data folder and enroll again"
        case .unknownAgent(let agent):
            "agent \(agent) has a certificate of this server's authority but is not in its list of enrolled agents "
                + "(was an older backup restored?); enroll it again with a new token"
        case .oldKey(let agent):
            "the certificate of agent \(agent) was replaced by a later one: somebody goes on using an old copy of "
                + "its data folder"
        case .tooMany(let what): "there are too many \(what)"
        case .unusable(let reason): reason
        case .notKept(let reason): "the list of enrolled agents cannot be written down (\(reason)); try again"
        }
    }

    private static func time(_ seconds: Int64) -> String { Timestamps.rfc3339(milliseconds: seconds * 1_000) }
}

/// Who may join and who has joined: tokens by the hash of their secret, agents by their id. Pure; the layout of its
/// file is in docs/formats/enrolment.md. Times are seconds since 1970.
struct EnrolmentLedger: Sendable, Equatable {
    /// A secret that lets nodes in.
    struct Token: Sendable, Equatable {
        /// The first eight digits of `hash`, for people.
        var id: String { String(hash.prefix(8)) }
        /// The SHA-256 of the secret, 64 hexadecimal digits.
        var hash: String
        var endSeconds: Int64
        /// How many nodes it lets in, and how many it has let in.
        var uses: Int
        var used = 0
        var creator: String
    }

    /// A node that has joined.
    struct Agent: Sendable, Equatable {
        var agent: String
        /// The SHA-256 of its public key, and of the one before, which it uses until it has the new certificate.
        var keyHash: String
        var previousKeyHash = ""
        /// The token that let it in.
        var tokenHash: String
        var enrolledSeconds: Int64
        /// When its last certificate ends.
        var endSeconds: Int64
        var node: String
        /// 0: never.
        var revokedSeconds: Int64 = 0
        var revoker = ""
    }

    /// By hash.
    private(set) var tokens: [String: Token] = [:]
    /// By id.
    private(set) var agents: [String: Agent] = [:]

    /// A used or ended token is remembered for so long, so that a node whose answer was lost may ask again.
    static let afterlifeSeconds: Int64 = 86_400
    static let tokensMaximum = 10_000
    static let agentsMaximum = 100_000

    /// Adds a token, and forgets those that are long gone.
    mutating func add(_ token: Token, nowSeconds: Int64) throws(EnrolmentRefusal) {
        tokens = tokens.filter { $0.value.endSeconds + EnrolmentLedger.afterlifeSeconds > nowSeconds }
        guard tokens.count < EnrolmentLedger.tokensMaximum else {
            throw .tooMany("join tokens; they go a day after their end, or with `vedette enroll tokens --remove ID`")
        }
        tokens[token.hash] = token
    }

    /// Takes a token back; false when there is none of that id.
    mutating func removeToken(id: String) -> Bool {
        guard let hash = tokens.values.first(where: { $0.id == id })?.hash else { return false }
        tokens[hash] = nil
        return true
    }

    /// Lets `agent` in with the key of `keyHash`. The same node may ask again with the same key, as its answer may
    /// have been lost: that uses nothing up.
    mutating func enroll(
        _ agent: String, keyHash: String, tokenHash: String, node: String, nowSeconds: Int64, endSeconds: Int64
    ) throws(EnrolmentRefusal) {
        guard var token = tokens[tokenHash] else { throw .unknownToken }
        if let known = agents[agent] {
            guard known.revokedSeconds == 0 else {
                throw .revoked(agent: agent, atSeconds: known.revokedSeconds, by: known.revoker)
            }
            guard known.keyHash == keyHash || known.previousKeyHash == keyHash else { throw .otherKey(agent: agent) }
            if known.tokenHash == tokenHash {
                agents[agent]?.endSeconds = endSeconds
                return
            }
        }
        guard nowSeconds < token.endSeconds else { throw .expiredToken(endSeconds: token.endSeconds) }
        guard token.used < token.uses else { throw .usedToken(uses: token.uses) }
        guard agents.count < EnrolmentLedger.agentsMaximum || agents[agent] != nil else {
            throw .tooMany("agents enrolled (\(agents.count))")
        }
        token.used += 1
        tokens[tokenHash] = token
        agents[agent] = Agent(
            agent: agent, keyHash: keyHash, tokenHash: tokenHash, enrolledSeconds: nowSeconds, endSeconds: endSeconds,
            node: node)
    }

    /// The next key of an agent; `currentKeyHash` is the one it proved itself with, which goes on until then.
    mutating func renew(
        _ agent: String, currentKeyHash: String, keyHash: String, endSeconds: Int64
    ) throws(EnrolmentRefusal) {
        try check(agent, keyHash: currentKeyHash)
        agents[agent]?.previousKeyHash = currentKeyHash
        agents[agent]?.keyHash = keyHash
        agents[agent]?.endSeconds = endSeconds
    }

    /// Shuts an agent out for ever.
    mutating func revoke(_ agent: String, by revoker: String, nowSeconds: Int64) throws(EnrolmentRefusal) {
        guard let known = agents[agent] else { throw .unknownAgent(agent: agent) }
        if known.revokedSeconds != 0 { return }
        agents[agent]?.revokedSeconds = nowSeconds
        agents[agent]?.revoker = revoker
    }

    /// Whether an agent that has proved to have the key of `keyHash` is let in.
    func check(_ agent: String, keyHash: String) throws(EnrolmentRefusal) {
        guard let known = agents[agent] else { throw .unknownAgent(agent: agent) }
        guard known.revokedSeconds == 0 else {
            throw .revoked(agent: agent, atSeconds: known.revokedSeconds, by: known.revoker)
        }
        guard keyHash == known.keyHash || keyHash == known.previousKeyHash else { throw .oldKey(agent: agent) }
    }
}

// MARK: - Bytes

extension EnrolmentLedger {
    private static let name = "vedette-enrolment"
    private static let version = "1"

    /// A line each, so that people can read it; each with a check, so that a damaged one costs no other.
    var bytes: [UInt8] {
        var lines = ["\(EnrolmentLedger.name) \(EnrolmentLedger.version)"]
        for token in tokens.values.sorted(by: { $0.hash < $1.hash }) {
            lines.append(
                "token \(token.hash) \(token.endSeconds) \(token.uses) \(token.used) \(coded(token.creator))")
        }
        for agent in agents.values.sorted(by: { $0.agent < $1.agent }) {
            lines.append(
                "agent \(agent.agent) \(agent.keyHash) \(coded(agent.previousKeyHash)) \(agent.tokenHash) "
                    + "\(agent.enrolledSeconds) \(agent.endSeconds) \(agent.revokedSeconds) \(coded(agent.revoker)) "
                    + coded(agent.node))
        }
        return Array(lines.map { "\($0) \(EnrolmentLedger.check($0))\n" }.joined().utf8)
    }

    /// What `bytes` wrote, and what is damaged in it, a sentence each. Throws in words for another version.
    static func read(_ bytes: [UInt8]) throws(ByteError) -> (ledger: EnrolmentLedger, damage: [String]) {
        var ledger = EnrolmentLedger()
        var damage: [String] = []
        for (number, line) in bytes.split(separator: 0x0a).enumerated() {
            var words = String(decoding: line, as: UTF8.self)
                .split(separator: " ", omittingEmptySubsequences: false).map(String.init)
            let shown = words.popLast() ?? ""
            guard shown == check(words.joined(separator: " ")) else {
                damage.append("line \(number + 1) is damaged: if it was an agent's, it has to be enrolled again")
                continue
            }
            if words.first == name {
                guard words.last == version else {
                    throw ByteError(
                        offset: 0, reason: "version \(words.last ?? ""), this program reads version \(version)")
                }
            } else if let token = Token(words: words) {
                ledger.tokens[token.hash] = token
            } else if let agent = Agent(words: words) {
                ledger.agents[agent.agent] = agent
            } else {
                damage.append("line \(number + 1) is of no kind that this program knows")
            }
        }
        return (ledger, damage)
    }

    /// The first eight digits of a line's SHA-256.
    private static func check(_ line: String) -> String {
        String(Hexadecimal.text(Array(SHA256.hash(data: Array(line.utf8)))).prefix(8))
    }

    /// A word without blanks; "-" for none.
    private func coded(_ text: String) -> String {
        text.isEmpty ? "-" : text == "-" ? "%2D" : PercentCoding.encode(text)
    }
}

/// A word as `coded` wrote it.
private func decoded(_ word: String) -> String { word == "-" ? "" : PercentCoding.decode(word) ?? "" }

extension EnrolmentLedger.Token {
    fileprivate init?(words: [String]) {
        guard words.count == 6, words[0] == "token", let end = Int64(words[2]), let uses = Int(words[3]),
            let used = Int(words[4])
        else { return nil }
        self.init(hash: words[1], endSeconds: end, uses: uses, used: used, creator: decoded(words[5]))
    }
}

extension EnrolmentLedger.Agent {
    fileprivate init?(words: [String]) {
        guard words.count == 10, words[0] == "agent", let enrolled = Int64(words[5]), let end = Int64(words[6]),
            let revoked = Int64(words[7])
        else { return nil }
        self.init(
            agent: words[1], keyHash: words[2], previousKeyHash: decoded(words[3]), tokenHash: words[4],
            enrolledSeconds: enrolled, endSeconds: end, node: decoded(words[9]), revokedSeconds: revoked,
            revoker: decoded(words[8]))
    }
}
