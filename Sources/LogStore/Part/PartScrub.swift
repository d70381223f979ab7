internal import Synchronization
internal import Telemetry

/// Reads parts through once, some bytes at a time, so that damage is known before somebody asks for the lines. What a
/// start finds is told within the first rounds; a large store takes longer.
final class PartScrub: Sendable {
    /// What one round reads at most, beyond the one part that it begins with.
    static let bytesPerRound: UInt64 = 64 << 20

    private let checked = Mutex<Set<PartName>>([])

    /// Checks some of `parts` that were not checked yet. `report` is told of each block whose lines cannot be read.
    func round(
        _ parts: [OpenPart], isCancelled: () -> Bool = { false }, report: (OpenPart, BlockSummary, any Error) -> Void
    ) {
        let known = checked.withLock { checked in
            checked.formIntersection(parts.map(\.name))
            return checked
        }
        var bytes: UInt64 = 0
        for part in parts where !known.contains(part.name) {
            for summary in part.reader.footer.blocks {
                if isCancelled() { return }
                do {
                    try StoredBlock(part.reader, summary).checkLines()
                } catch {
                    report(part, summary, error)
                }
            }
            checked.withLock { _ = $0.insert(part.name) }
            bytes += part.reader.fileBytes
            if bytes >= PartScrub.bytesPerRound { return }
        }
    }
}
