internal import Disk
internal import Synchronization
internal import Telemetry

/// Merges blocks into one: longer chunks, one index, deleted samples left out for good.
struct BlockMerge {
    /// A group of one of the blocks.
    private struct Input {
        let block: Block
        let index: BlockIndex
        let group: BlockGroup
        let deletions: [Deletion]

        /// Whether everything the block may have of a series was deleted.
        func isDeleted(_ ordinal: UInt32) -> Bool {
            let holes = deletions.filter { $0.series.contains(ordinal) }
            guard !holes.isEmpty else { return false }
            let strips = group.strips.filter { $0.ordinals.contains(ordinal) }
            return strips.allSatisfy { strip in holes.contains { $0.range.covers(strip.times) } }
        }
    }

    /// A series and its number in each input that has it.
    private struct MergedSeries {
        let labels: Labels
        var places: [(input: Int, ordinal: UInt32)]
    }

    /// In the order in which their samples came.
    let blocks: [Block]
    let tombstones: [Tombstone]

    /// Blocks of one level that are enough to merge, the lowest level and the oldest samples first; nil when there are
    /// none.
    static func candidate(in view: BlockStore.View, options: MetricDatabaseOptions) -> BlockMerge? {
        guard options.blocksPerMerge > 1 else { return nil }
        let whole = view.blocks.filter { $0.damage.withLock { $0 == nil } }
        for (_, blocks) in Dictionary(grouping: whole, by: \.history.level).sorted(by: { $0.key < $1.key }) {
            guard blocks.count >= options.blocksPerMerge else { continue }
            for start in 0...(blocks.count - options.blocksPerMerge) {
                let run = run(of: blocks[start...], options: options)
                guard run.count == options.blocksPerMerge, keepsOrder(run, in: view.blocks) else { continue }
                return BlockMerge(blocks: run, tombstones: view.tombstones)
            }
        }
        return nil
    }

    /// The first block and as many behind it as are to be merged with it: those that leave the result within a span and
    /// a size. What was filled in for an earlier time is passed over, it has neighbours of its own.
    private static func run(of blocks: ArraySlice<Block>, options: MetricDatabaseOptions) -> [Block] {
        var run: [Block] = []
        var bytes: UInt64 = 0
        for block in blocks where run.count < options.blocksPerMerge {
            let times = run.reduce(block.times) { $0.joined($1.times) }
            // What is wide already need not become narrower.
            let widest = run.reduce(block.times.width) { max($0, $1.times.width) }
            guard times.width <= max(widest, UInt64(options.mergedMilliseconds)),
                bytes + block.reader.byteCount <= options.mergedBytes
            else { continue }
            run.append(block)
            bytes += block.reader.byteCount
        }
        return run
    }

    /// Whether merging leaves everything as it reads: no other block with samples between the first and the last of
    /// these has times that one of them has.
    private static func keepsOrder(_ run: [Block], in all: [Block]) -> Bool {
        guard let first = run.first, let last = run.last else { return false }
        return all.allSatisfy { other in
            guard first.precedes(other), other.precedes(last) else { return true }
            return run.contains { $0 === other } || !run.contains { $0.times.overlaps(other.times) }
        }
    }

    /// Whether nothing is left of the blocks.
    func isEmpty() throws -> Bool {
        for block in blocks {
            let index = try block.reader.index()
            let deletions = try block.deletions(tombstones, in: index)
            for group in index.groups {
                let input = Input(block: block, index: index, group: group, deletions: deletions)
                if group.ordinals.contains(where: { !input.isDeleted($0) }) { return false }
            }
        }
        return true
    }

    /// Writes the merged block. Damage in an input throws: nothing may be lost on the way.
    func write(to writer: inout BlockWriter) throws {
        var inputs: [Labels: [Input]] = [:]
        for block in blocks {
            let index = try block.reader.index()
            let deletions = try block.deletions(tombstones, in: index)
            for group in index.groups {
                inputs[group.target, default: []].append(
                    Input(block: block, index: index, group: group, deletions: deletions))
            }
        }
        for (target, inputs) in inputs.sorted(by: { $0.key < $1.key }) {
            try write(target, inputs, to: &writer)
        }
    }

