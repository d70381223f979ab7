internal import Telemetry
internal import TestSupport
internal import Testing

@testable import Wire

@Suite struct AgentMessageTests {
    static let reply = AgentReply(
        verdict: .later, marks: DeliveryMarks(synced: 7, archived: 5), accepted: 3, rejected: 1, retryAfterSeconds: 30,
        reason: "disk full", hasCommands: true)
    static let command = AgentCommand(
        id: "c-1", action: "container.restart", target: "4f2a", arguments: ["timeout": "10s", "signal": "TERM"],
        expiresNanoseconds: 1_700_000_000_000_000_000, justification: Labels(["alertname": "OOM"]))
    static let report = CommandReport(
        id: "c-1", outcome: .done, reason: "restarted", facts: Labels(["started_at": "2023-11-14T22:13:20Z"]),
        nanoseconds: 1_700_000_000_500_000_000)

    @Test func repliesComeBack() throws {
        #expect(try AgentReplyCodec.decode(AgentReplyCodec.encode(AgentMessageTests.reply)) == AgentMessageTests.reply)
    }

    @Test func commandsAndReportsComeBack() throws {
        let commands = [AgentMessageTests.command, AgentMessageTests.command]
        #expect(try AgentCommandCodec.decode(AgentCommandCodec.encode(commands)) == commands)
        #expect(try AgentCommandCodec.decode(AgentCommandCodec.encode([])).isEmpty)
        let reports = [AgentMessageTests.report]
        #expect(try CommandReportCodec.decode(CommandReportCodec.encode(reports)) == reports)
    }

    @Test func passesOverFieldsOfANewerPeer() throws {
        let reply = AgentReplyCodec.encode(AgentMessageTests.reply) + [1, 2, 3]
        #expect(try AgentReplyCodec.decode(reply) == AgentMessageTests.reply)
        var item = ByteWriter()
        for text in ["id", "a", "t"] { item.putString(text) }
        for byte in [0, 2, 0, 9, 9] as [UInt8] { item.put(byte) }
        var message = ByteWriter()
        message.put(1)
        message.putVarint(1)
        message.putPrefixed(item.bytes)
        let found = try AgentCommandCodec.decode(message.bytes)
        #expect(found == [AgentCommand(id: "id", action: "a", target: "t", expiresNanoseconds: 1)])
    }

    @Test func refusesEveryCut() {
        let messages: [([UInt8], ([UInt8]) throws -> Void)] = [
            (AgentReplyCodec.encode(AgentMessageTests.reply), { _ = try AgentReplyCodec.decode($0) }),
            (AgentCommandCodec.encode([AgentMessageTests.command]), { _ = try AgentCommandCodec.decode($0) }),
            (CommandReportCodec.encode([AgentMessageTests.report]), { _ = try CommandReportCodec.decode($0) }),
        ]
        for (bytes, decode) in messages {
            for length in 0..<bytes.count {
                #expect(throws: AgentProtocolError.self) { try decode(Array(bytes[..<length])) }
            }
            #expect(throws: AgentProtocolError.version(2)) { try decode([2] + bytes.dropFirst()) }
        }
    }

    @Test func cutsTextThatIsTooLong() throws {
        let reply = AgentReply(
            verdict: .refused, marks: DeliveryMarks(synced: 0, archived: 0),
            reason: String(repeating: "é", count: 5000))
        let found = try AgentReplyCodec.decode(AgentReplyCodec.encode(reply))
        #expect(found.reason == String(repeating: "é", count: 2048))
    }
}
