import Telemetry
import TestSupport
import Testing

@testable import Server

/// Who may join, decided purely.
@Suite struct EnrolmentLedgerTests {
    static let agent = String(repeating: "0", count: 31) + "1"
    static let keyHash = String(repeating: "a", count: 64)
    static let tokenHash = String(repeating: "c", count: 64)

    private func ledger(uses: Int = 1, endSeconds: Int64 = 1_000) throws -> EnrolmentLedger {
        var ledger = EnrolmentLedger()
        try ledger.add(
            EnrolmentLedger.Token(hash: Self.tokenHash, endSeconds: endSeconds, uses: uses, creator: "ops"),
            nowSeconds: 0)
        return ledger
    }

    private func enroll(
        _ ledger: inout EnrolmentLedger, _ agent: String = Self.agent, key: String = Self.keyHash,
        token: String = Self.tokenHash, now: Int64 = 10
    ) throws(EnrolmentRefusal) {
        try ledger.enroll(agent, keyHash: key, tokenHash: token, node: "n", nowSeconds: now, endSeconds: now + 100)
    }

    @Test func aTokenIsGoodOnceAndAgainForTheSameKey() throws {
        var ledger = try ledger()
        try enroll(&ledger)
        let after = ledger
        // The answer was lost: the same key asks again, also past the token's end.
        try enroll(&ledger)
        try enroll(&ledger, now: 2_000)
        #expect(ledger.tokens == after.tokens)
        let other = String(repeating: "0", count: 31) + "2"
        #expect(throws: EnrolmentRefusal.usedToken(uses: 1)) { try enroll(&ledger, other) }
        #expect(throws: EnrolmentRefusal.otherKey(agent: Self.agent)) {
            try enroll(&ledger, key: String(repeating: "b", count: 64))
        }
        #expect(throws: EnrolmentRefusal.unknownToken) {
            try enroll(&ledger, other, token: String(repeating: "d", count: 64))
        }
    }

    @Test func aTokenEnds() throws {
        var ledger = try ledger(uses: 5)
        #expect(throws: EnrolmentRefusal.expiredToken(endSeconds: 1_000)) { try enroll(&ledger, now: 1_000) }
        #expect(ledger.agents.isEmpty)
        // A day after its end it is forgotten with the next one that is made.
        try ledger.add(
            EnrolmentLedger.Token(hash: Self.keyHash, endSeconds: 1_000_000, uses: 1, creator: "x"),
            nowSeconds: 1_001 + EnrolmentLedger.afterlifeSeconds)
        #expect(ledger.tokens.count == 1)
        let removals = (0..<2).map { _ in ledger.removeToken(id: String(Self.keyHash.prefix(8))) }
        #expect(removals == [true, false])
    }

    @Test func aRenewedKeyIsTakenAndTheOneBeforeUntilItIsUsed() throws {
        var ledger = try ledger()
        try enroll(&ledger)
        let second = String(repeating: "b", count: 64)
        let third = String(repeating: "e", count: 64)
        try ledger.renew(Self.agent, currentKeyHash: Self.keyHash, keyHash: second, endSeconds: 900)
        try ledger.check(Self.agent, keyHash: Self.keyHash)
        try ledger.check(Self.agent, keyHash: second)
        // The answer was lost, and the agent asks with the old one again, for another key.
        try ledger.renew(Self.agent, currentKeyHash: Self.keyHash, keyHash: third, endSeconds: 901)
        try ledger.check(Self.agent, keyHash: Self.keyHash)
        #expect(throws: EnrolmentRefusal.oldKey(agent: Self.agent)) { try ledger.check(Self.agent, keyHash: second) }
        try ledger.renew(Self.agent, currentKeyHash: third, keyHash: second, endSeconds: 902)
        #expect(throws: EnrolmentRefusal.oldKey(agent: Self.agent)) {
            try ledger.check(Self.agent, keyHash: Self.keyHash)
        }
    }

    @Test func whoIsRevokedStaysOut() throws {
        var ledger = try ledger(uses: 9)
        try enroll(&ledger)
        try ledger.revoke(Self.agent, by: "ops", nowSeconds: 50)
        try ledger.revoke(Self.agent, by: "others", nowSeconds: 60)
        let refusal = EnrolmentRefusal.revoked(agent: Self.agent, atSeconds: 50, by: "ops")
        #expect(throws: refusal) { try ledger.check(Self.agent, keyHash: Self.keyHash) }
        #expect(throws: refusal) { try enroll(&ledger) }
        #expect(throws: refusal) {
            try ledger.renew(Self.agent, currentKeyHash: Self.keyHash, keyHash: Self.keyHash, endSeconds: 1)
        }
        #expect(throws: EnrolmentRefusal.unknownAgent(agent: "x")) {
            try ledger.revoke("x", by: "ops", nowSeconds: 1)
        }
    }

    private func example() throws -> EnrolmentLedger {
        var ledger = try ledger(uses: 2)
        try enroll(&ledger)
        try ledger.renew(
            Self.agent, currentKeyHash: Self.keyHash, keyHash: String(repeating: "b", count: 64), endSeconds: 900)
        try ledger.revoke(Self.agent, by: "on call", nowSeconds: 50)
        return ledger
    }

    @Test func theFileIsAsItsPageSays() throws {
        let golden = try GoldenPage("enrolment.md").bytes(of: "a token and a revoked agent")
        let bytes = try example().bytes
        #expect(bytes == golden, "\(String(decoding: bytes, as: UTF8.self))")
        let read = try EnrolmentLedger.read(golden)
        #expect(read.ledger == (try example()))
        #expect(read.damage.isEmpty)
    }

    @Test func aDamagedLineCostsNoOtherAndLetsNobodyIn() throws {
        let whole = try example().bytes
        for index in whole.indices {
            var bytes = whole
            bytes[index] ^= 0x04
            let read = try EnrolmentLedger.read(bytes)
            #expect(!read.damage.isEmpty, "byte \(index)")
            // The agent is revoked, or unknown; never enrolled.
            #expect(throws: EnrolmentRefusal.self, "byte \(index)") {
                try read.ledger.check(Self.agent, keyHash: Self.keyHash)
            }
        }
        let newer = try EnrolmentLedger.read(EnrolmentLedger().bytes)
        #expect(newer.ledger == EnrolmentLedger())
    }
}
