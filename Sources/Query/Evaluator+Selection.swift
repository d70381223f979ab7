internal import Telemetry

/// `topk`, `bottomk`, `limitk`, `limit_ratio`: they choose series and leave them as they are.
extension Evaluator {
    func selected(_ node: Aggregation, _ names: Set<String>) throws -> [SeriesColumn] {
        guard let parameter = node.parameter else { return [] }
        let parameters = try scalar(parameter)
        let columns = try vector(node.operand)
        if node.operation == .limitRatio { return try sampled(columns, parameters, parameter) }
        guard try isSelecting(parameters) else { return [] }
        if node.operation == .topk || node.operation == .bottomk, columns.contains(where: { !$0.histograms.isEmpty }) {
            inform("ignored histogram in \(node.operation.rawValue) aggregation", at: node.span)
        }
        let groups = grouped(columns, names, isWithout: node.isWithout)
        if isInstant {
            return groups.flatMap { group in
                chosen(group.members, columns, node.operation, limit: parameters[0], at: 0).map { columns[$0] }
            }
        }
        var kept = columns.map { SeriesColumn(labels: $0.labels, count: times.count) }
        for index in kept.indices { kept[index].dropsName = columns[index].dropsName }
        for step in 0..<times.count {
            try context.check()
            for group in groups {
                for member in chosen(group.members, columns, node.operation, limit: parameters[step], at: step) {
                    kept[member].values[step] = columns[member].values[step]
                    kept[member].set(columns[member].histogram(at: step), at: step)
                }
            }
        }
        return kept.filter { !$0.isEmpty }
    }

    /// Whether any step selects anything; a parameter that is no whole number of series is an error.
    private func isSelecting(_ parameters: [Double]) throws(QueryError) -> Bool {
        let numbers = parameters.filter { !$0.isNaN }
        if let highest = numbers.max(), highest < 1, numbers.count == parameters.count { return false }
        guard numbers.count == parameters.count, let lowest = numbers.min(), let highest = numbers.max() else {
            throw QueryError(.execution, "Parameter value is NaN")
        }
        if lowest <= Double(Int64.min) {
            throw QueryError(.execution, "Scalar value \(GoText.value(lowest)) underflows int64")
        }
        if highest >= Double(Int64.max) {
            throw QueryError(.execution, "Scalar value \(GoText.value(highest)) overflows int64")
        }
        return true
    }

    /// The members of a group that are selected at a step, best first.
    private func chosen(
        _ members: [Int], _ columns: [SeriesColumn], _ operation: AggregationOperator, limit: Double, at step: Int
    ) -> [Int] {
        let count = Int(min(limit, Double(members.count)))
        guard count >= 1 else { return [] }
        if operation == .limitk {
            return Array(members.filter { columns[$0].isPresent(at: step) }.prefix(count))
        }
        let isTop = operation == .topk
        let present = members.enumerated().filter { columns[$0.element].hasNumber(at: step) }
        let ordered = present.sorted { left, right in
            let (a, b) = (columns[left.element].values[step], columns[right.element].values[step])
            // NaN comes last either way; equals keep their order.
            if a.isNaN || b.isNaN { return a.isNaN == b.isNaN ? left.offset < right.offset : b.isNaN }
            return a == b ? left.offset < right.offset : (a > b) == isTop
        }
        return ordered.prefix(count).map(\.element)
    }

    // MARK: limit_ratio

    /// Every series has a fixed place between 0 and 1; a ratio keeps those below it, a negative one the others.
    private func sampled(
        _ columns: [SeriesColumn], _ ratios: [Double], _ parameter: Expression
    ) throws(QueryError) -> [SeriesColumn] {
        if ratios.contains(where: \.isNaN) { throw QueryError(.execution, "Ratio value is NaN") }
        if let highest = ratios.max(), highest > 1 { warnOfRatio(highest, 1, parameter) }
        if let lowest = ratios.min(), lowest < -1 { warnOfRatio(lowest, -1, parameter) }
        var kept: [SeriesColumn] = []
        for column in columns {
            var column = column
            let place = RatioSample.place(of: column.labels)
            for step in column.values.indices where !RatioSample.isKept(place, ratio: ratios[step]) {
                column.clear(at: step)
            }
            if !column.isEmpty { kept.append(column) }
        }
        return kept
    }

    private func warnOfRatio(_ ratio: Double, _ limit: Double, _ parameter: Expression) {
        let (given, capped) = (FloatText.general(ratio), FloatText.general(limit))
        warn("ratio value should be between -1 and 1, got \(given), capping to \(capped)", at: parameter.span)
    }
}
