internal import Telemetry

/// Merges runs of many streams into one walk through time. Runs are opened only when the walk reaches them, in either
/// direction, so a query that stops early reads little.
///
/// Lines come in the order of (time, labels, arrival); backward is exactly the reverse of forward.
final class MergeCursor: LogCursor {
    /// A run that was not reached yet.
    struct Pending {
        let run: LineRun
        let rank: Int
    }

    /// What one call of `next` hands out at most.
    static let linesMaximum = 1024
    static let bytesMaximum = 256 << 10
    /// What the windows of all runs that overlap may hold together.
    static let windowsBytes = 256 << 20
    static let windowBytesMinimum = 64 << 10

    private let plan: MergePlan
    private let linesWanted: Int
    private var output: LineOutput
    private let pending: [Pending]
    /// Where the walk meets each of them, in the order in which it does, from `reached` on. Runs are large; numbers are
    /// what is sorted.
    private let entries: [(time: Int64, index: Int)]
    private var reached = 0
    /// A binary heap; the run with the next line is first.
    private var heap: [RunCursor] = []
    private var isTopSettled = true

    /// A cursor over `pending`, in any order.
    init(_ pending: [Pending], labels: [Int: Labels], plan: MergePlan, limit: Int) {
        self.plan = plan
        linesWanted = limit > 0 ? min(limit, MergeCursor.linesMaximum) : MergeCursor.linesMaximum
        output = LineOutput(labels: labels)
        let isForward = plan.isForward
        self.pending = pending
        entries = pending.indices.map { index in
            let run = pending[index].run
            return (isForward ? run.firstNanoseconds : run.lastNanoseconds, index)
        }.sorted { left, right in
            if left.time == right.time { return left.index < right.index }
            return isForward ? left.time < right.time : left.time > right.time
        }
    }

    func next(into buffer: inout LogLineBuffer) throws -> Bool {
        output.begin(&buffer)
        while buffer.count < linesWanted, buffer.bytes.count < MergeCursor.bytesMaximum {
            try plan.context.check()
            try settleTop()
            try openReached()
            guard let top = heap.first else { break }
            emit(top, to: &buffer)
            isTopSettled = false
        }
        return buffer.count > 0
    }

    /// Puts the run that lines were handed out of where it belongs now. Done when the walk goes on, not before: it may
    /// have to read the run again.
    private func settleTop() throws {
        guard !isTopSettled, let top = heap.first else { return }
        isTopSettled = true
        if try top.prepare() {
            siftDown()
        } else {
            removeTop()
        }
    }

    /// Hands out lines of the first run up to the next line of any other.
    private func emit(_ top: RunCursor, to buffer: inout LogLineBuffer) {
        let isForward = plan.isForward
        let bound = reached < entries.count ? entries[reached].time : nil
        let rival = secondBest()
        let rivalTime = rival?.nextNanoseconds
        let winsTies = rival.map { comesFirst(top, $0, atSameTime: true) } ?? true
        top.emit(to: &output, buffer: &buffer, maximum: linesWanted - buffer.count) { time in
            // A run that begins at this very time must be opened before the line can go out.
            if let bound, isForward ? time >= bound : time <= bound { return false }
            guard let rivalTime else { return true }
            if time == rivalTime { return winsTies }
            return isForward ? time < rivalTime : time > rivalTime
        }
    }

    /// Opens the runs that may hold the next line.
    private func openReached() throws {
        while reached < entries.count {
            let bound = entries[reached].time
            if let top = heap.first {
                let time = top.nextNanoseconds
                if plan.isForward ? bound > time : bound < time { return }
            }
            let candidate = pending[entries[reached].index]
            reached += 1
            try plan.context.check()
            let cursor = RunCursor(candidate.run, rank: candidate.rank, plan: plan)
            if try cursor.prepare() { push(cursor) }
        }
    }

    // MARK: The heap

    private func comesFirst(_ left: RunCursor, _ right: RunCursor, atSameTime: Bool = false) -> Bool {
        if !atSameTime, left.nextNanoseconds != right.nextNanoseconds {
            return plan.isForward == (left.nextNanoseconds < right.nextNanoseconds)
        }
        let isBefore = left.rank == right.rank ? left.run.order < right.run.order : left.rank < right.rank
        return plan.isForward == isBefore
    }

    private func secondBest() -> RunCursor? {
        guard heap.count > 1 else { return nil }
        return heap.count > 2 && comesFirst(heap[2], heap[1]) ? heap[2] : heap[1]
    }

    private func push(_ cursor: RunCursor) {
        heap.append(cursor)
        var child = heap.count - 1
        while child > 0, comesFirst(heap[child], heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private func removeTop() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        siftDown()
    }

    private func siftDown() {
        var parent = 0
        while 2 * parent + 1 < heap.count {
            var child = 2 * parent + 1
            if child + 1 < heap.count, comesFirst(heap[child + 1], heap[child]) { child += 1 }
            guard comesFirst(heap[child], heap[parent]) else { return }
            heap.swapAt(child, parent)
            parent = child
        }
    }
}

/// How many bytes each of a query's runs may hold so that those which overlap in time hold
/// `MergeCursor.windowsBytes` together. Found out when a run has more lines than the smallest window takes: most
/// searches find few.
final class MergeWindows {
    private let runs: [MergeCursor.Pending]
    private var known: Int?

    /// Windows of these runs.
    init(_ runs: [MergeCursor.Pending]) {
        self.runs = runs
    }

    /// What one run may hold of `wanted` bytes, or more.
    func bytes(for wanted: Int) -> Int {
        if wanted <= MergeCursor.windowBytesMinimum { return MergeCursor.windowBytesMinimum }
        if let known { return known }
        let bytes = MergeWindows.bytes(runs)
        known = bytes
        return bytes
    }

    private static func bytes(_ runs: [MergeCursor.Pending]) -> Int {
        var borders: [(time: Int64, change: Int)] = []
        borders.reserveCapacity(runs.count * 2)
        for pending in runs {
            borders.append((pending.run.firstNanoseconds, 1))
            borders.append((pending.run.lastNanoseconds, -1))
        }
        // At one time, what begins comes before what ends: both are open together.
        borders.sort { $0.time == $1.time ? $0.change > $1.change : $0.time < $1.time }
        var open = 0
        var most = 1
        for border in borders {
            open += border.change
            most = max(most, open)
        }
        return max(MergeCursor.windowBytesMinimum, MergeCursor.windowsBytes / most)
    }
}
