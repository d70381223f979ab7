internal import Disk
internal import Synchronization

/// An open file of a `SimulatedStorage`.
final class SimulatedFile: FileHandle {
    let path: String
    private let id: Int
    private let storage: SimulatedStorage
    private let holdsLock = Atomic(false)

    /// Opens file `id`.
    init(path: String, id: Int, storage: SimulatedStorage) {
        self.path = path
        self.id = id
        self.storage = storage
    }

    deinit {
        guard holdsLock.load(ordering: .relaxed) else { return }
        storage.state.withLock { _ = $0.locked.remove(id) }
    }

    func size() throws(StorageError) -> UInt64 {
        try storage.change { [id, path] state throws(StorageError) in
            try state.alive(nil, path)
            return UInt64(state.files[id].live.count)
        }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(StorageError) {
        let wanted = offset..<offset + UInt64(buffer.count)
        let bytes = try storage.change { [id, path] state throws(StorageError) in
            try state.alive(nil, path)
            let isBad = state.unreadable[id, default: []].contains { $0.overlaps(wanted) }
            guard !isBad, wanted.upperBound <= UInt64(state.files[id].live.count) else {
                throw StorageError(.inputOutput, operation: "pread", path: path)
            }
            return state.files[id].live[Int(wanted.lowerBound)..<Int(wanted.upperBound)]
        }
        buffer.copyBytes(from: bytes)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(StorageError) {
        let bytes = Array(bytes)
        try storage.change { [id, path] state throws(StorageError) in
            try state.alive(.write, path)
            state.writes += 1
            let size = state.files[id].live.count
            let room = max(0, state.plan.capacityBytes - state.usedBytes)
            let fitting = min(bytes.count, max(0, size - Int(offset)) + room)
            var kept = fitting
            if state.writes == state.plan.failingWrite { kept = state.generator.int(in: 0..<fitting + 1) }
            try state.perform(.write, path, part: kept) { state, part in
                state.files[id].apply(.write(offset: Int(offset), bytes: Array(bytes[..<part])))
            }
            if state.writes == state.plan.failingWrite {
                state.failedWrites += 1
                throw StorageError(.inputOutput, operation: "pwrite", path: path)
            }
            if fitting < bytes.count { throw state.noSpace("pwrite", path) }
        }
    }

    func dataSync() throws(StorageError) {
        try storage.change { [id, path] state throws(StorageError) in
            try state.alive(.dataSync, path)
            state.syncs += 1
            if state.syncs == state.plan.failingSync {
                state.failedSyncs += 1
                let forgets = state.generator.oneIn(2)
                state.files[id].loseChanges(andForget: forgets)
                if state.plan.crashAfterFailingSync { state.crash = (.dataSync, .during) }
                throw StorageError(.inputOutput, operation: "fdatasync", path: path)
            }
            try state.perform(.dataSync, path) { if !$0.plan.syncsAreLies { $0.files[id].sync() } }
        }
    }

    func truncate(to bytes: UInt64) throws(StorageError) {
        try storage.change { [id, path] state throws(StorageError) in
            try state.alive(.truncate, path)
            try state.perform(.truncate, path) { state in
                state.files[id].apply(.resize(Int(bytes)))
                state.unreadable[id]?.removeAll { $0.lowerBound >= bytes }
            }
        }
    }

    func allocate(upTo bytes: UInt64) throws(StorageError) {
        try storage.change { [id, path] state throws(StorageError) in
            try state.alive(.allocate, path)
            let growth = Int(bytes) - state.files[id].live.count
            guard growth > 0 else { return }
            guard growth <= state.plan.capacityBytes - state.usedBytes else {
                throw state.noSpace("posix_fallocate", path)
            }
            try state.perform(.allocate, path) { $0.files[id].apply(.resize(Int(bytes))) }
        }
    }

    func lock() throws(StorageError) {
        try storage.change { [id, path] state throws(StorageError) in
            try state.alive(nil, path)
            guard state.locked.insert(id).inserted else {
                throw StorageError(.locked, operation: "flock", path: path)
            }
        }
        holdsLock.store(true, ordering: .relaxed)
    }
}

extension SimulatedStorage.State {
    /// The bytes of all files that still have a name.
    var usedBytes: Int {
        var ids: Set<Int> = []
        for case .file(let id) in names.live.values { ids.insert(id) }
        return ids.reduce(0) { $0 + files[$1].live.count }
    }

    /// Throws when the crash has come; nothing works after it.
    func alive(_ operation: SimulatedStorage.Operation?, _ path: String) throws(StorageError) {
        if crash != nil { throw Self.crashed(operation, path) }
    }

    /// Throws unless the folder that is to hold `path` exists.
    func needFolder(above path: String, for operation: String) throws(StorageError) {
        let folder = NameTable.parent(of: path)
        guard names[folder] == .folder else { throw StorageError(.notFound, operation: operation, path: folder) }
    }

    /// The refusal of a full disk, counted.
    mutating func noSpace(_ operation: String, _ path: String) -> StorageError {
        refusedForSpace += 1
        return StorageError(.noSpace, operation: operation, path: path)
    }

    /// Does a change, and crashes around it when the plan says so.
    mutating func perform<Value>(
        _ operation: SimulatedStorage.Operation, _ path: String, _ body: (inout Self) -> Value
    ) throws(StorageError) -> Value {
        operations += 1
        let crashes = operations == plan.crashAtOperation
        if crashes { crash = (operation, plan.crashMoment) }
        if crashes, plan.crashMoment != .after { throw Self.crashed(operation, path) }
        let value = body(&self)
        if crashes { throw Self.crashed(operation, path) }
        return value
    }

    /// Like `perform` for a write of `part` bytes, of which a crash may let some through.
    mutating func perform(
        _ operation: SimulatedStorage.Operation, _ path: String, part: Int, _ body: (inout Self, Int) -> Void
    ) throws(StorageError) {
        if operations + 1 == plan.crashAtOperation, plan.crashMoment == .during {
            operations += 1
            crash = (operation, .during)
            body(&self, generator.int(in: 0..<part + 1))
            throw Self.crashed(operation, path)
        }
        try perform(operation, path) { body(&$0, part) }
    }

    private static func crashed(_ operation: SimulatedStorage.Operation?, _ path: String) -> StorageError {
        StorageError(
            .other, operation: operation?.rawValue ?? "read", path: path, detail: "the simulated machine is off")
    }
}
