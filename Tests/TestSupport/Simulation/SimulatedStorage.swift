package import Disk
internal import Synchronization

/// A disk in memory that fails the way disks do, the same way each time for the same seed.
///
/// It keeps what the running system sees apart from what the medium has, dies at a chosen operation, fills up, and
/// answers a sync with an error. `survivors` is the disk as the next start finds it.
package final class SimulatedStorage: FileStorage {
    /// The operations that change something, and therefore the places where a crash can come.
    package enum Operation: String, Sendable, CaseIterable {
        case create, write, dataSync, truncate, allocate, link, rename, remove, makeFolder, syncFolder
    }

    /// When within the operation the crash comes.
    package enum Moment: String, Sendable, CaseIterable {
        /// Nothing of it happened.
        case before
        /// A write got through in part.
        case during
        /// All of it happened, nobody was told.
        case after
    }

    /// What ends a run.
    package enum Ending: Sendable, CaseIterable {
        /// The machine loses power: what was not synced survives in random part.
        case powerCut
        /// The process dies: the system's view survives, synced or not.
        case kill
    }

    /// What goes wrong. Operations, writes and syncs are counted from 1.
    package struct Plan: Sendable {
        package var crashAtOperation: Int?
        package var crashMoment = Moment.before
        /// This sync answers EIO, and what it should have written is lost without another word.
        package var failingSync: Int?
        /// The process dies right after that sync, before it can do anything about it.
        package var crashAfterFailingSync = false
        /// This write answers EIO after a part of it.
        package var failingWrite: Int?
        /// The bytes that all files together may have.
        package var capacityBytes = 1 << 30
        /// Syncs answer yes and do nothing: for tests that must fail.
        package var syncsAreLies = false

        /// A disk without faults.
        package init() {}
    }

    struct State {
        var files: [FileImage] = []
        var names = NameTable()
        var locked: Set<Int> = []
        var unreadable: [Int: [Range<UInt64>]] = [:]
        var generator: SeededGenerator
        var plan: Plan
        var operations = 0
        var writes = 0
        var syncs = 0
        var crash: (operation: Operation, moment: Moment)?
        var failedSyncs = 0
        var failedWrites = 0
        var refusedForSpace = 0
        var tears = Tears()
    }

    let state: Mutex<State>

    /// An empty disk.
    package convenience init(seed: UInt64, plan: Plan = Plan()) {
        self.init(State(generator: SeededGenerator(seed: seed), plan: plan))
    }

    private init(_ state: State) {
        self.state = Mutex(state)
    }

    // MARK: FileStorage

    package func open(_ path: String, _ mode: FileMode) throws(StorageError) -> any FileHandle {
        let path = Self.normal(path)
        let id = try change { state throws(StorageError) in
            try state.alive(.create, path)
            switch state.names[path] {
            case .file(let id):
                if mode == .create { throw StorageError(.alreadyExists, operation: "open", path: path) }
                return id
            case .folder:
                throw StorageError(.other, operation: "open", path: path, detail: "it is a folder")
            case nil:
                guard mode.mayCreate else {
                    throw StorageError(.notFound, operation: "open", path: path)
                }
                try state.needFolder(above: path, for: "open")
                return try state.perform(.create, path) { state in
                    state.files.append(FileImage())
                    state.names.set(path, .file(state.files.count - 1))
                    return state.files.count - 1
                }
            }
        }
        return SimulatedFile(path: path, id: id, storage: self)
    }

    package func link(_ path: String, to other: String) throws(StorageError) {
        let (path, other) = (Self.normal(path), Self.normal(other))
        try change { state throws(StorageError) in
            try state.alive(.link, path)
            guard case .file(let id) = state.names[path] else {
                throw StorageError(.notFound, operation: "link", path: path)
            }
            guard state.names[other] == nil else {
                throw StorageError(.alreadyExists, operation: "link", path: other)
            }
            try state.needFolder(above: other, for: "link")
            try state.perform(.link, path) { $0.names.set(other, .file(id)) }
        }
    }

    package func rename(_ path: String, to other: String) throws(StorageError) {
        let (path, other) = (Self.normal(path), Self.normal(other))
        try change { state throws(StorageError) in
            try state.alive(.rename, path)
            guard state.names[path] != nil else { throw StorageError(.notFound, operation: "rename", path: path) }
            try state.needFolder(above: other, for: "rename")
            if !state.names.children(of: other).isEmpty {
                throw StorageError(.alreadyExists, operation: "rename", path: other)
            }
            try state.perform(.rename, path) { $0.names.move(path, to: other) }
        }
    }

    package func remove(_ path: String) throws(StorageError) {
        let path = Self.normal(path)
        try change { state throws(StorageError) in
            try state.alive(.remove, path)
            guard state.names[path] != nil else { throw StorageError(.notFound, operation: "remove", path: path) }
            guard state.names.children(of: path).isEmpty else {
                throw StorageError(.alreadyExists, operation: "remove", path: path, detail: "the folder is not empty")
            }
            try state.perform(.remove, path) { $0.names.remove(path) }
        }
    }

    package func makeFolder(_ path: String) throws(StorageError) {
        let path = Self.normal(path)
        try change { state throws(StorageError) in
            try state.alive(.makeFolder, path)
            if state.names[path] == .folder { return }
            try state.perform(.makeFolder, path) { state in
                var folder = path
                while !folder.isEmpty, state.names[folder] == nil {
                    state.names.addFolder(folder)
                    folder = NameTable.parent(of: folder)
                }
            }
        }
    }

    package func list(_ path: String) throws(StorageError) -> [FolderEntry] {
        let path = Self.normal(path)
        return try change { state throws(StorageError) in
            try state.alive(nil, path)
            guard state.names[path] == .folder else { throw StorageError(.notFound, operation: "list", path: path) }
            return state.names.children(of: path).map { name, node in
                guard case .file(let id) = node else { return FolderEntry(name: name, isFolder: true, bytes: 0) }
                return FolderEntry(name: name, isFolder: false, bytes: UInt64(state.files[id].live.count))
            }
        }
    }

    package func syncFolder(_ path: String) throws(StorageError) {
        let path = Self.normal(path)
        try change { state throws(StorageError) in
            try state.alive(.syncFolder, path)
            guard state.names[path] == .folder else {
                throw StorageError(.notFound, operation: "syncFolder", path: path)
            }
            try state.perform(.syncFolder, path) { if !$0.plan.syncsAreLies { $0.names.sync(path) } }
        }
    }

    package func space(at path: String) throws(StorageError) -> FileSystemSpace {
        try change { state throws(StorageError) in
            try state.alive(nil, path)
            return FileSystemSpace(
                totalBytes: UInt64(state.plan.capacityBytes),
                availableBytes: UInt64(max(0, state.plan.capacityBytes - state.usedBytes)))
        }
    }
}

