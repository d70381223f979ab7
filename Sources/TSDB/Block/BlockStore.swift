internal import Disk
internal import Synchronization
internal import Telemetry

/// The folder of blocks: opens, adds, replaces, drops and sets aside block files, each step safe against a crash.
///
/// A file that has its final name is whole, and one that another says was merged into it is removed. The list of blocks
/// only tells which are missing.
final class BlockStore: Sendable {
    /// What queries see, all of it from one moment.
    struct View: Sendable {
        /// In the order in which their samples came.
        var blocks: [Block] = []
        var tombstones: [Tombstone] = []
        /// Set aside because nothing in them could be read.
        var quarantined: [Quarantined] = []
        /// Listed, and not there.
        var missing: [BlockManifest.Entry] = []
        /// Deletions whose file is gone.
        var lostDeletions: LostDeletions?
    }

    private struct State {
        var view = View()
        var nextSequence: UInt64 = 1
        var isListed = false
        var hasTombstoneFile = false
    }

    let folder: String
    let cache: PageCache
    /// What selectors found in head and blocks.
    let selections: SelectionCache
    private let storage: any FileStorage
    private let reserve: SpaceReserve
    private let salt: @Sendable () -> UInt64
    private let state = Mutex(State())
    private let tombstoneFile: TombstoneFile
    private let manifest: BlockManifest

    private var blockFolder: String { StoragePath.join(folder, "blocks") }
    private var quarantineFolder: String { StoragePath.join(folder, "quarantine") }
    private static let temporarySuffix = ".new"
    private static let reasonSuffix = ".reason"

    /// Opens all blocks under `folder`. Damaged ones are set aside; one of a newer format is refused by name.
    init(
        folder: String, in storage: any FileStorage, cache: PageCache, reserve: SpaceReserve,
        salt: @escaping @Sendable () -> UInt64
    ) throws {
        self.folder = folder
        self.storage = storage
        self.cache = cache
        selections = SelectionCache(maximumBytes: cache.maximumBytes / 2, share: 0.25)
        self.reserve = reserve
        self.salt = salt
        tombstoneFile = TombstoneFile(path: StoragePath.join(folder, "tombstones"), storage: storage)
        manifest = BlockManifest(path: StoragePath.join(folder, "blocklist"), storage: storage)
        try storage.makeFolder(blockFolder)
        try storage.makeFolder(quarantineFolder)
        // The process before may have died between a rename and the sync of its folder: what is seen now must stay.
        for path in [blockFolder, quarantineFolder, folder] { try storage.syncFolder(path) }
        try listQuarantine()
        try openBlocks()
        try openTombstones()
        try findMissing()
    }

    /// Whether there was a list of blocks at the start: then another process was here before.
    var isListed: Bool { state.withLock { $0.isListed } }

    /// What is there now.
    var view: View { state.withLock { $0.view } }

    /// The number of the next block, which is spent when it is added.
    var nextSequence: BlockSequence {
        let next = state.withLock { $0.nextSequence }
        return BlockSequence(first: next, last: next)
    }

    /// Writes a block file, makes it durable under its name, and opens it. When the disk is full the reserve is given
    /// to a block from the head, which lets the log be cut. It is not part of the view yet.
    func write(
        _ sequence: BlockSequence, merging inputs: [Block] = [], _ body: (inout BlockWriter) throws -> Void
    ) throws -> Block {
        let history = inputs.isEmpty ? BlockHistory(flush: sequence) : BlockHistory(merging: inputs)
        do {
            return try writeOnce(sequence, history, body)
        } catch let error as StorageError where error.kind == .noSpace {
            guard inputs.isEmpty, reserve.release() else { throw error }
            return try writeOnce(sequence, history, body)
        }
    }

    private func writeOnce(
        _ sequence: BlockSequence, _ history: BlockHistory, _ body: (inout BlockWriter) throws -> Void
    ) throws -> Block {
        let path = StoragePath.join(blockFolder, sequence.fileName)
        let temporary = path + Self.temporarySuffix
        do {
            let file = try storage.open(temporary, .createOrOpen)
            try file.truncate(to: 0)
            var writer = BlockWriter(file, salt: salt())
            try body(&writer)
            _ = try writer.finish(sequence: sequence, history: history)
            try file.dataSync()
            try storage.rename(temporary, to: path)
        } catch {
            // Half a block of a full disk must not keep its space.
            try? storage.remove(temporary)
            throw error
        }
        try storage.syncFolder(blockFolder)
        let reader = try BlockReader(try storage.open(path, .read), cache: cache)
        return Block(reader: reader, name: sequence.fileName)
    }

