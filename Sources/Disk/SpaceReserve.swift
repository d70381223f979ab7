internal import Synchronization

/// Disk space set aside for the work that frees space: flush, retention and the journal go on when the disk is full.
package final class SpaceReserve: Sendable {
    private let storage: any FileStorage
    private let path: String
    /// What is set aside, when it is.
    package let bytes: UInt64
    private let scarceBytes: UInt64
    private let held = Mutex(false)

    /// A reserve of `bytes` in the file at `path`, which is kept from an earlier run or made now if there is room.
    /// While more than `scarceBytes` are free nothing is set aside: a disk with room needs no reserve.
    package init(_ path: String, bytes: UInt64, scarceBytes: UInt64 = .max, in storage: any FileStorage) {
        self.path = path
        self.bytes = bytes
        self.scarceBytes = scarceBytes
        self.storage = storage
        // An earlier run may have left one that is not needed now.
        if isPlenty { try? storage.remove(path) }
        refill()
    }

    /// Whether the space is set aside.
    package var isHeld: Bool { held.withLock { $0 } }

    /// Gives the space to whoever writes next. Returns false when there was nothing to give.
    @discardableResult
    package func release() -> Bool {
        held.withLock { held in
            guard held, (try? storage.remove(path)) != nil else { return false }
            held = false
            return true
        }
    }

    /// Sets the space aside again once there is room for twice as much, so that the reserve itself never fills the
    /// disk; gives it back when the disk has plenty of room.
    package func refill() {
        held.withLock { held in
            if isPlenty {
                if held { held = (try? storage.remove(path)) == nil }
                return
            }
            guard !held else { return }
            held = (try? allocate()) ?? false
        }
    }

    private var isPlenty: Bool {
        guard scarceBytes < .max, let space = try? storage.space(at: StoragePath.parent(of: path)) else { return false }
        return space.availableBytes > scarceBytes
    }

    /// Runs `body`; when the disk is full, releases the reserve and runs it once more.
    package func perform<Value>(_ body: () throws(StorageError) -> Value) throws(StorageError) -> Value {
        do {
            return try body()
        } catch  where error.kind == .noSpace {
            guard release() else { throw error }
            return try body()
        }
    }

    private func allocate() throws(StorageError) -> Bool {
        let folder = StoragePath.parent(of: path)
        let file = try storage.open(path, .createOrOpen)
        if try file.size() == bytes { return true }
        guard try storage.space(at: folder).availableBytes / 2 >= bytes else {
            try storage.remove(path)
            return false
        }
        do {
            try file.allocate(upTo: bytes)
        } catch {
            try? storage.remove(path)
            throw error
        }
        return true
    }
}
