internal import Synchronization
internal import Telemetry

/// Keeping to the limit of bytes on disk, fairly: whoever takes most of it, and more than its share, loses its own
/// oldest lines before anybody else loses any.
extension LogDatabase {
    /// What is to go next.
    enum Surplus {
        /// A part, whole: it is the oldest.
        case part(OpenPart)
        /// The lines of one source in a part.
        case lines(of: LineSource, in: OpenPart)
    }

    /// The most steps of one round; the next one goes on.
    private static let stepsMaximum = 16

    /// Removes lines until the rest is within the limit of bytes. Blocks; not called with `sealing` held.
    func enforceSize() {
        guard options.retentionBytes > 0 else { return }
        do {
            for _ in 0..<LogDatabase.stepsMaximum {
                let (parts, deletions) = state.withLock { ($0.parts, $0.deletions) }
                guard !isClosing, let surplus = LogDatabase.surplus(parts, options: options) else { break }
                switch surplus {
                case .part(let part):
                    try sealing.withLock { _ in
                        guard state.withLock({ $0.parts.contains { $0.name == part.name } }) else { return }
                        _ = try expire([part])
                    }
                case .lines(let source, let part): try replace([part], deletions, withoutLinesOf: source)
                }
            }
            state.withLock { $0.forgetEmptyStreams() }
        } catch is MergeCancelled {
            // The next start goes on.
        } catch {
            // Counted, and tried again in the next round.
            state.withLock { $0.counters.mergeFailures += 1 }
        }
    }

    /// What is to go of `parts`, which are in log order; nil when they are within the limit. The newest part knows the
    /// deliveries and stays.
    static func surplus(_ parts: [OpenPart], options: LogStoreOptions) -> Surplus? {
        let bytes = parts.reduce(0) { $0 + Int(clamping: $1.reader.fileBytes) }
        guard bytes > options.retentionBytes else { return nil }
        let byAge = parts.dropLast().sorted { $0.reader.span.upperBound < $1.reader.span.upperBound }
        guard let oldest = byAge.first else { return nil }
        let share = Double(options.retentionBytes) * options.sourceShareMaximum
        let sources = bytesBySource(parts)
        guard sources.count > 1, options.sourceShareMaximum < 1,
            let most = sources.max(by: { ($0.value, "\($1.key)") < ($1.value, "\($0.key)") }),
            Double(most.value) > share,
            let part = byAge.first(where: { !$0.isKept && $0.holds(most.key) })
        else { return .part(oldest) }
        return .lines(of: most.key, in: part)
    }

    /// What the blocks of each source take on disk.
    private static func bytesBySource(_ parts: [OpenPart]) -> [LineSource: Int] {
        var bytes: [LineSource: Int] = [:]
        for part in parts {
            for (stream, labels) in part.reader.footer.streams.enumerated() {
                let blocks = part.reader.footer.blocks[part.reader.blockRanges[stream]]
                if blocks.isEmpty { continue }
                bytes[LineSource(labels), default: 0] += blocks.reduce(0) { $0 + $1.storedBytes + $1.filterBytes }
            }
        }
        return bytes
    }
}

extension OpenPart {
    /// Whether some block is of a source.
    fileprivate func holds(_ source: LineSource) -> Bool {
        reader.footer.streams.indices.contains { stream in
            !reader.blockRanges[stream].isEmpty && LineSource(reader.footer.streams[stream]) == source
        }
    }
}
