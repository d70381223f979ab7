internal import Disk

/// Writes evidence into the data folder. A file is durable before its hash is recorded, and the hash before the
/// command.
struct EvidenceStore: Sendable {
    static let folderName = "evidence"

    let storage: any FileStorage
    /// The alerting room's folder.
    let folder: String

    /// Writes the evidence of an action; returns its path relative to the folder.
    func write(_ bytes: [UInt8], of action: String) throws(StorageError) -> String {
        let relative = StoragePath.join(EvidenceStore.folderName, "\(action).json")
        try storage.makeFolder(StoragePath.join(folder, EvidenceStore.folderName))
        try AtomicFile.write(bytes, to: StoragePath.join(folder, relative), in: storage)
        return relative
    }
}
