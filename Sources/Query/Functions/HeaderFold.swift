internal import Telemetry

/// A window that covers whole chunks, folded from what their headers know; nothing of those is decoded.
///
/// A store hands headers out only to queries that evaluate one window, and only where a chunk lies wholly in it.
struct HeaderFold {
    /// All pieces of the window so far, in the order of time.
    private var total: ChunkAggregate?
    private var sum = KahanSum()
    /// Whether any piece was a header: without one the samples themselves are there.
    private(set) var hasHeaders = false
    /// How many samples of the run are folded already.
    private var folded = 0

    mutating func add(_ header: ChunkAggregate, behind run: SampleRun) {
        addSamples(of: run)
        hasHeaders = true
        if header.count > 0 { merge(header) }
    }

    /// The whole window; nil where it holds no number.
    mutating func finished(_ run: SampleRun) -> ChunkAggregate? {
        addSamples(of: run)
        guard var whole = total else { return nil }
        whole.sum = sum.value
        return whole
    }

    /// Folds the samples that came between headers.
    private mutating func addSamples(of run: SampleRun) {
        let times = run.times
        for index in folded..<times.count {
            let sample = Sample(milliseconds: times[index], value: run.values[index])
            merge(
                ChunkAggregate(
                    count: 1, sum: sample.value, minimum: sample.value, maximum: sample.value, first: sample,
                    last: sample, resets: 0, increase: 0))
        }
        folded = times.count
    }

    private mutating func merge(_ next: ChunkAggregate) {
        sum.add(next.sum)
        guard var whole = total else {
            total = next
            return
        }
        whole.count += next.count
        if next.minimum < whole.minimum || whole.minimum.isNaN { whole.minimum = next.minimum }
        if next.maximum > whole.maximum || whole.maximum.isNaN { whole.maximum = next.maximum }
        // From piece to piece a counter rises, or it was reset and begins again at zero.
        let isReset = next.first.value < whole.last.value
        whole.resets += next.resets + (isReset ? 1 : 0)
        whole.increase += next.increase + next.first.value - (isReset ? 0 : whole.last.value)
        whole.last = next.last
        total = whole
    }
}

extension Evaluator {
    /// Reads a series whose only window may be answered from chunk headers; nil where its samples must be read instead.
    func fold(from cursor: any SeriesCursor, _ workspace: Workspace) throws -> HeaderFold? {
        let run = workspace.run
        run.removeAll()
        var fold = HeaderFold()
        var detection = ResetDetection()
        while try cursor.next(into: &workspace.buffer) {
            countDecoded(workspace.buffer)
            if detectsResets { detection.apply(to: &workspace.buffer) }
            if let header = workspace.buffer.aggregate {
                fold.add(header, behind: run)
            } else {
                run.append(&workspace.buffer)
                try workspace.reserve(run.bytes, in: context)
            }
        }
        return fold.hasHeaders && !run.histograms.isEmpty ? nil : fold
    }
}
