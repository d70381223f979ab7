internal import Disk
internal import Glibc
internal import TestSupport
internal import Testing

/// The port's promises on the real disk.
@Suite struct SystemStorageTests {
    let folder: TemporaryFolder
    let storage: SystemStorage

    init() throws {
        folder = try TemporaryFolder()
        storage = SystemStorage(root: folder.path)
    }

    func write(_ bytes: [UInt8], to path: String) throws {
        let file = try storage.open(path, .createOrOpen)
        try bytes.withUnsafeBytes { try file.write($0, at: 0) }
    }

    @Test func filesKeepWhatIsWrittenAnywhereInThem() throws {
        let file = try storage.open("a", .create)
        try [UInt8](repeating: 1, count: 10).withUnsafeBytes { try file.write($0, at: 5) }
        try file.dataSync()
        #expect(try file.size() == 15)
        #expect(
            try AtomicFile.read("a", in: storage, maximumBytes: 100) == [0, 0, 0, 0, 0]
                + [UInt8](repeating: 1, count: 10))
        try file.truncate(to: 6)
        #expect(try AtomicFile.read("a", in: storage, maximumBytes: 100) == [0, 0, 0, 0, 0, 1])
        try file.allocate(upTo: 8192)
        #expect(try file.size() == 8192)
        #expect(try AtomicFile.read("a", in: storage, maximumBytes: 8192)?.dropFirst(6).allSatisfy { $0 == 0 } == true)
    }

    @Test func readingBehindTheEndIsAnErrorThatSaysWhere() throws {
        try write([1, 2, 3], to: "short")
        let file = try storage.open("short", .read)
        var buffer = [UInt8](repeating: 0, count: 8)
        let error = #expect(throws: StorageError.self) {
            try buffer.withUnsafeMutableBytes { try file.read(into: $0, at: 1) }
        }
        #expect(error?.kind == .inputOutput)
        #expect(error?.description.contains("ends at byte 3, 8 bytes at 1 were wanted") == true)
    }

    @Test func errorsSayWhatTheyAre() throws {
        #expect(kind { _ = try storage.open("absent", .read) } == .notFound)
        #expect(kind { _ = try storage.open("absent/below", .create) } == .notFound)
        try write([], to: "there")
        #expect(kind { _ = try storage.open("there", .create) } == .alreadyExists)
        #expect(kind { try storage.makeFolder("there") } == .alreadyExists)
        #expect(kind { _ = try storage.list("there") } == .notFound)
        #expect(kind { try storage.remove("absent") } == .notFound)
        #expect(kind { try storage.link("there", to: "there") } == .alreadyExists)
        try storage.makeFolder("full/inner")
        #expect(kind { try storage.remove("full") } == .alreadyExists)
        let error = StorageError(.other, operation: "open", path: "/x", code: ELOOP)
        #expect(error.description == "open /x: failed with error \(ELOOP)")
    }

    func kind(_ body: () throws -> Void) -> StorageError.Kind? {
        do {
            try body()
            return nil
        } catch {
            return (error as? StorageError)?.kind
        }
    }

    @Test func namesAreMadeMovedListedAndRemoved() throws {
        try storage.makeFolder("one/two/three")
        try storage.makeFolder("one/two/three")
        try write([1, 2], to: "one/b")
        try storage.link("one/b", to: "one/a")
        try storage.rename("one/b", to: "one/c")
        try storage.syncFolder("one")
        let entries = try storage.list("one")
        #expect(
            entries == [
                FolderEntry(name: "a", isFolder: false, bytes: 2), FolderEntry(name: "c", isFolder: false, bytes: 2),
                FolderEntry(name: "two", isFolder: true, bytes: 0),
            ])
        try storage.remove("one/two/three")
        try storage.remove("one/two")
        try storage.remove("one/a")
        #expect(try storage.list("one").map(\.name) == ["c"])
        let space = try storage.space(at: "one")
        #expect(space.availableBytes > 0 && space.availableBytes <= space.totalBytes)
    }

    @Test func aLockKeepsTheSecondOutAndNamesTheFirst() throws {
        var first: FileLock? = try FileLock("lock", in: storage)
        let error = #expect(throws: StorageError.self) { try FileLock("lock", in: storage) }
        #expect(error?.kind == .locked)
        #expect(error?.description.contains("process \(getpid())") == true)
        withExtendedLifetime(first) {}
        first = nil
        _ = try FileLock("lock", in: storage)
    }

    @Test func atomicFilesAreReplacedAsAWhole() throws {
        #expect(try AtomicFile.read("state", in: storage, maximumBytes: 10) == nil)
        try AtomicFile.write([1, 2, 3], to: "state", in: storage)
        try AtomicFile.write([4], to: "state", in: storage)
        #expect(try AtomicFile.read("state", in: storage, maximumBytes: 10) == [4])
        #expect(try storage.list("").map(\.name) == ["state"])
        try AtomicFile.write([UInt8](repeating: 0, count: 11), to: "state", in: storage)
        #expect(kind { _ = try AtomicFile.read("state", in: storage, maximumBytes: 10) } == .other)
    }

    @Test func checksumsAreThoseOfTheStandard() {
        #expect(Array("123456789".utf8).withUnsafeBytes { crc32c($0) } == 0xE306_9283)
        let whole = Array("vedette".utf8).withUnsafeBytes { crc32c($0) }
        let part = Array("ved".utf8).withUnsafeBytes { crc32c($0) }
        #expect(Array("ette".utf8).withUnsafeBytes { crc32c($0, continuing: part) } == whole)
    }
}