    /// Makes `block` part of the view in place of those merged into it, whose files are removed.
    func add(_ block: Block, replacing old: [Block] = []) throws(StorageError) {
        let gone = Set(old.map(\.sequence))
        state.withLock { state in
            state.view.blocks.removeAll { gone.contains($0.sequence) }
            state.view.blocks.append(block)
            state.nextSequence = max(state.nextSequence, block.sequence.last + 1)
            state.view.blocks.sort { $0.precedes($1) }
        }
        try writeManifest()
        try removeFiles(of: old)
    }

    private func writeManifest() throws(StorageError) {
        try manifest.write(Self.content(of: view))
    }

    private static func content(of view: View) -> BlockManifest.Content {
        let lost = view.lostDeletions
        let through = view.tombstones.map(\.throughSequence).max() ?? 0
        return BlockManifest.Content(
            blocks: view.blocks.map { BlockManifest.Entry($0) } + view.missing, deletionCount: view.tombstones.count,
            lostDeletionCount: lost?.count ?? 0, deletedThrough: max(through, lost?.throughSequence ?? 0))
    }

    /// Where the deletions are.
    var tombstonePath: String { tombstoneFile.path }

    /// What is missing, in words.
    var missing: [Quarantined] {
        let view = view
        let deletions = view.lostDeletions.map { [$0.quarantined(at: tombstonePath)] } ?? []
        return deletions + view.missing.map { $0.quarantined(at: path(of: $0.sequence)) }
    }

    /// Where a block is, or was.
    func path(of sequence: BlockSequence) -> String { StoragePath.join(blockFolder, sequence.fileName) }

    /// Misses no longer what retention would have dropped by now.
    func forgetMissing(before milliseconds: Int64) throws(StorageError) {
        let isChanged = state.withLock { state in
            let before = state.view.missing.count
            state.view.missing.removeAll { $0.times.endMilliseconds < milliseconds }
            return state.view.missing.count < before
        }
        if isChanged { try writeManifest() }
    }

    /// Takes blocks out of the view and removes their files; returns the bytes freed.
    func drop(_ blocks: [Block]) throws(StorageError) -> UInt64 {
        let gone = Set(blocks.map(\.sequence))
        state.withLock { $0.view.blocks.removeAll { gone.contains($0.sequence) } }
        try writeManifest()
        try removeFiles(of: blocks)
        try dropSpentTombstones()
        return blocks.reduce(0) { $0 + $1.reader.byteCount }
    }

    private func removeFiles(of blocks: [Block]) throws(StorageError) {
        guard !blocks.isEmpty else { return }
        for block in blocks { try storage.remove(StoragePath.join(blockFolder, block.name)) }
        try storage.syncFolder(blockFolder)
    }

    /// Hides what `matchers` select within `range` in all blocks of now.
    func addTombstone(_ matchers: [LabelMatcher], _ range: TimeRange) throws(StorageError) {
        let (through, old) = state.withLock { ($0.nextSequence - 1, $0.view.tombstones) }
        let all = old + [Tombstone(throughSequence: through, matchers: matchers, range: range)]
        try tombstoneFile.write(all)
        state.withLock { state in
            state.view.tombstones = all
            // What is deleted once more is not missed any more.
            if let lost = state.view.lostDeletions {
                state.view.lostDeletions =
                    lost.count > 1 ? LostDeletions(count: lost.count - 1, throughSequence: lost.throughSequence) : nil
            }
        }
        try writeManifest()
    }

    /// Forgets tombstones that no block is left for.
    func dropSpentTombstones() throws(StorageError) {
        let (old, oldest) = state.withLock { state in
            let oldest = state.view.blocks.map(\.sequence.last).min() ?? .max
            if let lost = state.view.lostDeletions, lost.throughSequence < oldest { state.view.lostDeletions = nil }
            return (state.view.tombstones, oldest)
        }
        let kept = old.filter { $0.throughSequence >= oldest }
        guard kept.count < old.count else { return }
        try tombstoneFile.write(kept)
        state.withLock { $0.view.tombstones = kept }
        try writeManifest()
    }

    /// Forgets the tombstones that no block has anything for any more.
    func forgetTombstones() throws {
        let view = view
        let kept = try view.tombstones.filter { tombstone in
            try view.blocks.contains { block in
                try !block.deletions([tombstone], in: block.reader.index()).isEmpty
            }
        }
        guard kept.count < view.tombstones.count else { return }
        try tombstoneFile.write(kept)
        state.withLock { $0.view.tombstones = kept }
    }

