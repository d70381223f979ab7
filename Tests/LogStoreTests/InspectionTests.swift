internal import Disk
internal import Telemetry
internal import TestSupport
internal import Testing

@testable internal import LogStore

/// An inspection tells what is in a part and finds every damaged byte; so does a store by itself, some time after its
/// start.
struct InspectionTests {
    private func filled(_ fixture: LogFixture) async throws -> String {
        let store = try fixture.open()
        var samples = LineSamples(seed: 3)
        var first = LogLines(labels: Labels(["app": "a"]), origin: LogOrigin(source: "f", generation: 1))
        var second = LogLines(labels: Labels(["app": "b"]))
        for index in 0..<300 {
            let line = samples.line(0, at: fixture.time(Int64(index) - 500))
            let start = UInt64(index) * 1000
            first.append(nanoseconds: fixture.time(Int64(index) - 500), line: line, offsets: start..<start + 999)
            second.append(
                nanoseconds: fixture.time(Int64(index) - 500), line: samples.line(2, at: 0),
                metadata: Labels(["trace": "\(index)"]))
        }
        _ = try await store.append(LogBatch(streams: [first, second]))
        try store.seal()
        try store.close()
        let parts = fixture.folder.path + "/logs/parts"
        let names = try SystemStorage().list(parts).map(\.name)
        return StoragePath.join(parts, try #require(names.first))
    }

    @Test func everyDamagedByteIsFound() async throws {
        let fixture = try LogFixture()
        let path = try await filled(fixture)
        let storage = SystemStorage()
        let whole = try PartInspection(path: path, storage: storage)
        #expect(whole.lines == 600)
        #expect(whole.streams.map(\.labels) == ["{app=\"a\"}", "{app=\"b\"}"])
        #expect(whole.origins == 1)
        #expect(whole.damage.isEmpty)
        let file = try storage.open(path, .readWrite)
        let bytes = try #require(try AtomicFile.read(path, in: storage, maximumBytes: 1 << 24))
        for offset in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 700)) {
            // Four bytes of each anchor mean nothing yet.
            if offset / 4 == 7 || bytes.count - offset <= 4 { continue }
            try withUnsafeBytes(of: bytes[offset] ^ 0x10) { try file.write($0, at: UInt64(offset)) }
            let found = try? PartInspection(path: path, storage: storage)
            #expect(found?.damage.isEmpty != true, "byte \(offset)")
            if let found { #expect(found.linesLost <= 300, "byte \(offset)") }
            try withUnsafeBytes(of: bytes[offset]) { try file.write($0, at: UInt64(offset)) }
        }
        #expect(try PartInspection(path: path, storage: storage).damage.isEmpty)
    }

    @Test func aStoreFindsDamageByItself() async throws {
        let fixture = try LogFixture()
        let path = try await filled(fixture)
        let storage = SystemStorage()
        let part = try PartReader(try storage.open(path, .read))
        let summary = part.footer.blocks[0]
        let file = try storage.open(path, .readWrite)
        try withUnsafeBytes(of: UInt8(0x5a)) {
            try file.write($0, at: summary.offset + UInt64(summary.start(of: .chunks) + 3))
        }
        let store = try fixture.open()
        #expect(store.quarantine.isEmpty)
        store.maintain()
        let found = store.quarantine
        #expect(found.count == 1)
        #expect(found.first?.reason.contains("300 lines of {app=\"a\"}") == true, "\(found)")
        store.maintain()
        #expect(store.quarantine.count == 1)
        try store.close()
    }
}
