internal import Telemetry

/// The samples of one series from all places that have some, in time order, each time once.
///
/// Places are opened only when the merge has come to their times, so what is held in memory is what overlaps.
final class MergingCursor: SeriesCursor {
    /// An opened place and how far it was read.
    private struct OpenRun {
        var run: SampleRun
        var priority: UInt64
        var next = 0

        var nextTime: Int64 { run.timesMilliseconds[next] }
        var isAtEnd: Bool { next >= run.count }
    }

    let labels: Labels
    private let reading: SeriesReading
    /// The only place, as long as it was not read; nil where there are, or were, others.
    private var only: SeriesSegment?
    /// Several places of which none was read yet.
    private var unread: [SeriesSegment] = []
    /// Ordered by their first possible time, from the last to the first.
    private var waiting: [SeriesSegment] = []
    private var opened: [OpenRun] = []
    private var reservedBytes = 0

    private var range: TimeRange { reading.range }
    private var context: QueryContext { reading.context }

    /// A cursor over places in any order.
    init(_ labels: Labels, _ segments: Selection.Segments, _ reading: SeriesReading) {
        self.labels = labels
        self.reading = reading
        switch segments {
        case .one(let segment): only = segment
        case .many(let segments): unread = segments
        }
    }

    /// Samples that are joined at once, at most.
    private static let joinedMaximum = 16 << 10

    /// Reads places that come behind each other as one; false, and nothing read, where they do not or there is more to
    /// them than numbers.
    private func join(into buffer: inout SampleBuffer) throws -> Bool {
        guard reading.need == nil else { return false }
        var columns: [FoundColumn] = []
        columns.reserveCapacity(unread.count)
        var (count, end) = (0, Int64.min)
        for segment in unread {
            guard segment.times.startMilliseconds > end || columns.isEmpty else { return false }
            end = segment.times.endMilliseconds
            switch try segment.find(for: reading) {
            case .column(let column):
                columns.append(column)
                count += column.count
            case .nothing: break
            case .mixed: return false
            }
            if count > Self.joinedMaximum { return false }
        }
        guard !columns.isEmpty else { return false }
        try buffer.withValues(count: count) { values in
            var place = values
            for column in columns {
                try column.read(into: place)
                place += column.count
            }
        }
        buffer.timesMilliseconds = reading.times(of: columns)
        return true
    }

    /// Puts the places in order for a merge.
    private func order() {
        waiting = unread.reversed()
        unread = []
        // Blocks came in the order of time, but for what was late.
        let isOrdered = waiting.indices.dropFirst().allSatisfy { !waiting[$0 - 1].begins(before: waiting[$0]) }
        if !isOrdered { waiting.sort { $1.begins(before: $0) } }
    }

    deinit {
        if reservedBytes > 0 { context.release(reservedBytes) }
    }

    func next(into buffer: inout SampleBuffer) throws -> Bool {
        // Values are written over where they come straight from a strip.
        buffer.removeAllButValues()
        if let segment = only {
            try context.check()
            only = nil
            if try settle(segment, into: &buffer) { return true }
        }
        if !unread.isEmpty {
            try context.check()
            // Damage is told by whoever reads place by place.
            if (try? join(into: &buffer)) == true {
                unread = []
                return true
            }
            buffer.removeAllButValues()
            order()
        }
        guard try merge(into: &buffer) else {
            buffer.removeAll()
            return false
        }
        return true
    }

    /// The next chunk of several places.
    private func merge(into buffer: inout SampleBuffer) throws -> Bool {
        while true {
            let frontier = waiting.last?.times.startMilliseconds ?? .max
            let isLast = waiting.isEmpty
            if opened.contains(where: { isLast || $0.nextTime < frontier }) {
                buffer.removeAll()
                emit(before: isLast ? nil : frontier, into: &buffer)
                dropFinished()
                return true
            }
            guard let segment = waiting.popLast() else { return false }
            try context.check()
            if opened.isEmpty, isAlone(segment) {
                if try settle(segment, into: &buffer) { return true }
            } else {
                try open(segment)
            }
        }
    }

