internal import Synchronization
internal import Telemetry

/// The series of the head by labels, by id and by label pair. Guarded by the head's lock.
struct HeadIndex: LabelIndex {
    /// By their number in the postings.
    private(set) var series: [HeadSeries] = []
    private(set) var groups: [Labels: HeadGroup] = [:]
    private var byLabels: [Labels: HeadSeries] = [:]
    private var byID: [UInt64: HeadSeries] = [:]
    private var values: [String: [String: Postings]] = [:]
    /// By number: which series came behind this one the last time. Senders keep their order, so that a look at the
    /// labels replaces a look into the dictionary.
    private var successors: [Int] = []
    /// The number of the last builder that marks series.
    private var builderCount: UInt64 = 0
    /// The next id of a series or a group.
    private var nextID: UInt64
    /// An estimate of the memory held.
    private(set) var memoryBytes = 0
    /// Changes with every change of the index.
    private(set) var version: UInt64 = 0

    /// An empty index that gives out ids from `firstID` on.
    init(firstID: UInt64) {
        nextID = firstID
    }

    var allSeries: Postings { Postings(0..<UInt32(series.count)) }

    func postings(name: String, value: String) -> Postings { values[name]?[value] ?? .empty }

    func postings(name: String, where isWanted: (String) -> Bool) -> Postings {
        guard let all = values[name] else { return .empty }
        var runs: [Range<UInt32>] = []
        for (value, postings) in all where isWanted(value) { runs.append(contentsOf: postings.runs) }
        return Postings(joining: runs)
    }

    /// Every label name with its values.
    var labelValues: [String: [String: Postings]] { values }

    /// The series a sender means; nil when the head does not have it.
    func find(_ reference: SeriesReference) -> HeadSeries? {
        if case .known(let id, let labels) = reference, let known = byID[id.rawValue], known.labels == labels {
            return known
        }
        return byLabels[reference.labels]
    }

    /// As `find`, trying first what came behind `previous` the last time.
    mutating func find(_ reference: SeriesReference, after previous: HeadSeries?) -> HeadSeries? {
        guard let previous else { return find(reference) }
        let place = previous.number.load(ordering: .relaxed)
        let guess = successors[place]
        if guess < series.count, series[guess].labels == reference.labels { return series[guess] }
        let found = find(reference)
        if let found { successors[place] = found.number.load(ordering: .relaxed) }
        return found
    }

    /// A number for a builder to mark series with.
    mutating func takeBuilderNumber() -> UInt64 {
        builderCount += 1
        return builderCount
    }

    /// How many series have this value of a name.
    func count(name: String, value: String) -> Int { values[name]?[value]?.count ?? 0 }

    /// Adds a series to the group of `target`.
    mutating func add(_ labels: Labels, target: Labels) -> HeadSeries {
        let group: HeadGroup
        if let known = groups[target] {
            group = known
        } else {
            group = HeadGroup(id: takeID(), target: target)
            groups[target] = group
        }
        let id = takeID()
        let added = group.state.withLock { state in
            let column = state.freeColumns.popLast() ?? state.series.count
            let added = HeadSeries(id: id, labels: labels, group: group, column: column)
            if column < state.series.count { state.series[column] = added } else { state.series.append(added) }
            return added
        }
        insert(added)
        return added
    }

    /// Keeps only the series and groups that `isKept` wants; numbers change.
    mutating func remove(series gone: Set<UInt64>, emptyGroups: [Labels]) {
        let kept = series.filter { !gone.contains($0.id) }
        version += 1
        series = []
        successors = []
        byLabels = [:]
        byID = [:]
        values = [:]
        memoryBytes = 0
        for one in kept { insert(one) }
        for target in emptyGroups { groups[target] = nil }
    }

    private mutating func takeID() -> UInt64 {
        defer { nextID += 1 }
        return nextID
    }

    private mutating func insert(_ added: HeadSeries) {
        let number = UInt32(series.count)
        version += 1
        series.append(added)
        successors.append(series.count)
        added.number.store(series.count - 1, ordering: .relaxed)
        byLabels[added.labels] = added
        byID[added.id] = added
        for pair in added.labels.pairs {
            values[pair.name, default: [:]][pair.value, default: .empty].append(number)
        }
        // Labels, object, two dictionary entries, postings.
        memoryBytes += added.labels.encoded.count + 400
    }
}
