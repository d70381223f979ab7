internal import Telemetry
internal import Wire

/// The series of one target from scrape to scrape: what each text becomes after relabeling, which are new, and which
/// have vanished and get a stale marker. Pure: text and time go in, a group of samples comes out.
struct ScrapedSeries: Sendable {
    /// A series as the target writes it.
    private struct Name: Hashable, Sendable {
        var labels: Labels
        /// Labels given with an empty value, which take part in `honor_labels`.
        var emptyNames: [String]
    }

    private struct Slot: Sendable {
        var name: Name
        /// Nil where relabeling drops it.
        var labels: Labels?
        /// The id the store gave.
        var id: SeriesID?
        /// The number of the scrape that had it last.
        var seen: UInt64
        /// Whether its last value is one and no stale marker.
        var isLive = false
        /// Whether its samples bring times of their own; then its producer says when it ends.
        var isTimed = false
        /// Forgotten when the next scrape begins.
        var isGone = false

        var reference: SeriesReference? {
            guard let labels else { return nil }
            return id.map { .known($0, labels) } ?? .labels(labels)
        }
    }

    /// What one scrape gave.
    struct Outcome: Sendable {
        /// Samples in the text.
        var scraped = 0
        /// Of them, those relabeling kept.
        var kept = 0
        /// Of them, series that the scrape before did not have.
        var added = 0
        var fault: ScrapeFailure?
    }

    private let job: ScrapeJob
    private let target: ScrapeTarget
    private let targetLabels: [(name: String, value: String)]
    private var slots: [Slot] = []
    private var places: [Name: Int] = [:]
    private var number: UInt64 = 0
    private var hasGone = false
    /// The slot of each series of the last group; nil for the scraper's own, which come first.
    private var written: [Int?] = []
    private var reports: [(labels: Labels, id: SeriesID?)]
    private var metadata: [String: MetricMetadata] = [:]
    private var undelivered: [String: MetricMetadata] = [:]

    /// The series of a target that was not scraped yet.
    init(_ target: ScrapeTarget, job: ScrapeJob) {
        self.target = target
        self.job = job
        targetLabels = target.labels.pairs
        reports = ScrapeReport.metricNames.map { (target.labels.setting(Labels.metricNameLabel, to: $0), nil) }
    }

    /// Everything that is known about the target's metrics and was not delivered yet.
    var metadataToDeliver: [MetricMetadata] { undelivered.values.sorted { $0.metricName < $1.metricName } }

    // MARK: - One scrape

    /// Reads a text of the time `milliseconds` into a group. A text that is not wholly in order gives no sample at all,
    /// and ends every series.
    mutating func read(
        _ body: [UInt8], _ dialect: ExpositionParser.Dialect, atMilliseconds milliseconds: Int64
    ) -> (group: SampleGroup, outcome: Outcome) {
        begin()
        let firstNew = slots.count
        var group = emptyGroup(milliseconds)
        var outcome = Outcome()
        do throws(ScrapeFailure) {
            try read(body, dialect, milliseconds, &group, &outcome)
        } catch {
            outcome.fault = error
            // What only a text out of order had is not remembered: hostile texts must not pile up.
            for index in firstNew..<slots.count { slots[index].isGone = true }
            hasGone = hasGone || firstNew < slots.count
            return (endLive(milliseconds), outcome)
        }
        commit(&group, milliseconds)
        return (group, outcome)
    }

    /// The group of a scrape that gave no text: stale markers for all series.
    mutating func fail(atMilliseconds milliseconds: Int64) -> SampleGroup {
        begin()
        return endLive(milliseconds)
    }

    /// Puts what the scraper itself says about a scrape into its group, where there is a place for it.
    func report(_ outcome: Outcome, durationSeconds: Double, in group: inout SampleGroup) {
        let values = [
            outcome.fault == nil ? 1 : 0, durationSeconds, Double(outcome.scraped), Double(outcome.kept),
            Double(outcome.added),
        ]
        for (place, value) in values.enumerated() { group.values[place] = value }
    }

    /// Ends all series, the scraper's own too: the target is not scraped any more.
    mutating func endAll(atMilliseconds milliseconds: Int64) -> SampleGroup { fail(atMilliseconds: milliseconds) }

