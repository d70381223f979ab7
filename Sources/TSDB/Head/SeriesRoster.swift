internal import Telemetry

/// A list of series that its sender keeps, and what it is in the head: all of one group, each once.
struct SeriesRoster {
    let series: [SeriesReference]
    let group: HeadGroup
    let columns: [UInt32]
}

/// The lists of one group that were used last. An agent has two for some targets: what each tick reads, and what an
/// event in between has told.
struct SeriesRosters {
    private static let maximum = 2

    /// The one used last first.
    private var rosters: [SeriesRoster] = []

    /// The roster of that very array, not of an equal one: a look at its address. It is kept alive here, so that no
    /// other can be there.
    mutating func find(_ series: [SeriesReference]) -> SeriesRoster? {
        guard let place = rosters.firstIndex(where: { $0.series.isSameStorage(as: series) }) else { return nil }
        if place > 0 { rosters.swapAt(0, place) }
        return rosters[0]
    }

    /// Adds one, in place of the one that was used the longest ago.
    mutating func add(_ roster: SeriesRoster) {
        if rosters.count == Self.maximum { rosters.removeLast() }
        rosters.insert(roster, at: 0)
    }
}

extension Array {
    /// Whether both are one array in memory.
    fileprivate func isSameStorage(as other: [Element]) -> Bool {
        guard count == other.count else { return false }
        return withUnsafeBufferPointer { mine in other.withUnsafeBufferPointer { mine.baseAddress == $0.baseAddress } }
    }
}
