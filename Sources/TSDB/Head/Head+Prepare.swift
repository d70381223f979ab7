internal import Synchronization
internal import Telemetry

/// An append that was checked and resolved to series, on its way to the log.
struct PreparedAppend: Sendable {
    var writes: [GroupWrite] = []
    var rejections: [SampleRejection] = []
    /// Samples that are on disk already.
    var accepted = 0
    var seriesIDs: [[SeriesID]] = []
    var exemplars: [SeriesExemplars] = []
    var exemplarsDropped = 0
    /// Samples refused because their series was over a limit.
    var overLimit: [SeriesLimit: Int] = [:]
    /// Blocks up to this number were asked whether they have the samples already.
    var siftedThrough: UInt64 = 0

    /// The groups hold a count of appends that know them; this one is done.
    func finish() {
        for write in writes { write.group.pendingAppends.subtract(1, ordering: .relaxed) }
    }
}

extension Head {
    /// Checks a batch and finds or makes its series. Samples that are refused here never reach the log. `finish` must
    /// be called on the result. What is older than `oldestMilliseconds` is refused. Throws when the batch contradicts
    /// itself.
    func prepare(
        _ batch: SampleBatch, options: MetricDatabaseOptions, nowMilliseconds: Int64,
        oldestMilliseconds: Int64 = .min
    ) throws(AppendRefusal) -> PreparedAppend {
        for group in batch.groups { try Self.check(group) }
        var preparation = Preparation(
            options: options, latest: nowMilliseconds &+ options.aheadMilliseconds, oldest: oldestMilliseconds)
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
        case invalid
        case overLimit(SeriesLimit)
    }

    /// How a sample stands to what is known of its series. Each goes its own way.
    private enum Age {
        /// Later than all others, or such that only the head can have it.
        case new
        /// Within the window, and blocks may have it.
        case late
        /// Further behind, to be filled in.
        case old
    }

    private struct BuilderKey: Hashable {
        var group: UInt64
        var age: Age
    }

    private let options: MetricDatabaseOptions
    private let latest: Int64
    private let oldest: Int64
    private var builders: [GroupWriteBuilder] = []
    private var ages: [Age] = []
    private var builderOf: [BuilderKey: Int] = [:]
    /// Whether the sender does not have the ids of all series yet.
    private var hasNewIDs = false
    private var lastBuilder: (group: HeadGroup, place: Int)?
    private var outcome = Head.Outcome()
    private var prepared = PreparedAppend()

    init(options: MetricDatabaseOptions, latest: Int64, oldest: Int64) {
        (self.options, self.latest, self.oldest) = (options, latest, oldest)
    }

    mutating func add(_ group: SampleGroup, to index: inout HeadIndex) {
        hasNewIDs = false
        var resolutions = [Resolution](repeating: .unknown, count: group.series.count)
        for sample in group.values.indices {
            let number = Int(group.seriesIndexes[sample])
            let time = group.timesMilliseconds[sample]
            guard let (column, home) = resolve(number, of: group, at: time, &resolutions, &index) else { continue }
            let age = age(of: time, column, home, ofHistograms: false, index)
            let builder = age == .new ? home : builder(for: builders[home].group, age, capacity: 0)
            let start = group.startTimesMilliseconds.isEmpty ? 0 : group.startTimesMilliseconds[sample]
            builders[builder].add(
                column: column, milliseconds: time, bits: group.values[sample].bitPattern, start: start)
        }
        for sample in group.histograms {
            let number = Int(sample.seriesIndex)
            let time = sample.milliseconds
            if let flaw = sample.histogram.flaw {
                outcome.add(group.series[number].labels, time, .invalidHistogram, detail: flaw)
                continue
            }
            guard let (column, home) = resolve(number, of: group, at: time, &resolutions, &index) else { continue }
            let age = age(of: time, column, home, ofHistograms: true, index)
            let builder = age == .new ? home : builder(for: builders[home].group, age, capacity: 0)
            builders[builder].add(
                column: column, milliseconds: time, start: sample.startMilliseconds, histogram: sample.histogram)
        }
        addExemplars(of: group, resolutions, index)
        prepared.seriesIDs.append(hasNewIDs ? resolutions.map { Self.id(of: $0, in: index) } : [])
    }

    private static func id(of resolution: Resolution, in index: HeadIndex) -> SeriesID {
        guard case .series(let number, _, _) = resolution else { return SeriesID(rawValue: 0) }
        return index.id(of: number)
    }

