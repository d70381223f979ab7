internal import Telemetry

/// The samples of a range aggregation, by series, in time order.
struct LogSamples {
    /// The samples of one series.
    struct Series {
        let labels: Labels
        var timesNanoseconds: [Int64] = []
        var values: [Double] = []
    }

    static let bytesPerSample = 16

    private let picked: LabelGrouping
    private let isGrouped: Bool
    private(set) var series: [Series] = []
    /// Where the lines with these labels belong.
    private var places: [Labels: Int] = [:]
    private var groupPlaces: [Labels: Int] = [:]
    private var count = 0

    /// What the samples take in memory.
    var bytes: Int { count * LogSamples.bytesPerSample }

    init(_ node: LogRangeAggregation) {
        // The label that became the number says nothing about the series.
        let unwrapped = [node.unwrap?.label].compactMap { $0 }
        let grouping: LogGrouping
        switch node.grouping {
        case nil: grouping = LogGrouping(labels: unwrapped, isWithout: true)
        case let given? where given.isWithout:
            grouping = LogGrouping(labels: given.labels + unwrapped, isWithout: true)
        case let given?: grouping = given
        }
        picked = LabelGrouping(grouping.labels, isWithout: grouping.isWithout)
        isGrouped = !grouping.isWithout || !grouping.labels.isEmpty
    }

    mutating func append(_ labels: Labels, _ nanoseconds: Int64, _ value: Double) {
        let place = places[labels] ?? self.place(labels)
        series[place].timesNanoseconds.append(nanoseconds)
        series[place].values.append(value)
        count += 1
    }

    private mutating func place(_ labels: Labels) -> Int {
        var group = labels
        if isGrouped {
            group = picked.picked(labels)
        }
        let place = groupPlaces[group] ?? series.count
        if place == series.count {
            groupPlaces[group] = place
            series.append(Series(labels: group))
        }
        places[labels] = place
        return place
    }

    /// What a line counts for; nil when it has no number to give.
    static func value(of line: inout PipelineLine, _ node: LogRangeAggregation) -> Double? {
        guard let unwrap = node.unwrap else {
            return node.function.isOfBytes ? Double(line.text.count) : 1
        }
        guard let text = line.labels[unwrap.label], !text.isEmpty else { return nil }
        var value: Double = 0
        do throws(FieldNumber.Failure) {
            value = try unwrap.number(text)
        } catch {
            line.labels.fail(LineError.sample, error.message)
        }
        for filter in unwrap.filters where !filter.keeps(&line.labels) { return nil }
        return value
    }
}

extension LogUnwrap {
    /// The conversions by name. One line adds one.
    static let conversions: [String: @Sendable (String) throws(FieldNumber.Failure) -> Double] = [
        "": { (text) throws(FieldNumber.Failure) in try FieldNumber.plain(text) },
        "duration": { (text) throws(FieldNumber.Failure) in Double(try FieldNumber.nanoseconds(text)) / 1e9 },
        "duration_seconds": { (text) throws(FieldNumber.Failure) in Double(try FieldNumber.nanoseconds(text)) / 1e9 },
        "bytes": { (text) throws(FieldNumber.Failure) in try FieldNumber.bytes(text) },
    ]

    fileprivate func number(_ text: String) throws(FieldNumber.Failure) -> Double {
        guard let convert = LogUnwrap.conversions[conversion] else {
            throw FieldNumber.Failure(message: "unknown conversion \(conversion)")
        }
        return try convert(text)
    }
}
