package import Disk

/// `vedette audit verify`: checks the audit log of a data folder against the head that the alerting journal knows.
/// Changes nothing, and may run beside a server.
package enum AuditCheck {
    /// The path of the log below alerting's folder.
    package static let fileName = "audit.log"

    /// Checks the log in alerting's folder. A journal that cannot be read leaves the chain alone to be checked, which
    /// the second value says.
    package static func run(
        folder: String, storage: any FileStorage
    ) throws(StorageError) -> (verdict: AuditVerifier.Verdict, remark: String?) {
        let path = StoragePath.join(folder, fileName)
        // The journal first: what is appended meanwhile is behind the head it knows.
        let state = Result { try AlertingJournal.peek(storage: storage, folder: folder) }
        let bytes = try AtomicFile.read(path, in: storage, maximumBytes: 1 << 30) ?? []
        switch state {
        case .success(let state): return (AuditVerifier.verify(bytes, anchor: state.auditHead), nil)
        case .failure(let error):
            return (
                AuditVerifier.verify(bytes),
                "the alerting journal cannot be read, so records missing at the end would not be noticed: \(error)"
            )
        }
    }
}
