internal import Telemetry

/// `info(v, {data="x"})`: adds to the series of `v` the labels of the info series that describe the same target.
///
/// Source: Prometheus' documentation of `info`, and `promql/info.go` of 3.14 for what it leaves open.
struct InfoFunction {
    /// An info series describes the target with the same values of these.
    private static let identifyingNames: Set<String> = ["instance", "job"]
    private static let defaultMetric = "target_info"

    private let evaluator: Evaluator
    private let base: [SeriesColumn]
    /// Which metrics are info metrics.
    private let nameMatchers: [LabelMatcher]
    /// Which of their labels are wanted, and which values they must have; all where there are none.
    private let dataMatchers: [LabelMatcher]
    private let isBare: Bool

    @Sendable static func evaluate(_ evaluator: Evaluator, _ call: Call) throws -> Evaluated {
        var matchers: [LabelMatcher] = []
        if call.arguments.count > 1, case .vector(let selector) = call.arguments[1] { matchers = selector.matchers }
        let function = InfoFunction(
            evaluator: evaluator, base: try evaluator.vector(call.arguments[0]),
            nameMatchers: matchers.filter { $0.name == Labels.metricNameLabel },
            dataMatchers: matchers.filter { $0.name != Labels.metricNameLabel }, isBare: call.arguments.count == 1)
        let info = try function.infoSeries(call.arguments[0])
        return .vector(try function.combined(with: info))
    }

    /// Info series themselves stay as they are.
    private func isInfo(_ labels: Labels) -> Bool {
        let name = labels.metricName ?? ""
        if isBare { return name == InfoFunction.defaultMetric }
        return !nameMatchers.isEmpty && nameMatchers.allSatisfy { $0.matches(name) }
    }

    // MARK: Info series

    /// When the info series that may describe the base were sampled last, at each step. They are looked up when the
    /// first selector of the base is.
    private func infoSeries(_ operand: Expression) throws -> [SeriesColumn] {
        var values: [String: Set<String>] = [:]
        for column in base where !isInfo(column.labels) {
            for name in InfoFunction.identifyingNames {
                if let value = column.labels[name] { values[name, default: []].insert(value) }
            }
        }
        guard !values.isEmpty else { return [] }
        var matchers = nameMatchers + dataMatchers
        if nameMatchers.isEmpty { matchers.append(.equal(Labels.metricNameLabel, InfoFunction.defaultMetric)) }
        for (name, values) in values.sorted(by: { $0.key < $1.key }) {
            let pattern = values.sorted().map(InfoFunction.escaped).joined(separator: "|")
            matchers.append(try LabelMatcher(name, .matchesRegex, pattern))
        }
        var selector = VectorSelector(name: "", matchers: matchers)
        var first: VectorSelector?
        operand.forEachSelector { first = first ?? $0 }
        if let first { selector.modifiers = first.modifiers }
        return try evaluator.latest(selector, .time)
    }

    /// `text` as an expression that matches nothing else.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            if "\\.+*?()|[]{}^$".unicodeScalars.contains(scalar) { result += "\\" }
            result.unicodeScalars.append(scalar)
        }
        return result
    }

    // MARK: Combining

    /// The info series of one metric and one target: of several the one sampled last counts.
    private struct Group {
        let metric: String
        var members: [Int] = []
    }

    private func combined(with info: [SeriesColumn]) throws -> [SeriesColumn] {
        var groups: [Labels: [Group]] = [:]
        for (index, column) in info.enumerated() {
            let metric = column.labels.metricName ?? ""
            let target = column.labels.keeping(InfoFunction.identifyingNames)
            let place = groups[target, default: []].firstIndex { $0.metric == metric }
            if let place {
                groups[target]?[place].members.append(index)
            } else {
                groups[target, default: []].append(Group(metric: metric, members: [index]))
            }
        }
        let needsInfo = dataMatchers.contains { !$0.matchesAbsence }
        var result = Merging(steps: evaluator.times.count)
        for column in base {
            try evaluator.context.check()
            if isInfo(column.labels) {
                for step in column.values.indices { try result.put(column, column.labels, at: step) }
                continue
            }
            let own = groups[column.labels.keeping(InfoFunction.identifyingNames)] ?? []
            var known: [[Int]: Labels] = [:]
            for step in column.values.indices where column.isPresent(at: step) {
                let partners = try own.compactMap { try newest($0, info, at: step) }
                if partners.isEmpty, needsInfo { continue }
                let labels = try known[partners] ?? enriched(column.labels, partners.map { info[$0].labels })
                known[partners] = labels
                try result.put(column, labels, at: step)
            }
        }
        return result.columns
    }

    private func newest(_ group: Group, _ info: [SeriesColumn], at step: Int) throws -> Int? {
        var best: Int?
        for index in group.members where info[index].hasNumber(at: step) {
            guard let kept = best else {
                best = index
                continue
            }
            let (old, new) = (info[kept].values[step], info[index].values[step])
            if old == new {
                func text(_ column: SeriesColumn) -> String {
                    "\(column.labels) @ \(Int64((column.values[step] * 1000).rounded()))"
                }
                throw QueryError(
                    .execution,
                    "found duplicate series for info metric: existing \(text(info[kept])), new \(text(info[index]))")
            }
            if new > old { best = index }
        }
        return best
    }

    /// `labels` with the wanted labels of info series; what the base has it keeps.
    private func enriched(_ labels: Labels, _ info: [Labels]) throws -> Labels {
        var added: [String: String] = [:]
        let wanted = Set(dataMatchers.map(\.name))
        for source in info {
            for (name, value) in source.pairs where name != Labels.metricNameLabel {
                guard wanted.isEmpty || wanted.contains(name) else { continue }
                if let known = added[name], known != value {
                    throw QueryError(.execution, "conflicting label: \(name)")
                }
                if labels[name] == nil { added[name] = value }
            }
        }
        return added.isEmpty ? labels : Labels(labels.pairs + added.map { (name: $0.key, value: $0.value) })
    }
}

/// The series of the result as they come up; two may not have a value at one step.
private struct Merging {
    let steps: Int
    private(set) var columns: [SeriesColumn] = []
    private var places: [Labels: Int] = [:]

    init(steps: Int) {
        self.steps = steps
    }

    mutating func put(_ source: SeriesColumn, _ labels: Labels, at step: Int) throws {
        guard source.isPresent(at: step) else { return }
        let place = places[labels] ?? columns.count
        if place == columns.count {
            places[labels] = place
            columns.append(SeriesColumn(labels: labels, count: steps))
            columns[place].dropsName = source.dropsName
        }
        guard !columns[place].isPresent(at: step) else {
            throw QueryError(.execution, "vector cannot contain metrics with the same labelset")
        }
        columns[place].values[step] = source.values[step]
        columns[place].set(source.histogram(at: step), at: step)
    }
}
