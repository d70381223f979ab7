internal import Synchronization
internal import Telemetry

/// Looks up in blocks what series have at single times, so that a late sample is known for what it is: a new one, the
/// same again, or a different one.
struct SealedSamples {
    /// In the order in which their samples came.
    let blocks: [Block]
    let tombstones: [Tombstone]

    /// Cells and histograms of a write that are not new.
    private struct Known {
        var cells: Set<Int> = []
        var histograms: Set<Int> = []
    }

    /// What is new in a write. The same samples again count as accepted, different ones are refused. A damaged block
    /// has nothing to say.
    func sift(_ write: GroupWrite, _ outcome: inout Head.Outcome) -> GroupWrite {
        guard let first = write.times.first, let last = write.times.last else { return write }
        let range = TimeRange(startMilliseconds: first, endMilliseconds: last)
        var known = Known()
        let labels = write.group.state.withLock { state in write.columns.map { state.labels[Int($0)] } }
        for block in blocks where block.times.overlaps(range) {
            do {
                try find(write, labels, in: block, range, &known, &outcome)
            } catch let damage as BlockDamage {
                block.note(damage)
            } catch {
                // A medium that cannot be read for now: the sample is taken, as it is when the block is damaged.
                continue
            }
        }
        return write.removing(cells: known.cells, histograms: known.histograms)
    }

    private func find(
        _ write: GroupWrite, _ labels: [Labels], in block: Block, _ range: TimeRange, _ known: inout Known,
        _ outcome: inout Head.Outcome
    ) throws {
        let index = try block.reader.index()
        let deletions = try block.deletions(tombstones, in: index)
        for (number, labels) in labels.enumerated() {
            for ordinal in try index.ordinals(of: labels) {
                let holes = deletions.filter { $0.series.contains(ordinal) }.map(\.range)
                for location in index.group(of: ordinal).strips
                where location.ordinals.contains(ordinal) && location.times.overlaps(range) {
                    var columns = try block.reader.columns(of: location)
                    for place in columns.strip.entries(of: ordinal) {
                        var run = try block.reader.samples(of: place, in: &columns, at: location, range: range)
                        for hole in holes { run.remove(hole) }
                        compare(write, number, labels, with: run, &known, &outcome)
                    }
                }
            }
        }
    }

    private func compare(
        _ write: GroupWrite, _ number: Int, _ labels: Labels, with run: SampleRun, _ known: inout Known,
        _ outcome: inout Head.Outcome
    ) {
        func note(_ time: Int64, isSame: Bool) {
            if isSame {
                outcome.accepted += 1
            } else {
                outcome.add(labels, time, .duplicate)
            }
        }
        guard run.isHistogram else {
            for cell in write.cells(of: number) {
                let time = write.times[write.row(of: cell)]
                guard let place = run.place(of: time), known.cells.insert(cell).inserted else { continue }
                note(time, isSame: run.bits[place] == write.bits[cell])
            }
            return
        }
        for (index, cell) in write.histograms.enumerated() where cell.series == number {
            let time = write.times[cell.row]
            guard let place = run.place(of: time), known.histograms.insert(index).inserted else { continue }
            note(time, isSame: run.histograms[place].isIdentical(to: cell.histogram))
        }
    }
}

extension SampleRun {
    /// The index of the sample at a time; nil when there is none.
    fileprivate func place(of milliseconds: Int64) -> Int? {
        let place = timesMilliseconds.firstIndexRising(from: 0) { $0 >= milliseconds }
        return place < count && timesMilliseconds[place] == milliseconds ? place : nil
    }
}

extension BlockIndex {
    /// The numbers of the series with exactly these labels: one, but more where its target changed its name.
    func ordinals(of labels: Labels) throws -> [UInt32] {
        let selected = try select(labels.pairs.map { .equal($0.name, $0.value) })
        var found: [UInt32] = []
        try selected.forEach { ordinal in if try self.labels(of: ordinal) == labels { found.append(ordinal) } }
        return found
    }
}

extension MetricDatabase {
    /// Takes out of an append what blocks have already, before it is logged. Reads blocks.
    func sift(_ prepared: inout PreparedAppend) {
        let view = blocks.view
        prepared.siftedThrough = view.blocks.map(\.sequence.last).max() ?? 0
        let sealed = SealedSamples(blocks: view.blocks, tombstones: view.tombstones)
        var outcome = Head.Outcome(accepted: prepared.accepted, rejections: prepared.rejections)
        var writes: [GroupWrite] = []
        for write in prepared.writes {
            let new = write.mayBeSealed ? sealed.sift(write, &outcome) : write
            if new.sampleCount > 0 {
                writes.append(new)
            } else {
                // What is not written holds its group no longer.
                write.group.pendingAppends.subtract(1, ordering: .relaxed)
            }
        }
        prepared.writes = writes
        (prepared.accepted, prepared.rejections) = (outcome.accepted, outcome.rejections)
    }

    /// The same on the log's thread, for what came to blocks since.
    func sift(_ writes: [GroupWrite], since number: UInt64, _ outcome: inout Head.Outcome) -> [GroupWrite] {
        guard writes.contains(where: \.mayBeSealed) else { return writes }
        let view = blocks.view
        let newer = view.blocks.filter { $0.sequence.last > number }
        guard !newer.isEmpty else { return writes }
        let sealed = SealedSamples(blocks: newer, tombstones: view.tombstones)
        return writes.map { $0.mayBeSealed ? sealed.sift($0, &outcome) : $0 }
    }
}