extension SimulatedStorage {
    /// The disk as the next start finds it, with faults of its own to come. This one is dead from now on.
    package func survivors(of ending: Ending, plan: Plan = Plan()) -> SimulatedStorage {
        state.withLock { old in
            var next = State(generator: SeededGenerator(seed: old.generator.next()), plan: plan)
            next.unreadable = old.unreadable
            if old.crash == nil { old.crash = (.write, .before) }
            switch ending {
            case .kill:
                next.files = old.files
                next.names = old.names
            case .powerCut:
                for file in old.files {
                    next.files.append(FileImage(durable: file.survivor(using: &old.generator, noting: &old.tears)))
                }
                next.names = old.names.survivor(using: &old.generator)
            }
            return SimulatedStorage(next)
        }
    }

    /// Where the crash came, nil before it.
    package var crash: (operation: Operation, moment: Moment)? { state.withLock { $0.crash } }
    /// What `survivors` did to writes that were not synced.
    package var tears: Tears { state.withLock { $0.tears } }
    /// The operations so far that changed something.
    package var operations: Int { state.withLock { $0.operations } }
    /// The syncs that answered with an error.
    package var failedSyncs: Int { state.withLock { $0.failedSyncs } }
    /// The writes that answered with an input/output error.
    package var failedWrites: Int { state.withLock { $0.failedWrites } }
    /// The writes and allocations that found no room.
    package var refusedForSpace: Int { state.withLock { $0.refusedForSpace } }

    /// Changes how much fits: smaller fills the disk, larger is somebody who makes room.
    package func setCapacity(_ bytes: Int) { state.withLock { $0.plan.capacityBytes = bytes } }

    /// The bytes of a file as the system sees them, nil when there is none.
    package func bytes(of path: String) -> [UInt8]? {
        state.withLock { state in
            guard case .file(let id) = state.names[Self.normal(path)] else { return nil }
            return state.files[id].live
        }
    }

    /// Puts other bytes into a file, on the medium too: damage, or a file made for a test.
    package func replaceBytes(of path: String, with bytes: [UInt8]) {
        let path = Self.normal(path)
        state.withLock { state in
            if case .file(let id) = state.names[path] {
                state.unreadable[id] = nil
                return state.files[id].overwrite(bytes)
            }
            state.files.append(FileImage(durable: bytes))
            state.names.set(path, .file(state.files.count - 1))
            state.names.sync(NameTable.parent(of: path))
        }
    }

    /// Turns over one bit of a file on the medium.
    package func flipBit(_ bit: Int, ofByte byte: Int, in path: String) {
        guard var bytes = bytes(of: path), byte < bytes.count else { return }
        bytes[byte] ^= 1 << UInt8(bit)
        replaceBytes(of: path, with: bytes)
    }

    /// Makes a range of a file answer every read with an input/output error.
    package func makeUnreadable(_ range: Range<UInt64>, in path: String) {
        state.withLock { state in
            if case .file(let id) = state.names[Self.normal(path)] { state.unreadable[id, default: []].append(range) }
        }
    }

    /// Runs `body` on the state under its lock.
    func change<Value: Sendable>(
        _ body: (inout State) throws(StorageError) -> Value
    ) throws(StorageError) -> Value {
        let result: Result<Value, StorageError> = state.withLock { state in
            do throws(StorageError) {
                return .success(try body(&state))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Paths without ".", doubled or outer slashes: relative and absolute ones are the same here.
    private static func normal(_ path: String) -> String {
        path.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }
}