    /// Lets go of indexes, the least recently used first, until at most `maximumBytes` are held; returns the bytes
    /// freed.
    func trimIndexes(to maximumBytes: Int) -> Int {
        let blocks = view.blocks
        var held = blocks.reduce(0) { $0 + $1.reader.indexBytes }
        guard held > maximumBytes else { return 0 }
        let before = held
        let uses = blocks.map { ($0, $0.reader.lastIndexUse.load(ordering: .relaxed)) }
        for (block, _) in uses.sorted(by: { $0.1 < $1.1 }) where held > maximumBytes {
            held -= block.reader.releaseIndex()
        }
        return before - held
    }

    /// Links every file into the folder at `path`, or copies what the file system cannot link.
    func snapshot(to path: String) throws {
        let view = view
        let target = StoragePath.join(path, "blocks")
        try storage.makeFolder(target)
        for block in view.blocks {
            let source = StoragePath.join(blockFolder, block.name)
            let twin = StoragePath.join(target, block.name)
            if (try? storage.link(source, to: twin)) == nil { try copy(source, to: twin) }
        }
        try storage.syncFolder(target)
        if !view.tombstones.isEmpty {
            try TombstoneFile(path: StoragePath.join(path, "tombstones"), storage: storage).write(view.tombstones)
        }
        try storage.syncFolder(path)
    }

    private func copy(_ source: String, to target: String) throws(StorageError) {
        let input = try storage.open(source, .read)
        let output = try storage.open(target, .create)
        let size = try input.size()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 8)
        defer { buffer.deallocate() }
        var offset: UInt64 = 0
        while offset < size {
            let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(min(size - offset, 1 << 20))])
            try input.read(into: piece, at: offset)
            try output.write(UnsafeRawBufferPointer(piece), at: offset)
            offset += UInt64(piece.count)
        }
        try output.dataSync()
    }
}

extension BlockStore {
    private func openBlocks() throws {
        var opened: [Block] = []
        for entry in try storage.list(blockFolder) where !entry.isFolder {
            let path = StoragePath.join(blockFolder, entry.name)
            guard let sequence = BlockSequence(fileName: entry.name) else {
                if entry.name.hasSuffix(Self.temporarySuffix) { try storage.remove(path) }
                continue
            }
            noteSequence(sequence)
            switch open(path, entry.name, sequence) {
            case .success(let block): opened.append(block)
            case .failure(.damaged(let damage)): setAside(entry.name, reason: "\(damage)")
            case .failure(.storage(let error)): throw error
            case .failure(.newer(let version)):
                throw StorageError(
                    .other, operation: "open", path: path,
                    detail: "its format is version \(version), this program reads version "
                        + "\(BlockFormat.version); nothing was changed, start the program that wrote it")
            }
        }
        try adopt(opened)
    }

    /// Makes the blocks the view, without those that were merged into others.
    private func adopt(_ opened: [Block]) throws(StorageError) {
        let merged = opened.filter { block in opened.contains { $0.replaces(block) } }
        let gone = Set(merged.map(\.sequence))
        let kept = opened.filter { !gone.contains($0.sequence) }.sorted { $0.precedes($1) }
        state.withLock { $0.view.blocks = kept }
        try removeFiles(of: merged)
    }

    private func open(
        _ path: String, _ name: String, _ sequence: BlockSequence
    ) -> Result<Block, BlockReader.OpenError> {
        func damaged(_ reason: String) -> BlockReader.OpenError {
            .damaged(BlockDamage(path: path, offset: 0, reason: reason))
        }
        do throws(StorageError) {
            let file = try storage.open(path, .read)
            return Result { () throws(BlockReader.OpenError) in
                let reader = try BlockReader(file, cache: cache)
                guard reader.footer.sequence == sequence else {
                    throw damaged("its footer has other numbers than its name")
                }
                return Block(reader: reader, name: name)
            }
        } catch {
            return .failure(error.kind == .inputOutput ? damaged(error.description) : .storage(error))
        }
    }

    private func openTombstones() throws {
        try settingAside("what had been deleted shows again, delete it once more") {
            // A damaged one is told of as such.
            state.withLock { $0.hasTombstoneFile = true }
            let found = try tombstoneFile.read()
            let tombstones = found ?? []
            state.withLock { state in
                state.hasTombstoneFile = found != nil
                state.view.tombstones = tombstones
                let highest = tombstones.map(\.throughSequence).max() ?? 0
                state.nextSequence = max(state.nextSequence, highest + 1)
            }
        }
    }