    /// The last group is stored: what it said need not be said again.
    mutating func stored(_ receipt: AppendReceipt) {
        undelivered.removeAll()
        guard let ids = receipt.seriesIDs.first, ids.count == written.count else { return }
        for (slot, id) in zip(written, ids) {
            if let slot { slots[slot].id = id }
        }
        for (offset, id) in ids.prefix(reports.count).enumerated() { reports[offset].id = id }
    }

    // MARK: - Steps

    /// A group of the scraper's own series alone, ended until `report` says otherwise.
    private mutating func emptyGroup(_ milliseconds: Int64) -> SampleGroup {
        var group = SampleGroup(
            target: target.labels.keeping(["job", "instance"]), intervalMilliseconds: target.intervalMilliseconds)
        written = reports.map { _ in nil }
        for report in reports {
            group.series.append(report.id.map { .known($0, report.labels) } ?? .labels(report.labels))
            group.seriesIndexes.append(UInt32(group.series.count - 1))
            group.timesMilliseconds.append(milliseconds)
            group.values.append(Sample.stale)
        }
        return group
    }

    private mutating func begin() {
        number += 1
        guard hasGone else { return }
        hasGone = false
        slots.removeAll { $0.isGone }
        places = Dictionary(uniqueKeysWithValues: slots.indices.map { (slots[$0].name, $0) })
    }

    private mutating func endLive(_ milliseconds: Int64) -> SampleGroup {
        var group = emptyGroup(milliseconds)
        for index in slots.indices where slots[index].isLive { end(index, &group, milliseconds) }
        return group
    }

    private mutating func read(
        _ body: [UInt8], _ dialect: ExpositionParser.Dialect, _ milliseconds: Int64, _ group: inout SampleGroup,
        _ outcome: inout Outcome
    ) throws(ScrapeFailure) {
        var families: [String: MetricMetadata] = [:]
        let result = body.withUnsafeBytes { raw in
            Result { () throws(ScrapeFailure) in
                var parser = ExpositionParser(raw, dialect: dialect)
                while let item = try ScrapedSeries.next(&parser) {
                    switch item {
                    case .help(let name, let text): families.describe(name) { $0.help = text }
                    case .type(let name, let kind): families.describe(name) { $0.kind = kind }
                    case .unit(let name, let text): families.describe(name) { $0.unit = text }
                    case .end: break
                    case .sample(let labels, let value, let time):
                        outcome.scraped += 1
                        let name = Name(labels: labels, emptyNames: parser.emptyNames)
                        let own = job.honorsTimestamps ? time : nil
                        guard let index = try place(name, hasTime: own != nil, &outcome) else { continue }
                        append(index, value, own ?? milliseconds, parser.exemplar, &group)
                        written.append(index)
                    }
                }
            }
        }
        try result.get()
        for (name, family) in families where metadata[name] != family { undelivered[name] = family }
        metadata = families
    }

    private static func next(_ parser: inout ExpositionParser) throws(ScrapeFailure) -> ExpositionParser.Item? {
        do throws(ExpositionError) {
            return try parser.next()
        } catch {
            throw ScrapeFailure(error.description)
        }
    }

    /// The slot of a series that is to be written; nil where it is dropped or stands in the text twice.
    private mutating func place(_ name: Name, hasTime: Bool, _ outcome: inout Outcome) throws(ScrapeFailure) -> Int? {
        let index: Int
        var isNew = false
        if let known = places[name] {
            index = known
        } else {
            index = slots.count
            isNew = true
            let labels = try relabeled(name)
            slots.append(Slot(name: name, labels: labels, id: nil, seen: 0))
            places[name] = index
        }
        let isRepeated = slots[index].seen == number && !hasTime
        let wasSeen = slots[index].seen == number
        slots[index].seen = number
        guard slots[index].labels != nil else { return nil }
        outcome.kept += 1
        if isNew { outcome.added += 1 }
        if job.limits.samples > 0, outcome.kept > job.limits.samples {
            throw ScrapeFailure("sample limit exceeded: more than \(job.limits.samples) samples after relabeling")
        }
        if !wasSeen { slots[index].isTimed = hasTime }
        return isRepeated ? nil : index
    }

