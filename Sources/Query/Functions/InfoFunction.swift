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
    /// Which metrics are info metrics: `target_info` unless the call names others.
    private let nameMatchers: [LabelMatcher]
    /// Which of their labels are wanted, and which values they must have; all where there are none.
    private let dataMatchers: [LabelMatcher]

    @Sendable static func evaluate(_ evaluator: Evaluator, _ call: Call) throws -> Evaluated {
        var matchers: [LabelMatcher] = []
        if call.arguments.count > 1, case .vector(let selector) = call.arguments[1] { matchers = selector.matchers }
        let function = InfoFunction(
            evaluator: evaluator, base: try evaluator.vector(call.arguments[0]),
            nameMatchers: try names(matchers.filter { $0.name == Labels.metricNameLabel }),
            dataMatchers: matchers.filter { $0.name != Labels.metricNameLabel })
        let info = try function.infoSeries(call.arguments[0])
        return .vector(try function.combined(with: info))
    }

    /// Matchers that only exclude names are about those that look like an info metric's.
    private static func names(_ matchers: [LabelMatcher]) throws -> [LabelMatcher] {
        if matchers.isEmpty { return [.equal(Labels.metricNameLabel, defaultMetric)] }
        let includes = matchers.contains { $0.operation == .equal || $0.operation == .matchesRegex }
        return includes ? matchers : [try LabelMatcher(Labels.metricNameLabel, .matchesRegex, ".+_info")] + matchers
    }

    /// Info series themselves stay as they are.
    private func isInfo(_ labels: Labels) -> Bool {
        let name = labels.metricName ?? ""
        return nameMatchers.allSatisfy { $0.matches(name) }
    }

    // MARK: Info series

    /// When the info series that may describe the base were sampled last, at each step. They are looked up at the time
    /// that the first selector of the base looks at.
    private func infoSeries(_ operand: Expression) throws -> [SeriesColumn] {
        var values: [String: Set<String>] = [:]
        for column in base where !isInfo(column.labels) {
            for name in InfoFunction.identifyingNames {
                if let value = column.labels[name] { values[name, default: []].insert(value) }
            }
        }
        guard !values.isEmpty else { return [] }
        var matchers = nameMatchers + dataMatchers
        for (name, values) in values.sorted(by: { $0.key < $1.key }) {
            let pattern = values.sorted().map(InfoFunction.escaped).joined(separator: "|")
            matchers.append(try LabelMatcher(name, .matchesRegex, pattern))
        }
        var selector = VectorSelector(name: "", matchers: matchers)
        if let modifiers = InfoFunction.modifiersOfFirstSelector(operand) { selector.modifiers = modifiers }
        return try evaluator.latest(selector, .numberTime)
    }

    /// The modifiers of the first selector, with those of the sub-queries around it: offsets add up until an `@` fixes
    /// the time, which nothing further out moves. Nil when there is no selector.
    private static func modifiersOfFirstSelector(_ expression: Expression) -> TimeModifiers? {
        switch expression {
        case .vector(let selector): return selector.modifiers
        case .matrix(let matrix): return matrix.selector.modifiers
        case .subquery(let subquery):
            guard var modifiers = modifiersOfFirstSelector(subquery.inner) else { return nil }
            if modifiers.at == nil {
                modifiers.offset = .milliseconds(
                    modifiers.offsetMilliseconds + subquery.modifiers.offsetMilliseconds)
                modifiers.at = subquery.modifiers.at
            }
            return modifiers
        case .aggregation(let node):
            // The parameter is looked at last.
            return modifiersOfFirstSelector(node.operand) ?? node.parameter.flatMap(modifiersOfFirstSelector)
        default: return expression.children.lazy.compactMap(modifiersOfFirstSelector).first
        }
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
        for index in group.members where info[index].isPresent(at: step) {
            guard info[index].hasNumber(at: step) else {
                throw QueryError(.execution, "info sample should be float")
            }
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