    /// Compares the list with what is there.
    private func findMissing() throws {
        var listed = BlockManifest.Content()
        try settingAside("whether a block's file is gone cannot be told") {
            let found = try manifest.read()
            listed = found ?? listed
            state.withLock { $0.isListed = found != nil }
        }
        missDeletions(listed)
        let view = view
        let aside = view.quarantined.compactMap { BlockSequence(fileName: StoragePath.name(of: $0.path)) }
        let known = Set(view.blocks.map(\.sequence) + view.blocks.flatMap { $0.history.replaced ?? [] } + aside)
        let missing = listed.blocks.filter { entry in
            !known.contains(entry.sequence) && !view.blocks.contains { $0.sequence.covers(entry.sequence) }
        }
        for entry in missing { noteSequence(entry.sequence) }
        state.withLock { $0.view.missing = missing }
        if listed != Self.content(of: self.view) { try writeManifest() }
    }

    /// Compares the deletions that should be there with those that are.
    private func missDeletions(_ listed: BlockManifest.Content) {
        state.withLock { state in
            var lost = listed.lostDeletionCount
            if !state.hasTombstoneFile { lost += listed.deletionCount }
            // All of them are there again: the file was restored.
            if state.view.tombstones.count >= listed.deletionCount + listed.lostDeletionCount { lost = 0 }
            guard lost > 0 || listed.deletedThrough > 0 else { return }
            // Were it restored later, it must not hide what comes from now on.
            state.nextSequence = max(state.nextSequence, listed.deletedThrough + 1)
            let isThere = state.view.blocks.contains { $0.sequence.first <= listed.deletedThrough }
            guard lost > 0, isThere else { return }
            state.view.lostDeletions = LostDeletions(count: lost, throughSequence: listed.deletedThrough)
        }
    }

    /// Runs a reader of a file beside the blocks. A damaged one is moved out of the way; `consequence` says what its
    /// loss means and what to do.
    func settingAside(_ consequence: String, _ read: () throws -> Void) throws {
        do {
            try read()
        } catch let damage as BlockDamage {
            let aside = StoragePath.join(quarantineFolder, StoragePath.name(of: damage.path))
            let words = "\(damage); \(consequence)"
            try storage.rename(damage.path, to: aside)
            try AtomicFile.write(Array(words.utf8), to: aside + Self.reasonSuffix, in: storage)
            noteQuarantined(aside, words)
        }
    }

    /// Moves a block out of the way, with the reason beside it. It stays there until a person takes it away.
    private func setAside(_ name: String, reason: String) {
        let aside = StoragePath.join(quarantineFolder, name)
        let words = "\(reason); its samples are missing from answers, restore the file from a copy or remove it"
        noteQuarantined(aside, words)
        do throws(StorageError) {
            try storage.rename(StoragePath.join(blockFolder, name), to: aside)
            try storage.syncFolder(quarantineFolder)
            try storage.syncFolder(blockFolder)
            try AtomicFile.write(Array(words.utf8), to: aside + Self.reasonSuffix, in: storage)
        } catch {
            // A medium that cannot even rename will say so at the next write; the block stays unread either way.
            noteQuarantined(aside, "could not be moved here: \(error)")
        }
    }

    private func listQuarantine() throws {
        for entry in try storage.list(quarantineFolder) where !entry.name.hasSuffix(Self.reasonSuffix) {
            if entry.isFolder || entry.name.hasSuffix(Self.temporarySuffix) { continue }
            if let sequence = BlockSequence(fileName: entry.name) { noteSequence(sequence) }
            let path = StoragePath.join(quarantineFolder, entry.name)
            let reason = try? AtomicFile.read(path + Self.reasonSuffix, in: storage, maximumBytes: 64 << 10)
            noteQuarantined(path, reason.map { String(decoding: $0, as: UTF8.self) } ?? "set aside as damaged earlier")
        }
    }

    private func noteQuarantined(_ path: String, _ reason: String) {
        state.withLock { $0.view.quarantined.append(Quarantined(path: path, reason: reason)) }
    }

    private func noteSequence(_ sequence: BlockSequence) {
        state.withLock { $0.nextSequence = max($0.nextSequence, sequence.last + 1) }
    }
}
