internal import Alerting
internal import Disk
internal import Telemetry
internal import TestSupport
internal import Testing

/// The chain holds byte for byte, a change anywhere is found and placed, and a crash costs nothing acknowledged.
@Suite struct AuditLogTests {
    private let folder: TemporaryFolder
    private var path: String { folder.path + "/audit.log" }
    private let storage = SystemStorage()

    init() throws {
        folder = try TemporaryFolder()
    }

    private func written(_ count: Int) throws -> [UInt8] {
        let log = try AuditLog(path: path, in: storage)
        for number in 1...count {
            let fields = Labels([
                "action": "container.restart", "number": "\(number)", "text": "a \"quoted\" ünïcode\n",
            ])
            let time = 1_700_000_000_000_000_000 + Int64(number)
            #expect(
                try log.append(kind: "action.commanded", fields: fields, nanoseconds: time).sequence == UInt64(number))
        }
        return try #require(try AtomicFile.read(path, in: storage, maximumBytes: 1 << 20))
    }

    @Test func aWholeChainHolds() throws {
        let verdict = AuditVerifier.verify(try written(5))
        #expect(verdict.damage == nil)
        #expect(verdict.records == 5)
    }

    @Test func everyChangedByteIsFound() throws {
        let bytes = try written(3)
        for index in bytes.indices {
            for bit in [UInt8(1), 32, 128] {
                var changed = bytes
                changed[index] ^= bit
                #expect(AuditVerifier.verify(changed).damage != nil, "byte \(index), bit \(bit)")
            }
        }
    }

    @Test func aLostOrCutRecordIsFound() throws {
        let bytes = try written(3)
        let head = try AuditLog(path: path, in: storage).head
        let lines = bytes.split(separator: UInt8(ascii: "\n")).map { Array($0) + [UInt8(ascii: "\n")] }
        #expect(AuditVerifier.verify(lines[0] + lines[2]).damage?.contains("line 2") == true)
        #expect(AuditVerifier.verify(lines[0] + lines[1]).damage == nil, "without an anchor a shorter chain is a chain")
        #expect(
            AuditVerifier.verify(lines[0] + lines[1], anchor: head).damage
                == "line 3: the end of the log was cut off: record 3 had been written and would stand here")
        #expect(
            AuditVerifier.verify([], anchor: head).damage
                == "line 1: the end of the log was cut off: records 1 to 3 had been written and would stand here")
        #expect(
            AuditVerifier.verify(bytes.dropLast(9), anchor: head).damage
                == "line 3: the end of the log was cut off within this record")
        let other = AuditHead(sequence: 2, hash: head.hash)
        #expect(AuditVerifier.verify(bytes, anchor: other).damage?.hasPrefix("line 2: record 2 is not the one") == true)
        #expect(AuditVerifier.verify(bytes, anchor: head).damage == nil)
    }

    @Test func aTornRecordIsCutAndTheChainGoesOn() throws {
        let bytes = try written(2)
        let file = try storage.open(path, .readWrite)
        try Array("{\"version\":1,\"seq".utf8).withUnsafeBytes { try file.write($0, at: UInt64(bytes.count)) }
        let log = try AuditLog(path: path, in: storage)
        #expect(log.recovery?.contains("cut off") == true)
        #expect(try log.append(kind: "a", fields: .empty, nanoseconds: 0).sequence == 3)
        let after = try #require(try AtomicFile.read(path, in: storage, maximumBytes: 1 << 20))
        #expect(AuditVerifier.verify(after).damage == nil)
    }

    @Test func goldenRecordsAreWrittenAndHold() throws {
        let page = try GoldenPage("audit-log.md")
        let log = try AuditLog(path: path, in: storage)
        let target = Labels(["target": "c0ffee", "remedy": "restart-after-oom"])
        _ = try log.append(kind: "action.commanded", fields: target, nanoseconds: 1_700_000_000_123_456_789)
        _ = try log.append(kind: "action.verified", fields: .empty, nanoseconds: 1_700_000_001_000_000_000)
        let bytes = try #require(try AtomicFile.read(path, in: storage, maximumBytes: 1 << 20))
        let golden = try page.bytes(of: "two records")
        #expect(bytes == golden, "\(String(decoding: bytes, as: UTF8.self))")
        #expect(AuditVerifier.verify(golden).records == 2)
    }
}
