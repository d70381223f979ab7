internal import Telemetry

/// The newest exemplars of all series, in the order of arrival, each once. The oldest makes room for the next.
struct ExemplarRing {
    private struct Entry: Hashable {
        /// A place in `series`.
        var series: Int
        var exemplar: Exemplar
    }

    private struct Series {
        var labels: Labels
        var count = 0
    }

    private let maximum: Int
    private var entries: [Entry] = []
    /// The oldest entry, once there are as many as there may be.
    private var oldest = 0
    private var known: Set<Entry> = []
    private var series: [Series] = []
    private var placeOf: [Labels: Int] = [:]
    private var free: [Int] = []

    /// The number of exemplars.
    var count: Int { entries.count }

    /// An estimate of the memory held.
    private(set) var memoryBytes = 0

    /// A ring of at most `maximum`.
    init(maximum: Int) {
        self.maximum = maximum
    }

    /// Adds exemplars of one series; those that are there already change nothing.
    mutating func add(_ new: SeriesExemplars) {
        guard maximum > 0, !new.exemplars.isEmpty else { return }
        let place = place(of: new.labels)
        for exemplar in new.exemplars {
            let entry = Entry(series: place, exemplar: exemplar)
            guard known.insert(entry).inserted else { continue }
            series[place].count += 1
            memoryBytes += Self.memoryBytes(of: entry)
            if entries.count < maximum {
                entries.append(entry)
            } else {
                let gone = entries[oldest]
                entries[oldest] = entry
                oldest = (oldest + 1) % maximum
                release(gone)
            }
        }
        if series[place].count == 0 { remove(place) }
    }

    /// Takes out what `isGone` says.
    mutating func remove(where isGone: (Labels, Exemplar) -> Bool) {
        let all = inOrder
        self = ExemplarRing(maximum: maximum)
        for one in all {
            add(SeriesExemplars(labels: one.labels, exemplars: one.exemplars.filter { !isGone(one.labels, $0) }))
        }
    }

    /// Everything in the order of arrival; neighbours of one series together.
    var inOrder: [SeriesExemplars] {
        var all: [SeriesExemplars] = []
        var last: Int?
        for entry in entries[oldest...] + entries[..<oldest] {
            if last != entry.series { all.append(SeriesExemplars(labels: series[entry.series].labels, exemplars: [])) }
            all[all.count - 1].exemplars.append(entry.exemplar)
            last = entry.series
        }
        return all
    }

    /// The exemplars within `range` of the series that satisfy one of the selectors, as the port says.
    func select(_ selectors: [[LabelMatcher]], _ range: TimeRange) -> [SeriesExemplars] {
        let wanted = series.map { one in
            one.count > 0 && selectors.contains { $0.allSatisfy { $0.matches(one.labels) } }
        }
        var found: [Int: [Exemplar]] = [:]
        for entry in entries where wanted[entry.series] && range.contains(entry.exemplar.milliseconds) {
            found[entry.series, default: []].append(entry.exemplar)
        }
        return found.map { place, exemplars in
            SeriesExemplars(
                labels: series[place].labels, exemplars: exemplars.sorted { $0.milliseconds < $1.milliseconds })
        }.sorted { $0.labels < $1.labels }
    }

    private mutating func place(of labels: Labels) -> Int {
        if let known = placeOf[labels] { return known }
        let place = free.popLast() ?? series.count
        if place == series.count { series.append(Series(labels: labels)) }
        series[place] = Series(labels: labels)
        placeOf[labels] = place
        memoryBytes += labels.encoded.count + 128
        return place
    }

    private mutating func release(_ entry: Entry) {
        known.remove(entry)
        memoryBytes -= Self.memoryBytes(of: entry)
        series[entry.series].count -= 1
        if series[entry.series].count == 0 { remove(entry.series) }
    }

    private mutating func remove(_ place: Int) {
        memoryBytes -= series[place].labels.encoded.count + 128
        placeOf[series[place].labels] = nil
        series[place] = Series(labels: .empty)
        free.append(place)
    }

    private static func memoryBytes(of entry: Entry) -> Int {
        entry.exemplar.labels.encoded.count + 32 + 3 * MemoryLayout<Entry>.stride
    }
}
