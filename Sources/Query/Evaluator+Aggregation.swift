internal import Telemetry

/// Folds the series of a vector, group by group.
extension Evaluator {
    func aggregation(_ node: Aggregation) throws -> Evaluated {
        switch node.operation {
        case .countValues: return .vector(try countValues(node))
        case .topk, .bottomk, .limitk, .limitRatio: return .vector(try selected(node))
        case .quantile: return .vector(try quantiles(node))
        default: return .vector(try folded(node))
        }
    }

    // MARK: sum, avg, count and their like

    /// The groups of one run of series.
    private struct Folds: Sendable {
        var table: GroupTable
        var groups: [GroupFold] = []
    }

    /// Each series goes into the fold of its group as it comes, and is forgotten.
    private func folded(_ node: Aggregation) throws -> [SeriesColumn] {
        let steps = times.count
        let bytes = GroupFold.bytes(node.operation, steps: steps)
        let context = context
        let folds = try fold(try operandStream(node)) {
            Folds(table: GroupTable(LabelGrouping(node.grouping, isWithout: node.isWithout)))
        } _: { folds, column in
            let place = folds.table.place(of: column.labels)
            if place == folds.groups.count {
                try context.reserve(bytes + 2 * folds.table.labels[place].encoded.count)
                folds.groups.append(GroupFold(node.operation, steps: steps))
            }
            // The members with histograms stay until the end.
            if !column.histograms.isEmpty { try context.reserve(column.bytes) }
            folds.groups[place].add(column)
        } _: { whole, part in
            for (index, group) in part.groups.enumerated() {
                let place = whole.table.place(of: part.table.labels[index])
                if place == whole.groups.count {
                    whole.groups.append(group)
                } else {
                    whole.groups[place].merge(group)
                }
            }
        }
        return try finished(folds, node)
    }

    /// The series of an aggregation; of those that are only counted the values are not read.
    private func operandStream(_ node: Aggregation) throws -> ColumnStream {
        guard node.operation == .count || node.operation == .group, case .vector = node.operand.unwrapped else {
            return try stream(node.operand)
        }
        var counting = self
        counting.readsOnlyPresence = true
        return try counting.stream(node.operand)
    }

    private func finished(_ folds: Folds, _ node: Aggregation) throws -> [SeriesColumn] {
        if folds.groups.contains(where: \.ignoresHistograms) { informOfIgnoredHistograms(node) }
        var result: [SeriesColumn] = []
        result.reserveCapacity(folds.groups.count)
        for (labels, group) in zip(folds.table.labels, folds.groups) {
            try context.check()
            var column = SeriesColumn(labels: labels, count: times.count)
            group.finish(into: &column)
            if !group.histogramMembers.isEmpty { try foldHistograms(group.histogramMembers, node, into: &column) }
            guard !column.isEmpty else { continue }
            try context.reserve(column.bytes, samples: column.values.count)
            result.append(column)
        }
        let held = GroupFold.bytes(node.operation, steps: times.count)
        context.release(folds.groups.count * held)
        return result
    }

    func informOfIgnoredHistograms(_ node: Aggregation) {
        inform("ignored histogram in \(node.operation.rawValue) aggregation", at: node.operand.span)
    }

    // MARK: Aggregations that need all series at once

    /// Series that share the labels they are grouped by, in order of appearance.
    struct Group {
        let labels: Labels
        var members: [Int] = []
    }

    func grouped(_ columns: [SeriesColumn], _ node: Aggregation) -> [Group] {
        var table = GroupTable(LabelGrouping(node.grouping, isWithout: node.isWithout))
        var groups: [Group] = []
        for (index, column) in columns.enumerated() {
            let place = table.place(of: column.labels)
            if place == groups.count { groups.append(Group(labels: table.labels[place])) }
            groups[place].members.append(index)
        }
        return groups
    }

    private func quantiles(_ node: Aggregation) throws -> [SeriesColumn] {
        let ranks = try node.parameter.map { try scalar($0) } ?? []
        if let parameter = node.parameter { warnOfBadRanks(ranks, parameter) }
        let columns = try vector(node.operand)
        if columns.contains(where: { $0.histograms.contains { $0 != nil } }) { informOfIgnoredHistograms(node) }
        var result: [SeriesColumn] = []
        var values: [Double] = []
        var meter = WorkMeter(context)
        for group in grouped(columns, node) {
            try context.check()
            var column = SeriesColumn(labels: group.labels, count: times.count)
            column.dropsName = group.members.contains { columns[$0].dropsName }
            for step in 0..<times.count {
                values.removeAll(keepingCapacity: true)
                for member in group.members where columns[member].hasNumber(at: step) {
                    values.append(columns[member].values[step])
                }
                try meter.spend(group.members.count * 4)
                if !values.isEmpty { column.values[step] = Quantile.of(&values, ranks[step]) }
            }
            guard !column.isEmpty else { continue }
            try context.reserve(column.bytes, samples: column.values.count)
            result.append(column)
        }
        release(columns)
        return result
    }

    private func warnOfBadRanks(_ ranks: [Double], _ parameter: Expression) {
        if ranks.contains(where: \.isNaN) { Quantile.warn(.nan, at: parameter.span, self) }
        let numbers = ranks.filter { !$0.isNaN }
        if let highest = numbers.max(), highest > 1 { Quantile.warn(highest, at: parameter.span, self) }
        if let lowest = numbers.min(), lowest < 0 { Quantile.warn(lowest, at: parameter.span, self) }
    }

    private func countValues(_ node: Aggregation) throws -> [SeriesColumn] {
        let label = node.parameter.map { string($0) } ?? ""
        guard LabelSets.isValidName(label) else {
            throw QueryError(.execution, "invalid label name \(node.parameter?.description ?? "")")
        }
        let columns = try vector(node.operand)
        let kept = node.isWithout ? node.grouping : node.grouping + [label]
        var table = GroupTable(LabelGrouping(kept, isWithout: node.isWithout))
        var result: [SeriesColumn] = []
        for column in columns {
            try context.check()
            var cached: [UInt64: Int] = [:]
            for step in column.values.indices where column.isPresent(at: step) {
                let bits = column.hasNumber(at: step) ? column.values[step].bitPattern : nil
                let place =
                    bits.flatMap { cached[$0] }
                    ?? table.place(of: column.labels.setting(label, to: valueText(column, step)))
                if let bits { cached[bits] = place }
                if place == result.count {
                    let column = SeriesColumn(labels: table.labels[place], count: times.count)
                    try context.reserve(column.bytes, samples: column.values.count)
                    result.append(column)
                }
                let count = result[place].values[step]
                result[place].values[step] = SeriesColumn.isAbsent(count) ? 1 : count + 1
            }
        }
        release(columns)
        return result
    }

    private func valueText(_ column: SeriesColumn, _ step: Int) -> String {
        column.histogram(at: step)?.goText ?? FloatText.plain(column.values[step])
    }
}
