internal import Disk
internal import Telemetry

/// Parts as files of one folder: written atomically, opened, set aside when damaged.
struct PartFile {
    let storage: any FileStorage
    let folder: String

    /// The end of the name of a part that is being written.
    static let temporarySuffix = ".part.new"

    /// What a look at the folder found.
    struct Listing {
        var parts: [(reader: PartReader, name: PartName)] = []
        var quarantined: [Quarantined] = []
        /// The names of parts that cannot be read, for the gaps they leave.
        var unreadable: [PartName] = []
    }

    /// Writes a part under its name. After this returns it survives a power cut; when it throws, nothing is there but
    /// what was before. It may bear the name of one of those it is written for: then it takes that one's place.
    func write(
        _ writer: PartWriter, replacing replaced: [PartName] = []
    ) throws(StorageError) -> (reader: PartReader, name: PartName) {
        let name = PartName(writer.footer)
        let path = StoragePath.join(folder, name.fileName)
        let temporary = path.dropLast(PartName.suffix.count) + PartFile.temporarySuffix
        do {
            let file = try storage.open(String(temporary), .createOrOpen)
            try file.truncate(to: 0)
            var offset: UInt64 = 0
            try writer.forEachPiece { piece throws(StorageError) in
                try piece.withUnsafeBufferPointer { buffer throws(StorageError) in
                    try file.write(UnsafeRawBufferPointer(buffer), at: offset)
                }
                offset += UInt64(piece.count)
            }
            try file.dataSync()
            // Read back before the log that could still repeat it is cut.
            _ = try PartFile.verified(file)
            try storage.rename(String(temporary), to: path)
        } catch {
            try? storage.remove(String(temporary))
            throw error
        }
        do {
            try storage.syncFolder(folder)
            return (try PartFile.verified(try storage.open(path, .read)), name)
        } catch {
            // The lines stay in the head and go into a later part that covers the positions of this one; should this
            // file outlive its removal, the next start finds it covered and drops it.
            if !replaced.contains(name) { try? storage.remove(path) }
            throw error
        }
    }

    private static func verified(_ file: any FileHandle) throws(StorageError) -> PartReader {
        do {
            return try PartReader(file)
        } catch let error as StorageError {
            throw error
        } catch {
            throw StorageError(.inputOutput, operation: "verify", path: file.path, detail: "\(error)")
        }
    }

    /// Removes a part for good.
    func remove(_ part: OpenPart) throws(StorageError) {
        do {
            try storage.remove(part.reader.path)
        } catch  where error.kind == .notFound {
            // Somebody else removed it; the answer is the same.
        }
        try storage.syncFolder(folder)
    }

    /// Opens every part of the folder. One that cannot be read is renamed and reported, and stops nothing.
    func openAll() throws(StorageError) -> Listing {
        try storage.makeFolder(folder)
        var listing = Listing()
        for entry in try storage.list(folder) where !entry.isFolder {
            let path = StoragePath.join(folder, entry.name)
            if entry.name.hasSuffix(PartFile.temporarySuffix) {
                // A crash came before the rename: the log still has its lines.
                try storage.remove(path)
            } else if entry.name.hasSuffix(PartName.damagedSuffix) {
                listing.quarantined.append(PartFile.quarantined(path, "set aside by an earlier start"))
                if let name = PartName(entry.name) { listing.unreadable.append(name) }
            } else if entry.name.hasSuffix(PartName.suffix) {
                try open(path, entry.name, into: &listing)
            }
        }
        try dropCovered(&listing)
        // A process that died between rename and sync left a name that a power cut could still take back; the log must
        // not be cut behind such a part.
        try storage.syncFolder(folder)
        return listing
    }

    /// Removes parts whose log positions another part covers: what is left of a write that failed at its last step and
    /// was repeated later. Both hold the same lines of those positions.
    private func dropCovered(_ listing: inout Listing) throws(StorageError) {
        listing.parts.sort { left, right in
            let (a, b) = (left.name, right.name)
            return a.firstPosition == b.firstPosition
                ? a.lastPosition > b.lastPosition : a.firstPosition < b.firstPosition
        }
        var kept: [(reader: PartReader, name: PartName)] = []
        for part in listing.parts {
            if let last = kept.last, last.name.lastPosition >= part.name.lastPosition {
                try storage.remove(part.reader.path)
            } else {
                kept.append(part)
            }
        }
        listing.parts = kept
    }

    private func open(_ path: String, _ fileName: String, into listing: inout Listing) throws(StorageError) {
        do {
            let reader = try PartReader(try storage.open(path, .read))
            if let blemish = reader.blemish { listing.quarantined.append(PartFile.blemished(path, blemish)) }
            listing.parts.append((reader, PartName(reader.footer)))
        } catch let error as FormatError where error.isNewer {
            throw StorageError(
                .other, operation: "open", path: path,
                detail: "\(error); nothing was changed, start the program that wrote it")
        } catch {
            if let name = PartName(fileName) { listing.unreadable.append(name) }
            let aside = String(path.dropLast(PartName.suffix.count)) + PartName.damagedSuffix
            // A device that refuses to read may read again after it was looked at: only damage is set aside.
            if error is FormatError {
                try storage.rename(path, to: aside)
                try storage.syncFolder(folder)
                listing.quarantined.append(PartFile.quarantined(aside, "\(error)"))
            } else {
                listing.quarantined.append(PartFile.quarantined(path, "\(error)"))
            }
        }
    }

    private static func quarantined(_ path: String, _ reason: String) -> Quarantined {
        Quarantined(
            path: path,
            reason:
                "the part cannot be read (\(reason)); its lines are missing from answers, everything else is served; "
                + "restore it from a snapshot or keep it for inspection")
    }

    static func blemished(_ path: String, _ blemish: String) -> Quarantined {
        Quarantined(
            path: path, reason: "\(blemish); no line is missing, but the device that holds the file should be checked")
    }
}
