internal import Query
internal import Telemetry

/// The samples that rules leave behind: recorded series, `ALERTS` and `ALERTS_FOR_STATE`, each ended by a stale marker.
struct RuleSeries {
    /// The series that had a value at the evaluation before, by rule.
    private var previous: [String: Set<Labels>] = [:]

    /// The samples of one evaluation of an alert rule: every pending and firing alert in the state it has now.
    mutating func samples(of rule: String, alerts: [AlertInstance], at time: Int64) -> SampleGroup {
        var group = SampleGroup()
        var current: Set<Labels> = []
        for alert in alerts where alert.state != .inactive {
            let state = alert.labels.setting("alertstate", to: alert.state.name)
            let series = [
                (state.setting(Labels.metricNameLabel, to: "ALERTS"), 1.0),
                (alert.labels.setting(Labels.metricNameLabel, to: "ALERTS_FOR_STATE"), Double(alert.activeAt / 1000)),
            ]
            for (labels, value) in series where current.insert(labels).inserted {
                group.append(labels, milliseconds: time, value: value)
            }
        }
        end(rule, &group, current, time)
        return group
    }

    /// The samples of one evaluation of a recording rule.
    mutating func samples(of rule: String, points: [SeriesPoint], at time: Int64) -> SampleGroup {
        var group = SampleGroup()
        var current: Set<Labels> = []
        for point in points where current.insert(point.labels).inserted {
            if let histogram = point.histogram {
                group.series.append(.labels(point.labels))
                group.histograms.append(
                    HistogramSample(
                        seriesIndex: UInt32(group.series.count - 1), milliseconds: time, histogram: histogram))
            } else {
                group.append(point.labels, milliseconds: time, value: point.value)
            }
        }
        end(rule, &group, current, time)
        return group
    }

    /// Stale markers for all series of rules that are gone.
    mutating func samples(ofRemoved rules: Set<String>, at time: Int64) -> SampleGroup {
        var group = SampleGroup()
        for rule in rules.sorted() { end(rule, &group, [], time) }
        for rule in rules { previous[rule] = nil }
        return group
    }

    private mutating func end(_ rule: String, _ group: inout SampleGroup, _ current: Set<Labels>, _ time: Int64) {
        for labels in previous[rule, default: []].subtracting(current).sorted() {
            group.append(labels, milliseconds: time, value: Sample.stale)
        }
        previous[rule] = current
    }
}
