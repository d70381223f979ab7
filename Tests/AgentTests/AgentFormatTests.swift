import Telemetry
import TestSupport
import Testing
import Wire

@testable import Agent

/// The agent's files are as their pages say, byte by byte.
@Suite struct AgentFormatTests {
    private static func check(_ page: String, _ name: String, _ bytes: [UInt8]) throws {
        let golden = try GoldenPage(page).bytes(of: name)
        #expect(Hexadecimal.text(bytes) == Hexadecimal.text(golden), "\(page): \(name)")
    }

    @Test func aSpoolRecordIsAsItsPageSays() throws {
        let loss = LogLoss(
            labels: Labels(["container": "c"]), origin: LogOrigin(source: "abc", generation: 4),
            range: LogTimeRange(startNanoseconds: 1, endNanoseconds: 2), lines: 5, bytes: 6, reason: "full")
        let record = SpoolRecord(
            SpoolRecord.Header(lane: .backlog, epoch: 7, sequence: 2, segmentStart: 3, nanoseconds: 4),
            summary: [loss], frames: AgentFrames(declarations: [1, 2], data: [3]))
        try Self.check("spool.md", "a record of the backlog", record.encoded)
        let golden = try GoldenPage("spool.md").bytes(of: "a record of the backlog")
        #expect(try golden.withUnsafeBytes { try SpoolRecord(decoding: $0) } == record)
    }

    @Test func aSpoolLedgerIsAsItsPageSays() throws {
        var ledger = SpoolLedger(epoch: 7)
        ledger[.lines, .backlog] = 42
        try Self.check("spool.md", "a ledger of epoch 7", ledger.encoded)
        #expect(try SpoolLedger(decoding: try GoldenPage("spool.md").bytes(of: "a ledger of epoch 7")) == ledger)
    }

    @Test func tailPositionsAreAsTheirPageSays() throws {
        var positions = try TailPositions(decoding: nil)
        let place = TailPositions.Place(
            log: "c", file: FileIdentity(device: 1, inode: 2, birthNanoseconds: 3))
        var reach = TailPositions.Reach(generation: 1, offset: 300)
        reach.mark = ContentMark(headLength: 300, head: 0x1122_3344_5566_7788, tail: 0x99aa_bbcc_ddee_ff00)
        positions.submitted(1, [(place, reach)])
        positions.settled(1)
        let log = LogDescription(
            path: "/l", format: "cri", labels: [Labels(["a": "b"]), Labels(["a": "c"])])
        positions.describe("c", log)
        positions.describe("gone", log)
        try Self.check("agent-state.md", "positions of one file", positions.encoded)
        let golden = try GoldenPage("agent-state.md").bytes(of: "positions of one file")
        #expect(try TailPositions(decoding: golden).reaches == positions.reaches)
        #expect(try TailPositions(decoding: golden).logs == ["c": log])
        // What agents of the versions before left is read.
        let second = try GoldenPage("agent-state.md").bytes(of: "positions of version 2")
        #expect(try TailPositions(decoding: second).reaches == positions.reaches)
        let before = try GoldenPage("agent-state.md").bytes(of: "positions of version 1")
        #expect(try TailPositions(decoding: before).reaches == [place: .init(generation: 1, offset: 300)])
    }

    @Test func aCommandLedgerIsAsItsPageSays() throws {
        var ledger = CommandLedger()
        let command = AgentCommand(id: "c1", action: "container.restart", target: "t", expiresNanoseconds: 5)
        ledger.begin(command, target: "t", atNanoseconds: 4, refusal: nil)
        try Self.check("agent-state.md", "a ledger of one command under way", ledger.encoded)
        let golden = try GoldenPage("agent-state.md").bytes(of: "a ledger of one command under way")
        #expect(try CommandLedger(decoding: golden) == ledger)
    }

    /// The example of the page is what the reader takes.
    @Test func theExampleOfTheActionsPageIsRead() throws {
        let page = HostRoot(Fixture.repository).text("/docs/specs/actions.md") ?? ""
        let parts = page.split(separator: "```", omittingEmptySubsequences: false)
        let example = try #require(parts.count > 1 ? String(parts[1].dropFirst("yaml\n".count)) : nil)
        let policy = try ActionPolicy(parsing: example, file: "actions.yml")
        #expect(policy.permissions.first?.totalLimit?.count == 10)
    }
}
