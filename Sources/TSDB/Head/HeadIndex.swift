internal import Synchronization
internal import Telemetry

/// The series of the head by labels, by id and by label pair. Guarded by the head's lock.
struct HeadIndex: LabelIndex {
    /// By their number in the postings.
    private(set) var series: [HeadSeries] = []
    private(set) var groups: [Labels: HeadGroup] = [:]
    private var numbers = LabelTable()
    /// By name and value: where in `lists` the series with that pair are.
    private var places: [String: [String: Int]] = [:]
    private var lists: [Postings] = []
    /// The pairs of the series added last. Series come target by target and differ in few labels, so most pairs of a
    /// new one are found here and need no text.
    private var recentPairs: [RecentPair] = []
    /// Of series and groups.
    private let ids: IdentifierSource
    /// Ids given out for appends hold as long as the numbers do.
    private var generation: UInt64 = 1
    /// Blocks have samples up to this time.
    private(set) var sealedMilliseconds: Int64
    /// An estimate of the memory held.
    private(set) var memoryBytes = 0
    /// Changes with every change of the index.
    private(set) var version: UInt64 = 0
    /// By the id of their group; they hold as long as the columns do.
    private var rosters: [UInt64: SeriesRosters] = [:]

    /// A pair and the place of its postings.
    private struct RecentPair {
        var name: [UInt8]
        var value: [UInt8]
        var list: Int
    }

    /// What a series takes beside its labels: its place here and in its group, a dictionary entry, postings.
    private static let seriesBytes = 240

    /// An empty index.
    init(ids: IdentifierSource, sealedMilliseconds: Int64) {
        self.ids = ids
        self.sealedMilliseconds = sealedMilliseconds
    }

    /// Remembers that samples up to a time go to a block.
    mutating func noteSealed(_ milliseconds: Int64) { sealedMilliseconds = max(sealedMilliseconds, milliseconds) }

    var allSeries: Postings { Postings(0..<UInt32(series.count)) }

    func postings(name: String, value: String) -> Postings {
        places[name]?[value].map { lists[$0] } ?? .empty
    }

    func postings(name: String, prefix: String, where isWanted: (String) -> Bool) -> Postings {
        guard let all = places[name] else { return .empty }
        var runs: [Range<UInt32>] = []
        for (value, list) in all where value.utf8.starts(with: prefix.utf8) && isWanted(value) {
            runs.append(contentsOf: lists[list].runs)
        }
        return Postings(joining: runs)
    }

    /// Every label name with its values.
    var labelValues: [String: [String: Postings]] { places.mapValues { $0.mapValues { lists[$0] } } }

    /// How many series have this value of a name.
    func count(name: String, value: String) -> Int { places[name]?[value].map { lists[$0].count } ?? 0 }

    /// The number of the series a sender means by its id; nil when it names none that holds.
    func number(of reference: SeriesReference) -> Int? {
        guard case .known(let id, let labels) = reference, id.rawValue >> 32 == generation else { return nil }
        let number = Int(id.rawValue & 0xffff_ffff)
        return number < series.count && series[number].labels == labels ? number : nil
    }

    /// The number of the series a sender means by its labels; nil when the head does not have it.
    func find(_ labels: Labels) -> Int? { numbers.find(LabelTable.hash(labels)) { series[$0].labels == labels } }

    /// What names a series in later appends.
    func id(of number: Int) -> SeriesID { SeriesID(rawValue: generation << 32 | UInt64(number)) }

    /// The columns of the series of a group of samples, where its sender has sent that very list before.
    mutating func roster(of samples: SampleGroup) -> SeriesRoster? {
        guard samples.keepsSeries, let group = groups[samples.target] else { return nil }
        return rosters[group.id]?.find(samples.series)
    }

    /// Remembers which columns a list of series comes to that its sender keeps.
    mutating func remember(_ roster: SeriesRoster) {
        rosters[roster.group.id, default: SeriesRosters()].add(roster)
    }

    /// Adds a series to the group of `target`; its number.
    mutating func add(_ labels: Labels, target: Labels) -> Int {
        let group: HeadGroup
        if let known = groups[target] {
            group = known
        } else {
            group = HeadGroup(id: ids.next(), target: target, sealedMilliseconds: sealedMilliseconds)
            groups[target] = group
        }
        let column = group.addColumn(id: ids.next(), labels: labels, sealedMilliseconds: sealedMilliseconds)
        insert(HeadSeries(labels: labels, group: group, column: column))
        return series.count - 1
    }

    /// Takes out the series in these columns, and groups; numbers change.
    mutating func remove(_ gone: [ObjectIdentifier: Set<Int>], emptyGroups: [Labels]) {
        let kept = series.filter { gone[ObjectIdentifier($0.group)]?.contains($0.column) != true }
        version += 1
        generation += 1
        (series, numbers, places, lists, recentPairs, rosters) = ([], LabelTable(), [:], [], [], [:])
        memoryBytes = 0
        for one in kept { insert(one) }
        for target in emptyGroups { groups[target] = nil }
    }

    private mutating func insert(_ added: HeadSeries) {
        let number = UInt32(series.count)
        version += 1
        series.appendGradually(added)
        numbers.add(Int(number), LabelTable.hash(added.labels))
        var pairs: [RecentPair] = []
        pairs.reserveCapacity(recentPairs.count)
        var next = 0
        added.labels.forEachPair { name, value in
            let pair = recentPair(name, value, from: &next) ?? newPair(name, value)
            lists[pair.list].append(number)
            pairs.append(pair)
        }
        recentPairs = pairs
        memoryBytes += added.labels.encoded.count + Self.seriesBytes
    }

    /// A pair of the series before; names rise, so the search goes on where the last one ended.
    private func recentPair(
        _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, from next: inout Int
    ) -> RecentPair? {
        for index in next..<recentPairs.count {
            let recent = recentPairs[index]
            guard recent.name.withUnsafeBytes({ $0.isSame(as: name) }) else { continue }
            next = index + 1
            return recent.value.withUnsafeBytes { $0.isSame(as: value) } ? recent : nil
        }
        return nil
    }

    private mutating func newPair(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> RecentPair {
        let (nameText, valueText) = (String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self))
        let list: Int
        if let known = places[nameText]?[valueText] {
            list = known
        } else {
            list = lists.count
            lists.append(.empty)
            places[nameText, default: [:]][valueText] = list
        }
        return RecentPair(name: Array(name), value: Array(value), list: list)
    }
}
