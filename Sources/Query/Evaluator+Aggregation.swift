internal import Telemetry

/// Folds the series of a vector, group by group.
extension Evaluator {
    func aggregation(_ node: Aggregation) throws -> Evaluated {
        let names = Set(node.grouping)
        switch node.operation {
        case .countValues: return .vector(try countValues(node, names))
        case .topk, .bottomk, .limitk, .limitRatio: return .vector(try selected(node, names))
        default: break
        }
        let ranks = try node.parameter.map { try scalar($0) } ?? []
        if node.operation == .quantile, let parameter = node.parameter { warnOfBadRanks(ranks, parameter) }
        let columns = try vector(node.operand)
        let groups = grouped(columns, names, isWithout: node.isWithout)
        var result: [SeriesColumn] = []
        for group in groups {
            try context.check()
            var column = SeriesColumn(labels: group.labels, count: times.count)
            column.dropsName = group.members.contains { columns[$0].dropsName }
            try fold(group.members.map { columns[$0] }, node, ranks, into: &column)
            guard !column.isEmpty else { continue }
            try context.reserve(column.bytes)
            result.append(column)
        }
        for column in columns { context.release(column.bytes) }
        return .vector(result)
    }

    private func warnOfBadRanks(_ ranks: [Double], _ parameter: Expression) {
        if ranks.contains(where: \.isNaN) { Quantile.warn(.nan, at: parameter.span, self) }
        let numbers = ranks.filter { !$0.isNaN }
        if let highest = numbers.max(), highest > 1 { Quantile.warn(highest, at: parameter.span, self) }
        if let lowest = numbers.min(), lowest < 0 { Quantile.warn(lowest, at: parameter.span, self) }
    }

    /// Series that share the labels they are grouped by, in order of appearance.
    struct Group {
        let labels: Labels
        var members: [Int] = []
    }

    func grouped(_ columns: [SeriesColumn], _ names: Set<String>, isWithout: Bool) -> [Group] {
        var places: [Labels: Int] = [:]
        var groups: [Group] = []
        for (index, column) in columns.enumerated() {
            let labels = LabelSets.group(column.labels, by: names, isWithout: isWithout)
            let place = places[labels] ?? groups.count
            if place == groups.count {
                places[labels] = place
                groups.append(Group(labels: labels))
            }
            groups[place].members.append(index)
        }
        return groups
    }

    private func fold(
        _ columns: [SeriesColumn], _ node: Aggregation, _ ranks: [Double], into result: inout SeriesColumn
    ) throws {
        switch node.operation {
        case .count: ColumnFold.count(columns, into: &result)
        case .group: ColumnFold.group(columns, into: &result)
        case .sum: try foldWithHistograms(columns, node, into: &result) { ColumnFold.sum($0, into: &$1) }
        case .avg: try foldWithHistograms(columns, node, into: &result) { ColumnFold.mean($0, into: &$1) }
        case .min:
            informOfIgnoredHistograms(columns, node)
            ColumnFold.extreme(columns, into: &result) { $0 > $1 }
        case .max:
            informOfIgnoredHistograms(columns, node)
            ColumnFold.extreme(columns, into: &result) { $0 < $1 }
        case .stdvar, .stddev:
            informOfIgnoredHistograms(columns, node)
            ColumnFold.variance(columns, into: &result, isDeviation: node.operation == .stddev)
        case .quantile:
            informOfIgnoredHistograms(columns, node)
            ColumnFold.quantile(columns, ranks, into: &result)
        case .topk, .bottomk, .countValues, .limitk, .limitRatio: break
        }
    }

    func informOfIgnoredHistograms(_ columns: [SeriesColumn], _ node: Aggregation) {
        guard columns.contains(where: { $0.histograms.contains { $0 != nil } }) else { return }
        inform("ignored histogram in \(node.operation.rawValue) aggregation", at: node.operand.span)
    }

    // MARK: count_values

    private func countValues(_ node: Aggregation, _ names: Set<String>) throws -> [SeriesColumn] {
        let label = node.parameter.map { string($0) } ?? ""
        guard LabelSets.isValidName(label) else {
            throw QueryError(.execution, "invalid label name \(node.parameter?.description ?? "")")
        }
        let columns = try vector(node.operand)
        let kept = node.isWithout ? names : names.union([label])
        var places: [Labels: Int] = [:]
        var result: [SeriesColumn] = []
        for column in columns {
            var cached: [UInt64: Labels] = [:]
            for step in column.values.indices where column.isPresent(at: step) {
                let bits = column.hasNumber(at: step) ? column.values[step].bitPattern : nil
                let labels =
                    bits.flatMap { cached[$0] }
                    ?? LabelSets.group(
                        column.labels.setting(label, to: valueText(column, step)), by: kept,
                        isWithout: node.isWithout)
                if let bits { cached[bits] = labels }
                let place = places[labels] ?? result.count
                if place == result.count {
                    places[labels] = place
                    let column = SeriesColumn(labels: labels, count: times.count)
                    try context.reserve(column.bytes)
                    result.append(column)
                }
                let count = result[place].values[step]
                result[place].values[step] = SeriesColumn.isAbsent(count) ? 1 : count + 1
            }
        }
        return result
    }

    private func valueText(_ column: SeriesColumn, _ step: Int) -> String {
        column.histogram(at: step)?.goText ?? FloatText.plain(column.values[step])
    }
}
