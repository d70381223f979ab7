internal import Synchronization
internal import Telemetry

/// An append that was checked and resolved to series, on its way to the log.
struct PreparedAppend: Sendable {
    var writes: [GroupWrite] = []
    var rejections: [SampleRejection] = []
    var seriesIDs: [[SeriesID]] = []
    var exemplarCount = 0

    /// The groups hold a count of appends that know them; this one is done.
    func finish() {
        for write in writes { write.group.pendingAppends.subtract(1, ordering: .relaxed) }
    }
}

extension Head {
    /// Checks a batch and finds or makes its series. Samples that are refused here never reach the log. `finish` must
    /// be called on the result. Throws when the batch contradicts itself.
    func prepare(
        _ batch: SampleBatch, options: MetricDatabaseOptions, nowMilliseconds: Int64
    ) throws(AppendRefusal) -> PreparedAppend {
        for group in batch.groups { try Self.check(group) }
        var preparation = Preparation(options: options, nowMilliseconds: nowMilliseconds)
        preparation.isBacklog = batch.delivery?.sender.lane == .backlog
        index.withLock { index in for group in batch.groups { preparation.add(group, to: &index) } }
        return preparation.finish()
    }

    private static func check(_ group: SampleGroup) throws(AppendRefusal) {
        let count = group.values.count
        guard group.seriesIndexes.count == count, group.timesMilliseconds.count == count,
            group.startTimesMilliseconds.isEmpty || group.startTimesMilliseconds.count == count
        else {
            throw AppendRefusal(.malformed, "a group's columns are not of one length; nothing of the batch was stored")
        }
        let known = UInt32(clamping: group.series.count)
        guard group.seriesIndexes.allSatisfy({ $0 < known }),
            group.histograms.allSatisfy({ $0.seriesIndex < known }),
            group.exemplars.allSatisfy({ $0.seriesIndex < known })
        else {
            throw AppendRefusal(.malformed, "a sample refers to a series its group does not list; nothing was stored")
        }
    }
}

/// Resolves and checks the samples of one batch, group by group.
private struct Preparation {
    /// What a series of the batch is in the head. Nothing here is counted by reference: there is one per sample.
    private enum Resolution {
        case unknown
        case series(number: Int, column: Int, builder: Int)
        case refused(SampleRejection.Reason)
    }

    private let options: MetricDatabaseOptions
    private let latest: Int64
    var isBacklog = false
    private var builders: [GroupWriteBuilder] = []
    private var builderOf: [UInt64: Int] = [:]
    /// Whether the sender does not have the ids of all series yet.
    private var hasNewIDs = false
    private var lastBuilder: (group: HeadGroup, place: Int)?
    private var outcome = Head.Outcome()
    private var prepared = PreparedAppend()

    init(options: MetricDatabaseOptions, nowMilliseconds: Int64) {
        self.options = options
        latest = nowMilliseconds &+ options.aheadMilliseconds
    }

    mutating func add(_ group: SampleGroup, to index: inout HeadIndex) {
        hasNewIDs = false
        var resolutions = [Resolution](repeating: .unknown, count: group.series.count)
        for sample in group.values.indices {
            let number = Int(group.seriesIndexes[sample])
            let time = group.timesMilliseconds[sample]
            guard let (column, builder) = resolve(number, of: group, at: time, &resolutions, &index),
                isRecent(time, column, builder, ofHistograms: false, group.series[number])
            else { continue }
            let start = group.startTimesMilliseconds.isEmpty ? 0 : group.startTimesMilliseconds[sample]
            builders[builder].add(
                column: column, milliseconds: time, bits: group.values[sample].bitPattern, start: start)
        }
        for sample in group.histograms {
            let number = Int(sample.seriesIndex)
            let time = sample.milliseconds
            guard let (column, builder) = resolve(number, of: group, at: time, &resolutions, &index),
                isRecent(time, column, builder, ofHistograms: true, group.series[number])
            else { continue }
            builders[builder].add(
                column: column, milliseconds: time, start: sample.startMilliseconds, histogram: sample.histogram)
        }
        prepared.exemplarCount += group.exemplars.count
        prepared.seriesIDs.append(hasNewIDs ? resolutions.map { Self.id(of: $0, in: index) } : [])
    }

