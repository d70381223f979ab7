internal import Disk
internal import Glibc
internal import TestSupport
internal import Testing

/// A full disk is a normal state: refuse, lose nothing, go on by itself.
@Suite struct FullDiskTests {
    @Test func aFullSimulatedDiskRefusesAndRecovers() throws {
        let storage = SimulatedStorage(seed: 1)
        storage.setCapacity(20_000)
        try fillAndFree(storage) { storage.setCapacity(1 << 30) }
    }

    @Test func aFullFileSystemRefusesAndRecovers() throws {
        guard let volume = SmallVolume(bytes: 1 << 20) else { return }
        let storage = SystemStorage(root: volume.path)
        let ballast = try storage.open("ballast", .create)
        try ballast.allocate(upTo: 700_000)
        try fillAndFree(storage) { try storage.remove("ballast") }
        withExtendedLifetime(volume) {}
    }

    /// Appends until the disk refuses, checks what is there, makes room, goes on, opens again.
    func fillAndFree(_ storage: some FileStorage, makeRoom: () throws -> Void) throws {
        let options = SegmentedLog.Options(segmentBytes: 8192, growthBytes: 2048)
        let log = try SegmentedLog(folder: "wal", in: storage, options: options)
        var kept: [[UInt8]] = []
        var refusal: StorageError?
        while refusal == nil {
            do throws(StorageError) {
                _ = try log.append(kind: 1, payload(kept.count) + [UInt8](repeating: 3, count: 700))
                try log.sync()
                kept.append(payload(kept.count) + [UInt8](repeating: 3, count: 700))
            } catch {
                refusal = error
            }
        }
        #expect(refusal?.kind == .noSpace)
        #expect(kept.count > 10)
        #expect(log.poison == nil)
        #expect(try read(log) == kept)
        #expect(throws: StorageError.self) { try log.append(kind: 1, [UInt8](repeating: 1, count: 100_000)) }
        try makeRoom()
        _ = try log.append(kind: 1, [42])
        try log.sync()
        #expect(try read(log) == kept + [[42]])
        let again = try SegmentedLog(folder: "wal", in: storage, options: options)
        #expect(again.recovery.isClean, "\(again.recovery)")
        #expect(try read(again) == kept + [[42]])
    }

    @Test func senderHearsOfTheFullDiskAndOfItsEnd() throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try GroupCommitLog(SegmentedLog(folder: "wal", in: storage), driving: .manual)
        storage.setCapacity(100)
        try log.submit(kind: 1, payload: [UInt8](repeating: 1, count: 500)) { result in
            guard case .failure(.storage(let error)) = result else { return }
            #expect(error.kind == .noSpace)
        }
        log.runOnce()
        #expect(log.status.isOutOfSpace)
        #expect(log.status.refused == 1)
        storage.setCapacity(1 << 20)
        try log.submit(kind: 1, payload: [1]) { _ in }
        log.runOnce()
        #expect(!log.status.isOutOfSpace)
        #expect(log.status.records == 1)
    }

    @Test func theReserveIsThereWhenItIsNeeded() throws {
        let storage = SimulatedStorage(seed: 1)
        storage.setCapacity(3000)
        let reserve = SpaceReserve("reserve", bytes: 1000, in: storage)
        #expect(reserve.isHeld)
        let file = try storage.open("flush", .create)
        let bytes = [UInt8](repeating: 1, count: 2500)
        #expect(throws: StorageError.self) { try bytes.withUnsafeBytes { try file.write($0, at: 0) } }
        try reserve.perform { () throws(StorageError) in
            try file.allocate(upTo: 2500)
        }
        #expect(!reserve.isHeld)
        reserve.refill()
        #expect(!reserve.isHeld, "500 bytes are free")
        try file.truncate(to: 0)
        reserve.refill()
        #expect(reserve.isHeld)
        #expect(SpaceReserve("reserve", bytes: 1000, in: storage).isHeld)
    }
}

/// A file system of a few bytes, mounted while this object lives; only root can have one.
final class SmallVolume {
    let path: String
    private let folder: TemporaryFolder

    /// Nil, with a printed reason, where it cannot be had.
    init?(bytes: Int) {
        guard geteuid() == 0, let folder = try? TemporaryFolder() else {
            print("skipped: a small file system can be mounted by root only")
            return nil
        }
        guard mount("tmpfs", folder.path, "tmpfs", 0, "size=\(bytes)") == 0 else {
            print("skipped: mounting a tmpfs failed with error \(errno)")
            return nil
        }
        self.folder = folder
        path = folder.path
    }

    deinit {
        umount(path)
    }
}