    /// Reads a place that no other reaches into: its header where that is enough, or its samples straight into the
    /// buffer. False where it has none, or had to be opened.
    private func settle(_ segment: SeriesSegment, into buffer: inout SampleBuffer) throws -> Bool {
        if let need = reading.need, let aggregate = try segment.aggregate(range, for: need) {
            buffer.removeAll()
            buffer.aggregate = aggregate
            return true
        }
        switch try segment.read(into: &buffer, labels: labels, for: reading) {
        case .filled: return true
        case .nothing: return false
        case .mixed:
            try open(segment)
            return false
        }
    }

    /// Whether no later place reaches into the segment's times.
    private func isAlone(_ segment: SeriesSegment) -> Bool {
        waiting.last.map { $0.times.startMilliseconds > segment.times.endMilliseconds } ?? true
    }

    private func open(_ segment: SeriesSegment) throws {
        for run in try segment.open(range, labels: labels, in: context) {
            reservedBytes += run.memoryBytes
            try context.reserve(run.memoryBytes)
            opened.append(OpenRun(run: run, priority: segment.priority))
        }
    }

    private func dropFinished() {
        for run in opened where run.isAtEnd {
            reservedBytes -= run.run.memoryBytes
            context.release(run.run.memoryBytes)
        }
        opened.removeAll { $0.isAtEnd }
    }

    /// Moves what lies before `limit` into the buffer; everything when nil. Stops where floats turn into histograms.
    private func emit(before limit: Int64?, into buffer: inout SampleBuffer) {
        if opened.count == 1 {
            let run = opened[0].run
            let start = opened[0].next
            let end =
                limit.map { limit in run.timesMilliseconds.firstIndexRising(from: start) { $0 >= limit } } ?? run.count
            buffer.append(run, start..<end)
            opened[0].next = end
            return
        }
        while let index = nextRun(before: limit) {
            let run = opened[index]
            let isHistogram = run.run.isHistogram
            if isHistogram ? !buffer.values.isEmpty : !buffer.histograms.isEmpty { return }
            buffer.append(run.run, run.next..<run.next + 1)
            let time = run.nextTime
            // The others at this time came later and say nothing new.
            for other in opened.indices where !opened[other].isAtEnd && opened[other].nextTime == time {
                opened[other].next += 1
            }
        }
    }

    /// The run with the earliest sample before `limit`; of several at one time the one that came first.
    private func nextRun(before limit: Int64?) -> Int? {
        var best: Int?
        for index in opened.indices where !opened[index].isAtEnd {
            let time = opened[index].nextTime
            if let limit, time >= limit { continue }
            guard let current = best else {
                best = index
                continue
            }
            let key = (opened[current].nextTime, opened[current].priority)
            if (time, opened[index].priority) < key { best = index }
        }
        return best
    }
}

extension SampleBuffer {
    /// Adds some samples of a run.
    fileprivate mutating func append(_ run: SampleRun, _ indexes: Range<Int>) {
        if !run.starts.isEmpty, startTimesMilliseconds.isEmpty {
            startTimesMilliseconds = [Int64](repeating: 0, count: timesMilliseconds.count)
        }
        timesMilliseconds.append(contentsOf: run.timesMilliseconds[indexes])
        if run.isHistogram {
            histograms.append(contentsOf: run.histograms[indexes])
        } else {
            run.bits.withUnsafeBufferPointer { bits in
                // A bit pattern and its double are the same bytes.
                UnsafeBufferPointer(rebasing: bits[indexes]).withMemoryRebound(to: Double.self) {
                    values.append(contentsOf: $0)
                }
            }
        }
        if !run.starts.isEmpty {
            startTimesMilliseconds.append(contentsOf: run.starts[indexes])
        } else if !startTimesMilliseconds.isEmpty {
            startTimesMilliseconds.append(contentsOf: repeatElement(0, count: indexes.count))
        }
    }
}

extension [Int64] {
    /// The first index from `start` on whose element satisfies a condition that holds from some element on.
    func firstIndexRising(from start: Int, _ holds: (Int64) -> Bool) -> Int {
        var low = start
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if holds(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