    private func write(_ target: Labels, _ inputs: [Input], to writer: inout BlockWriter) throws {
        let unordered = try Self.series(of: inputs)
        let layout = SeriesLayout(unordered.map(\.labels), target: target)
        let series = layout.order.map { unordered[$0] }
        let sealedThrough = inputs.map(\.group.sealedThrough).max() ?? LogPosition(0)
        let first = writer.beginGroup(target, sealedThrough: sealedThrough, layout: layout)
        let times = try Self.times(of: inputs)
        for start in stride(from: 0, to: times.count, by: BlockFormat.stripRowsMaximum) {
            let rows = Array(times[start..<min(start + BlockFormat.stripRowsMaximum, times.count)])
            for batch in stride(from: 0, to: series.count, by: BlockFormat.stripColumnsMaximum) {
                let end = min(batch + BlockFormat.stripColumnsMaximum, series.count)
                var columns: [StripColumn] = []
                for number in batch..<end {
                    columns += try Self.columns(series[number], ordinal: first + UInt32(number), inputs, rows)
                }
                if !columns.isEmpty { try writer.append(rowTimes: rows, columns: columns) }
            }
        }
    }

    private static func series(of inputs: [Input]) throws -> [MergedSeries] {
        var merged: [Labels: MergedSeries] = [:]
        for (number, input) in inputs.enumerated() {
            for ordinal in input.group.ordinals where !input.isDeleted(ordinal) {
                let labels = try input.index.labels(of: ordinal)
                merged[labels, default: MergedSeries(labels: labels, places: [])].places.append((number, ordinal))
            }
        }
        return Array(merged.values)
    }

    private static func times(of inputs: [Input]) throws -> [Int64] {
        var times: Set<Int64> = []
        for input in inputs {
            for strip in input.group.strips { times.formUnion(try input.block.reader.strip(strip).times) }
        }
        return times.sorted()
    }

    /// What a series has at the times of `rows`: a column of floats, one of histograms, both or none.
    private static func columns(
        _ series: MergedSeries, ordinal: UInt32, _ inputs: [Input], _ rows: [Int64]
    ) throws -> [StripColumn] {
        let range = TimeRange(startMilliseconds: rows[0], endMilliseconds: rows[rows.count - 1])
        var floats = SampleRun()
        var histograms = SampleRun()
        for place in series.places {
            let input = inputs[place.input]
            let holes = input.deletions.filter { $0.series.contains(place.ordinal) }
            for location in input.group.strips
            where location.ordinals.contains(place.ordinal) && location.times.overlaps(range) {
                var columns = try input.block.reader.columns(of: location)
                for index in columns.strip.entries(of: place.ordinal) {
                    var run = try input.block.reader.samples(of: index, in: &columns, at: location, range: range)
                    for hole in holes { run.remove(hole.range) }
                    if columns.strip.entries[index].isHistogram { histograms.join(run) } else { floats.join(run) }
                }
            }
        }
        var columns: [StripColumn] = []
        for var run in [floats, histograms] where run.count > 0 {
            run.sortKeepingFirst()
            var column = StripColumn(ordinal: ordinal)
            column.rows = run.rows(in: rows)
            (column.bits, column.starts, column.histograms) = (run.bits, run.starts, run.histograms)
            columns.append(column)
        }
        return columns
    }
}

extension SampleRun {
    /// Adds the samples of a run of the same kind.
    mutating func join(_ other: SampleRun) {
        if !starts.isEmpty || !other.starts.isEmpty {
            starts += [Int64](repeating: 0, count: count - starts.count)
            starts += other.starts + [Int64](repeating: 0, count: other.count - other.starts.count)
        }
        timesMilliseconds += other.timesMilliseconds
        bits += other.bits
        histograms += other.histograms
    }
}
