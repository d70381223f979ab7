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
    private enum Resolution {
        case unknown
        case series(HeadSeries, builder: Int)
        case refused(SampleRejection.Reason)
    }

    private let options: MetricDatabaseOptions
    private let latest: Int64
    var isBacklog = false
    private var builders: [GroupWriteBuilder] = []
    private var builderOf: [UInt64: Int] = [:]
    private var lastBuilder: (group: UInt64, place: Int)?
    /// The series resolved last, which foretells the next.
    private var previous: HeadSeries?
    private var outcome = Head.Outcome()
    private var prepared = PreparedAppend()

    init(options: MetricDatabaseOptions, nowMilliseconds: Int64) {
        self.options = options
        latest = nowMilliseconds &+ options.aheadMilliseconds
    }

    mutating func add(_ group: SampleGroup, to index: inout HeadIndex) {
        var resolutions = [Resolution](repeating: .unknown, count: group.series.count)
        for sample in group.values.indices {
            let number = Int(group.seriesIndexes[sample])
            let time = group.timesMilliseconds[sample]
            guard let (series, builder) = resolve(number, of: group, at: time, &resolutions, &index) else { continue }
            let start = group.startTimesMilliseconds.isEmpty ? 0 : group.startTimesMilliseconds[sample]
            let last = series.lastMilliseconds.load(ordering: .relaxed)
            guard isRecent(time, after: last, series) else { continue }
            builders[builder].add(series, milliseconds: time, bits: group.values[sample].bitPattern, start: start)
        }
        for sample in group.histograms {
            let number = Int(sample.seriesIndex)
            guard let (series, builder) = resolve(number, of: group, at: sample.milliseconds, &resolutions, &index)
            else { continue }
            let last = series.lastHistogramMilliseconds.load(ordering: .relaxed)
            guard isRecent(sample.milliseconds, after: last, series) else { continue }
            builders[builder].add(
                series, milliseconds: sample.milliseconds, start: sample.startMilliseconds, histogram: sample.histogram)
        }
        prepared.exemplarCount += group.exemplars.count
        prepared.seriesIDs.append(
            resolutions.map { resolution in
                guard case .series(let series, _) = resolution else { return SeriesID(rawValue: 0) }
                return SeriesID(rawValue: series.id)
            })
    }

    mutating func finish() -> PreparedAppend {
        for builder in builders {
            prepared.writes.append(builder.build { outcome.add($0.labels, $1, .duplicate) })
        }
        prepared.rejections = outcome.rejections
        return prepared
    }

    private mutating func resolve(
        _ number: Int, of group: SampleGroup, at time: Int64, _ resolutions: inout [Resolution],
        _ index: inout HeadIndex
    ) -> (HeadSeries, Int)? {
        guard time <= latest else {
            outcome.add(group.series[number].labels, time, .tooFarAhead)
            return nil
        }
        if case .unknown = resolutions[number] {
            resolutions[number] = resolution(of: group.series[number], target: group.target, in: &index)
        }
        switch resolutions[number] {
        case .series(let series, let builder): return (series, builder)
        case .refused(let reason): outcome.add(group.series[number].labels, time, reason)
        case .unknown: break
        }
        return nil
    }

    private mutating func resolution(
        of reference: SeriesReference, target: Labels, in index: inout HeadIndex
    ) -> Resolution {
        if let known = index.find(reference, after: previous) {
            previous = known
            return .series(known, builder: builder(for: known.group, in: &index))
        }
        let labels = reference.labels
        guard !labels.isEmpty, labels.encoded.count <= options.labelBytesMaximum,
            Labels(validating: labels.encoded) != nil
        else { return .refused(.invalidLabels) }
        let target = target.isEmpty ? HeadGroup.target(for: labels) : target
        guard hasRoom(for: labels, of: target, in: index) else { return .refused(.seriesLimit) }
        let new = index.add(labels, target: target)
        previous = new
        return .series(new, builder: builder(for: new.group, in: &index))
    }

    /// Whether one more series is within the limits of the whole head, of its target, and of its metric.
    private func hasRoom(for labels: Labels, of target: Labels, in index: HeadIndex) -> Bool {
        if options.seriesMaximum > 0, index.series.count >= options.seriesMaximum { return false }
        if options.seriesPerTargetMaximum > 0, let group = index.groups[target] {
            let count = group.state.withLock { $0.series.count - $0.freeColumns.count }
            if count >= options.seriesPerTargetMaximum { return false }
        }
        guard options.seriesPerMetricMaximum > 0, let name = labels.metricName else { return true }
        return index.count(name: Labels.metricNameLabel, value: name) < options.seriesPerMetricMaximum
    }

    private mutating func builder(for group: HeadGroup, in index: inout HeadIndex) -> Int {
        if let last = lastBuilder, last.group == group.id { return last.place }
        lastBuilder = (group.id, place(of: group, in: &index))
        return lastBuilder?.place ?? 0
    }

    private mutating func place(of group: HeadGroup, in index: inout HeadIndex) -> Int {
        if let known = builderOf[group.id] { return known }
        builderOf[group.id] = builders.count
        builders.append(GroupWriteBuilder(group: group, number: index.takeBuilderNumber()))
        group.pendingAppends.add(1, ordering: .relaxed)
        return builders.count - 1
    }

    private mutating func isRecent(_ time: Int64, after last: Int64, _ series: HeadSeries) -> Bool {
        if time >= last || isBacklog || last == .min { return true }
        // Far apart times may not even have a difference of 64 bits.
        let (behind, overflow) = last.subtractingReportingOverflow(time)
        if !overflow, behind <= options.behindMilliseconds { return true }
        outcome.add(series.labels, time, options.behindMilliseconds == 0 ? .outOfOrder : .tooOld)
        return false
    }
}
