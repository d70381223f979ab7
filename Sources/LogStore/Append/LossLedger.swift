internal import Telemetry

/// The losses that are known: lines that existed and will not come. Each answer that touches one says so.
struct LossLedger: Sendable {
    /// Beyond this many, losses of one stream and reason are merged into their span.
    static let entriesMaximum = 20_000

    private(set) var entries: Set<LogLoss> = []
    /// What came since the last part was begun.
    private var unsealed: [LogLoss] = []
    /// The lines of all losses that were ever taken by this process.
    private(set) var linesTotal = 0

    /// Keeps a loss; false when it is known.
    mutating func insert(_ loss: LogLoss) -> Bool {
        guard entries.insert(loss).inserted else { return false }
        unsealed.append(loss)
        linesTotal += loss.lines
        mergeIfMany()
        return true
    }

    /// Takes over what a part says.
    mutating func restore(_ losses: [LogLoss]) {
        entries.formUnion(losses)
        mergeIfMany()
    }

    /// Hands out what came since the last call.
    mutating func takeUnsealed() -> [LogLoss] {
        defer { unsealed = [] }
        return unsealed
    }

    /// Takes back what a part was to say that could not be written.
    mutating func returnUnsealed(_ losses: [LogLoss]) { unsealed = losses + unsealed }

    /// Whether there is something for the next part.
    var hasUnsealed: Bool { !unsealed.isEmpty }

    /// Forgets losses that ended before.
    mutating func forget(olderThan nanoseconds: Int64) {
        entries = entries.filter { $0.range.endNanoseconds >= nanoseconds }
    }

    private mutating func mergeIfMany() {
        guard entries.count > LossLedger.entriesMaximum else { return }
        struct Key: Hashable {
            var labels: Labels
            var reason: String
        }
        var merged: [Key: LogLoss] = [:]
        for loss in entries {
            let key = Key(labels: loss.labels, reason: loss.reason)
            guard var known = merged[key] else {
                merged[key] = loss
                continue
            }
            known.origin = nil
            known.range.startNanoseconds = min(known.range.startNanoseconds, loss.range.startNanoseconds)
            known.range.endNanoseconds = max(known.range.endNanoseconds, loss.range.endNanoseconds)
            known.lines &+= loss.lines
            known.bytes &+= loss.bytes
            merged[key] = known
        }
        entries = Set(merged.values)
    }
}
