internal import Synchronization
internal import Telemetry

/// Reads parts through once, some bytes at a time, so that damage is known before somebody asks for the lines. What a
/// start finds is told within the first rounds; a large store takes longer.
final class PartScrub: Sendable {
    /// What one round reads at most, beyond the one part that it begins with.
    static let bytesPerRound: UInt64 = 64 << 20

    private let checked = Mutex<Set<PartName>>([])

    /// Checks some of `parts` that were not checked yet. `report` is told of each block whose lines cannot be read,
    /// `note` of damage that costs no line: of a copy of the footer, or of what stands beside lines.
    func round(
        _ parts: [OpenPart], isCancelled: () -> Bool = { false }, report: (OpenPart, BlockSummary, any Error) -> Void,
        note: (OpenPart, String) -> Void = { _, _ in }
    ) {
        let known = checked.withLock { checked in
            checked.formIntersection(parts.map(\.name))
            return checked
        }
        var bytes: UInt64 = 0
        for part in parts where !known.contains(part.name) {
            for (place, error) in part.reader.copiesDamage() {
                note(part, "the footer named at its \(place): \(error); the other copy is used")
            }
            for summary in part.reader.footer.blocks {
                if isCancelled() { return }
                do {
                    try StoredBlock(part.reader, summary).checkLines()
                } catch {
                    report(part, summary, error)
                    continue
                }
                for words in StoredBlock(part.reader, summary).damageBesideLines() {
                    note(part, "the block at byte \(summary.offset): \(words)")
                }
            }
            checked.withLock { _ = $0.insert(part.name) }
            bytes += part.reader.fileBytes
            if bytes >= PartScrub.bytesPerRound { return }
        }
    }
}
