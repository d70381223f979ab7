internal import Telemetry

@testable internal import LogStore

/// What a log store should hold, kept the simplest way there is: arrays, and a look at every line for every question.
struct StoreModel {
    /// One stored line.
    struct Entry: Equatable {
        var nanoseconds: Int64
        var line: [UInt8]
        var metadata: Labels
    }

    /// Something that was asked for and not answered: it may have happened or not, as a whole.
    enum Open {
        case batch(LogBatch, nowNanoseconds: Int64)
        case deletion([LabelMatcher], TimeRange)
    }

    private var streams: [Labels: [Entry]] = [:]
    private var bytesOfOrigins: [LogOrigin: Set<UInt64>] = [:]
    private(set) var sequences: [DeliveryIdentity.Sender: UInt64] = [:]
    private var pushed: Set<Push> = []
    private(set) var losses: Set<LogLoss> = []
    /// Older lines are neither taken nor shown.
    private var oldestNanoseconds = Int64.min

    private struct Push: Hashable {
        var labels: Labels
        var nanoseconds: Int64
        var line: [UInt8]
    }

    /// What the receipt of an append must say.
    struct Receipt: Equatable {
        var accepted = 0
        var duplicates = 0
        var rejected = 0
        var isDuplicate = false
    }

    /// The number of lines.
    var count: Int { streams.values.reduce(0) { $0 + $1.count } }

    /// Stores a batch that comes at `now`.
    mutating func apply(_ batch: LogBatch, nowNanoseconds now: Int64) -> Receipt {
        var receipt = Receipt()
        if let delivery = batch.delivery {
            if sequences[delivery.sender, default: 0] >= delivery.sequence {
                return Receipt(duplicates: batch.lineCount, isDuplicate: true)
            }
            sequences[delivery.sender] = delivery.sequence
        }
        losses.formUnion(batch.losses)
        for lines in batch.streams {
            for index in 0..<lines.count {
                let time = lines.timesNanoseconds[index]
                if time > now + 600_000_000_000 || time < oldestNanoseconds {
                    receipt.rejected += 1
                } else if isNew(lines, index) {
                    let metadata = lines.metadata.first { $0.lineIndex == index }?.labels ?? .empty
                    let entry = Entry(nanoseconds: time, line: Array(lines.line(index)), metadata: metadata)
                    streams[lines.labels, default: []].append(entry)
                    receipt.accepted += 1
                } else {
                    receipt.duplicates += 1
                }
            }
        }
        return receipt
    }

    private mutating func isNew(_ lines: LogLines, _ index: Int) -> Bool {
        guard let origin = lines.origin else {
            let time = lines.timesNanoseconds[index]
            return pushed.insert(Push(labels: lines.labels, nanoseconds: time, line: Array(lines.line(index)))).inserted
        }
        let bytes = lines.offsetStarts[index]..<lines.offsetEnds[index]
        if bytes.allSatisfy({ bytesOfOrigins[origin, default: []].contains($0) }) { return false }
        bytesOfOrigins[origin, default: []].formUnion(bytes)
        return true
    }

    /// Forgets lines, as the store's `delete` does.
    mutating func delete(_ matchers: [LabelMatcher], _ range: TimeRange) {
        for labels in streams.keys where matchers.allSatisfy({ $0.matches(labels) }) {
            streams[labels]?.removeAll { range.contains(StoreModel.floorMilliseconds($0.nanoseconds)) }
        }
    }

    private static func floorMilliseconds(_ nanoseconds: Int64) -> Int64 {
        let quotient = nanoseconds / 1_000_000
        return nanoseconds % 1_000_000 < 0 ? quotient - 1 : quotient
    }

    /// Lets what is older expire.
    mutating func expire(olderThan nanoseconds: Int64) {
        oldestNanoseconds = nanoseconds
        for labels in streams.keys { streams[labels]?.removeAll { $0.nanoseconds < nanoseconds } }
        losses = losses.filter { max($0.range.startNanoseconds, $0.range.endNanoseconds - 1) >= nanoseconds }
    }

    mutating func apply(_ open: Open) {
        switch open {
        case .batch(let batch, let now): _ = apply(batch, nowNanoseconds: now)
        case .deletion(let matchers, let range): delete(matchers, range)
        }
    }

    /// The answer to a request.
    func lines(_ request: LogRequest) -> [AnsweredLine] {
        var found: [AnsweredLine] = []
        for labels in streams.keys.sorted() where request.matchers.allSatisfy({ $0.matches(labels) }) {
            for entry in streams[labels] ?? [] where request.range.contains(entry.nanoseconds) {
                guard LineOracle.passes(entry.line, request.fragment.linePredicates) else { continue }
                found.append(
                    AnsweredLine(
                        labels: labels, nanoseconds: entry.nanoseconds, line: entry.line, metadata: entry.metadata))
            }
        }
        // A stable order by time: streams by their labels, lines of one stream as they came.
        let order = found.indices.sorted {
            (found[$0].nanoseconds, $0) < (found[$1].nanoseconds, $1)
        }
        let forward = order.map { found[$0] }
        return request.direction == .forward ? forward : forward.reversed()
    }
}