    private func append(
        _ index: Int, _ value: Double, _ milliseconds: Int64, _ exemplar: ExpositionParser.Exemplar?,
        _ group: inout SampleGroup
    ) {
        guard let reference = slots[index].reference else { return }
        group.series.append(reference)
        group.seriesIndexes.append(UInt32(group.series.count - 1))
        group.timesMilliseconds.append(milliseconds)
        group.values.append(value)
        guard let exemplar else { return }
        group.exemplars.append(
            ExemplarSample(
                seriesIndex: UInt32(group.series.count - 1), milliseconds: exemplar.milliseconds ?? milliseconds,
                value: exemplar.value, labels: exemplar.labels))
    }

    /// The text was in order: what was there before and is not now has ended.
    private mutating func commit(_ group: inout SampleGroup, _ milliseconds: Int64) {
        var gone: [Int] = []
        for index in slots.indices {
            if slots[index].seen == number {
                slots[index].isLive = slots[index].labels != nil && !slots[index].isTimed
            } else {
                slots[index].isGone = true
                hasGone = true
                if slots[index].isLive { gone.append(index) }
            }
        }
        guard !gone.isEmpty else { return }
        // Another name may have become the same series by relabeling.
        let present = Set(slots.lazy.filter { [number] in $0.seen == number }.compactMap(\.labels))
        for index in gone {
            if let labels = slots[index].labels, present.contains(labels) {
                slots[index].isLive = false
            } else {
                end(index, &group, milliseconds)
            }
        }
    }

    private mutating func end(_ index: Int, _ group: inout SampleGroup, _ milliseconds: Int64) {
        append(index, Sample.stale, milliseconds, nil, &group)
        written.append(index)
        slots[index].isLive = false
    }

    // MARK: - Labels

    /// What a series becomes with the target's labels and after relabeling; nil where that drops it.
    private func relabeled(_ name: Name) throws(ScrapeFailure) -> Labels? {
        try check(name.labels)
        var labels = Dictionary(uniqueKeysWithValues: name.labels.pairs.map { ($0.name, $0.value) })
        if job.honorsLabels {
            let taken = Set(labels.keys).union(name.emptyNames)
            for (label, value) in targetLabels where !taken.contains(label) { labels[label] = value }
        } else {
            var exported: [(name: String, value: String)] = []
            for (label, value) in targetLabels {
                if let own = labels[label] { exported.append((label, own)) }
                labels[label] = value
            }
            for (label, value) in exported {
                var free = "exported_\(label)"
                while labels[free] != nil { free = "exported_\(free)" }
                labels[free] = value
            }
        }
        guard !job.metricRelabeling.isEmpty else { return Labels(labels) }
        guard let kept = RelabelRule.apply(job.metricRelabeling, to: labels) else { return nil }
        guard kept[Labels.metricNameLabel] != nil else {
            throw ScrapeFailure("relabeling left \(name.labels) without a metric name")
        }
        return Labels(kept)
    }

    private func check(_ labels: Labels) throws(ScrapeFailure) {
        let limits = job.limits
        if limits.labels > 0, labels.count > limits.labels {
            throw ScrapeFailure("label_limit exceeded: \(labels) has more than \(limits.labels) labels")
        }
        guard limits.labelNameBytes > 0 || limits.labelValueBytes > 0 else { return }
        for pair in labels.pairs {
            if limits.labelNameBytes > 0, pair.name.utf8.count > limits.labelNameBytes {
                throw ScrapeFailure("label_name_length_limit exceeded: \(pair.name)")
            }
            if limits.labelValueBytes > 0, pair.value.utf8.count > limits.labelValueBytes {
                throw ScrapeFailure("label_value_length_limit exceeded: the value of \(pair.name)")
            }
        }
    }
}

extension [String: MetricMetadata] {
    /// Changes what is said about the metric `name`.
    fileprivate mutating func describe(_ name: String, _ change: (inout MetricMetadata) -> Void) {
        change(&self[name, default: MetricMetadata(metricName: name, kind: .unknown)])
    }
}