    private static func id(of resolution: Resolution, in index: HeadIndex) -> SeriesID {
        guard case .series(let number, _, _) = resolution else { return SeriesID(rawValue: 0) }
        return index.id(of: number)
    }

    mutating func finish() -> PreparedAppend {
        for builder in builders {
            prepared.writes.append(
                builder.build { column, time in
                    outcome.add(builder.group.state.withLock { $0.labels[column] }, time, .duplicate)
                })
        }
        prepared.rejections = outcome.rejections
        return prepared
    }

    private mutating func resolve(
        _ number: Int, of group: SampleGroup, at time: Int64, _ resolutions: inout [Resolution],
        _ index: inout HeadIndex
    ) -> (column: Int, builder: Int)? {
        guard time <= latest else {
            outcome.add(group.series[number].labels, time, .tooFarAhead)
            return nil
        }
        if case .unknown = resolutions[number] {
            resolutions[number] = resolution(of: number, in: group, &index)
        }
        switch resolutions[number] {
        case .series(_, let column, let builder): return (column, builder)
        case .refused(let reason): outcome.add(group.series[number].labels, time, reason)
        case .unknown: break
        }
        return nil
    }

    private mutating func resolution(
        of place: Int, in group: SampleGroup, _ index: inout HeadIndex
    ) -> Resolution {
        if let known = index.number(of: group.series[place]) { return resolution(known, in: index, group) }
        hasNewIDs = true
        let labels = group.series[place].labels
        if let known = index.find(labels) { return resolution(known, in: index, group) }
        guard !labels.isEmpty, labels.encoded.count <= options.labelBytesMaximum,
            Labels(validating: labels.encoded) != nil
        else { return .refused(.invalidLabels) }
        let target = group.target.isEmpty ? HeadGroup.target(for: labels) : group.target
        guard hasRoom(for: labels, of: target, in: index) else { return .refused(.seriesLimit) }
        return resolution(index.add(labels, target: target), in: index, group)
    }

    private mutating func resolution(_ number: Int, in index: HeadIndex, _ group: SampleGroup) -> Resolution {
        let home = index.series[number].group
        if lastBuilder?.group !== home {
            lastBuilder = (home, builder(for: home, capacity: group.values.count))
        }
        return .series(
            number: number, column: index.series[number].column, builder: lastBuilder?.place ?? 0)
    }

    /// Whether one more series is within the limits of the whole head, of its target, and of its metric.
    private func hasRoom(for labels: Labels, of target: Labels, in index: HeadIndex) -> Bool {
        if options.seriesMaximum > 0, index.series.count >= options.seriesMaximum { return false }
        if options.seriesPerTargetMaximum > 0, let group = index.groups[target] {
            if group.state.withLock(\.seriesCount) >= options.seriesPerTargetMaximum { return false }
        }
        guard options.seriesPerMetricMaximum > 0, let name = labels.metricName else { return true }
        return index.count(name: Labels.metricNameLabel, value: name) < options.seriesPerMetricMaximum
    }

    private mutating func builder(for group: HeadGroup, capacity: Int) -> Int {
        if let known = builderOf[group.id] { return known }
        builderOf[group.id] = builders.count
        builders.append(GroupWriteBuilder(group: group, capacity: builders.isEmpty ? capacity : 0))
        group.pendingAppends.add(1, ordering: .relaxed)
        return builders.count - 1
    }

    /// Whether a sample is not too far behind its series.
    private mutating func isRecent(
        _ time: Int64, _ column: Int, _ builder: Int, ofHistograms: Bool, _ reference: SeriesReference
    ) -> Bool {
        // What is not behind its group is not behind its series.
        if isBacklog || time >= builders[builder].newestMilliseconds { return true }
        let last = builders[builder].group.lastMilliseconds(column: column, ofHistograms: ofHistograms)
        if time >= last { return true }
        // Far apart times may not even have a difference of 64 bits.
        let (behind, overflow) = last.subtractingReportingOverflow(time)
        if !overflow, behind <= options.behindMilliseconds { return true }
        outcome.add(reference.labels, time, options.behindMilliseconds == 0 ? .outOfOrder : .tooOld)
        return false
    }
}
