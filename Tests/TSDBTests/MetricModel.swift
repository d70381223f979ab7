import Telemetry

@testable import TSDB

/// What the database should hold, kept in the plainest way: a dictionary, and for what a failure left open, both
/// answers.
struct MetricModel {
    /// What may be read for one series at one time.
    struct Cell {
        /// Acknowledged, or seen after a restart: must be there.
        var certain: UInt64?
        /// Sent without an answer: may be there, from the first of them that is.
        var possible: Set<UInt64> = []
        /// Taken although an earlier sample in a block hides it; shows when retention drops that block before its own.
        var hidden: Set<UInt64> = []
        /// Deleted or out of retention by something that did not finish, or drops whole blocks only.
        var mayBeGone = false
    }

    private(set) var cells: [Labels: [Int64: Cell]] = [:]

    /// How a batch came to be answered.
    enum Moment {
        case afterStart
        /// While the log was read back: an answer knows nothing of the samples before.
        case starting
        /// The same, and it had been sent before: its samples may have been deleted since.
        case startingAgain
    }

    /// Takes in a batch that was answered; throws when the answer cannot be right.
    mutating func accept(_ batch: SampleBatch, _ receipt: AppendReceipt, _ moment: Moment = .afterStart) throws {
        if receipt.isDuplicate { return }
        var refused: [Labels: Set<Int64>] = [:]
        // Of several refused samples of a series only the first is named.
        var unclear: Set<Labels> = []
        for rejection in receipt.rejections {
            guard rejection.reason == .duplicate || rejection.reason == .tooOld else {
                throw HarnessError("rejection \(rejection) was not expected")
            }
            let isUnknown = cells[rejection.labels]?[rejection.milliseconds] == nil
            if rejection.reason == .duplicate, isUnknown, !Self.isRepeated(rejection, in: batch) {
                throw HarnessError("a first sample was called a duplicate: \(rejection)")
            }
            refused[rejection.labels, default: []].insert(rejection.milliseconds)
            if rejection.count > 1 { unclear.insert(rejection.labels) }
        }
        var unheard: String?
        Self.forEachSample(of: batch) { labels, time, bits in
            var cell = cells[labels]?[time] ?? Cell()
            let isRefused = unclear.contains(labels) || refused[labels]?.contains(time) == true
            if moment == .startingAgain, cells[labels]?[time] == nil {
                cell.possible.insert(bits)
            } else if let certain = cell.certain {
                if certain != bits, moment == .afterStart, !cell.mayBeGone, !isRefused {
                    unheard = "\(labels) at \(time)"
                }
                cell.hidden.insert(bits)
            } else if isRefused {
                cell.possible.insert(bits)
            } else {
                cell.certain = bits
            }
            cells[labels, default: [:]][time] = cell
        }
        if let unheard { throw HarnessError("a different sample was taken without a word: \(unheard)") }
    }

    /// Whether a batch has a series twice at one time.
    private static func isRepeated(_ rejection: SampleRejection, in batch: SampleBatch) -> Bool {
        var count = 0
        forEachSample(of: batch) { labels, time, _ in
            if labels == rejection.labels, time == rejection.milliseconds { count += 1 }
        }
        return count > 1
    }

    /// Takes in a batch whose fate nobody knows.
    mutating func doubt(_ batch: SampleBatch) {
        Self.forEachSample(of: batch) { labels, time, bits in
            cells[labels, default: [:]][time, default: Cell()].possible.insert(bits)
        }
    }

    /// Deletes for good.
    mutating func delete(_ isDeleted: (Labels, Int64) -> Bool) {
        for (labels, times) in cells { cells[labels] = times.filter { !isDeleted(labels, $0.key) } }
    }

    /// Deletes, or perhaps not.
    mutating func mayDelete(_ isDeleted: (Labels, Int64) -> Bool) {
        for (labels, times) in cells {
            for time in times.keys where isDeleted(labels, time) { cells[labels]?[time]?.mayBeGone = true }
        }
    }

    /// Compares with what was read; throws at the first difference.
    func check(_ found: [Labels: [Int64: UInt64]]) throws {
        for (labels, times) in cells {
            for (time, cell) in times {
                let bits = found[labels]?[time]
                if let certain = cell.certain {
                    if bits == certain || (bits == nil && cell.mayBeGone) { continue }
                    if let bits, cell.possible.contains(bits) { continue }
                    if let bits, cell.mayBeGone, cell.hidden.contains(bits) { continue }
                    let words = bits.map { "found \($0)" } ?? "found nothing"
                    throw HarnessError("\(labels) at \(time): \(certain) was acknowledged, \(words)")
                }
                guard bits.map({ cell.possible.contains($0) }) ?? true else {
                    throw HarnessError("\(labels) at \(time): a value that was never sent")
                }
            }
        }
        for (labels, times) in found {
            for time in times.keys where cells[labels]?[time] == nil {
                throw HarnessError("\(labels) at \(time): nothing was sent, or it was deleted")
            }
        }
    }

    /// After a restart what is there stays there, and what is not will not come.
    mutating func settle(_ found: [Labels: [Int64: UInt64]]) {
        for (labels, times) in cells {
            for (time, cell) in times {
                guard let bits = found[labels]?[time] else {
                    // What retention or a deletion left half done may still go, never come back.
                    cells[labels]?[time] = nil
                    continue
                }
                cells[labels]?[time] = Cell(
                    certain: bits, possible: [], hidden: cell.hidden, mayBeGone: cell.mayBeGone)
            }
        }
    }

    private static func forEachSample(of batch: SampleBatch, _ body: (Labels, Int64, UInt64) -> Void) {
        for group in batch.groups {
            for index in group.values.indices {
                let labels = group.series[Int(group.seriesIndexes[index])].labels
                body(labels, group.timesMilliseconds[index], group.values[index].bitPattern)
            }
        }
    }
}