    /// Exemplars belong to samples of the batch: those of series that were refused go with them.
    private mutating func addExemplars(of group: SampleGroup, _ resolutions: [Resolution], _ index: HeadIndex) {
        for sample in group.exemplars {
            let one = Exemplar(labels: sample.labels, milliseconds: sample.milliseconds, value: sample.value)
            guard options.exemplarsMaximum > 0, one.milliseconds <= latest, one.milliseconds >= oldest, one.isValid,
                case .series(let number, _, _) = resolutions[Int(sample.seriesIndex)]
            else {
                prepared.exemplarsDropped += 1
                continue
            }
            let labels = index.series[number].labels
            if prepared.exemplars.last?.labels == labels {
                prepared.exemplars[prepared.exemplars.count - 1].exemplars.append(one)
            } else {
                prepared.exemplars.append(SeriesExemplars(labels: labels, exemplars: [one]))
            }
        }
    }

    mutating func finish() -> PreparedAppend {
        for (builder, age) in zip(builders, ages) {
            var write = builder.build { column, time in
                outcome.add(builder.group.state.withLock { $0.labels[column] }, time, .duplicate)
            }
            write.mayBeSealed = age != .new
            prepared.writes.append(write)
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
        guard time >= oldest else {
            outcome.add(group.series[number].labels, time, .tooOld)
            return nil
        }
        if case .unknown = resolutions[number] {
            resolutions[number] = resolution(of: number, in: group, &index)
        }
        switch resolutions[number] {
        case .series(_, let column, let builder): return (column, builder)
        case .invalid: outcome.add(group.series[number].labels, time, .invalidLabels)
        case .overLimit(let limit):
            outcome.add(group.series[number].labels, time, .seriesLimit)
            prepared.overLimit[limit, default: 0] += 1
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
        else { return .invalid }
        let target = group.target.isEmpty ? HeadGroup.target(for: labels) : group.target
        if let limit = limit(on: labels, of: target, in: index) { return .overLimit(limit) }
        return resolution(index.add(labels, target: target), in: index, group)
    }

    private mutating func resolution(_ number: Int, in index: HeadIndex, _ group: SampleGroup) -> Resolution {
        let home = index.series[number].group
        if lastBuilder?.group !== home {
            lastBuilder = (home, builder(for: home, .new, capacity: group.values.count))
        }
        return .series(
            number: number, column: index.series[number].column, builder: lastBuilder?.place ?? 0)
    }

    /// The limit, of the whole head, of the target or of the metric, that one more series would be over. What tells
    /// whether a target is up may be a little over the first two.
    private func limit(on labels: Labels, of target: Labels, in index: HeadIndex) -> SeriesLimit? {
        let isReport = labels.metricName.map { ScrapeReport.metricNames.contains($0) } ?? false
        if options.seriesMaximum > 0 {
            let maximum = options.seriesMaximum + (isReport ? options.seriesMaximum / 64 : 0)
            if index.series.count >= maximum { return .all }
        }
        if options.seriesPerTargetMaximum > 0, let group = index.groups[target] {
            let maximum = options.seriesPerTargetMaximum + (isReport ? ScrapeReport.metricNames.count : 0)
            if group.state.withLock(\.seriesCount) >= maximum { return .target(target) }
        }
        guard options.seriesPerMetricMaximum > 0, let name = labels.metricName,
            index.count(name: Labels.metricNameLabel, value: name) >= options.seriesPerMetricMaximum
        else { return nil }
        return .metric(name)
    }

    private mutating func builder(for group: HeadGroup, _ age: Age, capacity: Int) -> Int {
        let key = BuilderKey(group: group.id, age: age)
        if let known = builderOf[key] { return known }
        builderOf[key] = builders.count
        builders.append(GroupWriteBuilder(group: group, capacity: builders.isEmpty ? capacity : 0))
        ages.append(age)
        group.pendingAppends.add(1, ordering: .relaxed)
        return builders.count - 1
    }

    private func age(
        of time: Int64, _ column: Int, _ builder: Int, ofHistograms: Bool, _ index: HeadIndex
    ) -> Age {
        // What is not behind its group, and not in a block, is not behind its series.
        let isUnsealed = time > index.sealedMilliseconds
        if isUnsealed, time >= builders[builder].newestMilliseconds { return .new }
        let group = builders[builder].group
        if time > group.knownMilliseconds(column: column, ofHistograms: ofHistograms) { return .new }
        if group.isOld(time, by: options.behindMilliseconds) { return .old }
        return isUnsealed ? .new : .late
    }
}
