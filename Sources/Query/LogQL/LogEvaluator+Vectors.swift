internal import Telemetry

/// What is done with the series that range functions give: the algebra of PromQL, with LogQL's few functions.
extension LogEvaluator {
    func vectorAggregation(_ node: LogVectorAggregation) throws -> [SeriesColumn] {
        let columns = try operand(of: node)
        switch node.function {
        case .sort: return LogEvaluator.sorted(columns, isDescending: false)
        case .sortDescending: return LogEvaluator.sorted(columns, isDescending: true)
        default: break
        }
        var table = GroupTable(
            LabelGrouping(node.grouping?.labels ?? [], isWithout: node.grouping?.isWithout ?? false))
        var groups: [(labels: Labels, members: [SeriesColumn])] = []
        for column in columns {
            let isWithout = node.grouping?.isWithout ?? false
            let place = table.place(of: isWithout ? column.labels.droppingEmptyValues : column.labels)
            if place == groups.count { groups.append((table.labels[place], [])) }
            groups[place].members.append(column)
        }
        var result: [SeriesColumn] = []
        for group in groups {
            if node.function.takesParameter {
                result += LogEvaluator.extremes(
                    group.members, count: Int(node.parameter ?? 1), isLargest: node.function != .bottomk)
                continue
            }
            var column = SeriesColumn(labels: group.labels, count: times.count)
            LogEvaluator.fold(node.function, group.members, into: &column)
            if !column.isEmpty { result.append(column) }
        }
        return result
    }

    /// A sum of counts needs of each line only the labels it is grouped by.
    private func operand(of node: LogVectorAggregation) throws -> [SeriesColumn] {
        if node.function == .sum, case .rangeAggregation(let inner) = node.operand, inner.grouping == nil,
            [.count, .rate, .bytes, .bytesRate, .sum].contains(inner.function)
        {
            let outer = node.grouping ?? LogGrouping(labels: [], isWithout: false)
            return try rangeAggregation(inner, outer: outer)
        }
        guard case .vector(let columns) = try evaluate(node.operand) else {
            throw QueryError(.execution, "\(node.function.rawValue) of a number")
        }
        return columns
    }

    /// Ordered by the value at the first step, NaN last. A range is ordered by its labels in the end.
    private static func sorted(_ columns: [SeriesColumn], isDescending: Bool) -> [SeriesColumn] {
        columns.sorted { left, right in
            guard let a = left.values.first, let b = right.values.first else { return false }
            return LogEvaluator.comes(a, before: b, isLargestFirst: isDescending)
        }
    }

    private static func comes(_ a: Double, before b: Double, isLargestFirst: Bool) -> Bool {
        if a.isNaN || b.isNaN { return !a.isNaN }
        return isLargestFirst ? a > b : a < b
    }

    private static func fold(
        _ function: LogVectorFunction, _ columns: [SeriesColumn], into result: inout SeriesColumn
    ) {
        guard let operation = AggregationOperator(function) else { return }
        var fold = GroupFold(operation, steps: result.values.count)
        for column in columns { fold.add(column) }
        fold.finish(into: &result)
    }

    /// At each step only the `count` largest (or smallest) values stay.
    private static func extremes(_ columns: [SeriesColumn], count: Int, isLargest: Bool) -> [SeriesColumn] {
        var kept = columns
        for step in columns.first?.values.indices ?? 0..<0 {
            let present = columns.indices.filter { columns[$0].hasNumber(at: step) }
            let ordered = present.sorted { left, right in
                let (a, b) = (columns[left].values[step], columns[right].values[step])
                return comes(a, before: b, isLargestFirst: isLargest)
            }
            for place in ordered.dropFirst(count) { kept[place].clear(at: step) }
        }
        return kept.filter { !$0.isEmpty }
    }

    func binary(_ node: LogBinary) throws -> Evaluated {
        let left = try evaluate(node.left)
        let right = try divisible(evaluate(node.right), node.operation)
        switch (left, right) {
        case (.scalar(let a), .scalar(let b)):
            return .scalar(zip(a, b).map { Arithmetic.apply(node.operation, $0, $1) })
        case (.vector(let columns), .scalar(let numbers)):
            return .vector(withNumbers(columns, numbers, node, isNumberLeft: false))
        case (.scalar(let numbers), .vector(let columns)):
            return .vector(withNumbers(columns, numbers, node, isNumberLeft: true))
        case (.vector(let left), .vector(let right)):
            let matching = node.matching ?? VectorMatching()
            switch node.operation {
            case .and: return .vector(SetOperation.intersection(left, right, matching))
            case .or: return .vector(try SetOperation.union(left, right, matching, steps: times.count))
            case .unless: return .vector(SetOperation.difference(left, right, matching))
            default:
                let operation = VectorOperation(
                    operation: node.operation, matching: matching, returnsBool: node.returnsBool, steps: times.count,
                    namesDuplicates: false)
                // Loki forgets empty labels where it computes labels anew.
                return .vector(
                    try operation.evaluate(LogEvaluator.withoutEmpty(left), LogEvaluator.withoutEmpty(right)))
            }
        default: throw QueryError(.execution, "a string cannot be an operand")
        }
    }

    private static func withoutEmpty(_ columns: [SeriesColumn]) -> [SeriesColumn] {
        columns.map { column in
            var column = column
            column.labels = column.labels.droppingEmptyValues
            return column
        }
    }

    /// Loki divides nothing by zero: the result is no number, rather than infinite. NaN as the divisor gives that.
    private func divisible(_ value: Evaluated, _ operation: BinaryOperator) -> Evaluated {
        guard operation == .divide || operation == .modulo else { return value }
        switch value {
        case .scalar(let values): return .scalar(values.map { $0 == 0 ? .nan : $0 })
        case .vector(var columns):
            for index in columns.indices {
                for step in columns[index].values.indices where columns[index].values[step] == 0 {
                    columns[index].values[step] = .nan
                }
            }
            return .vector(columns)
        case .string: return value
        }
    }

    func labelReplace(_ node: LogLabelReplace) throws -> [SeriesColumn] {
        let expression = try RegularExpression("^(?:\(node.pattern))$")
        guard case .vector(var columns) = try evaluate(node.operand) else {
            throw QueryError(.execution, "label_replace of a number")
        }
        for index in columns.indices {
            let labels = columns[index].labels
            let value = labels[node.source] ?? ""
            guard let replaced = try GroupTemplate.expand(node.replacement, expression, value, in: context) else {
                continue
            }
            try context.reserve(replaced.utf8.count)
            columns[index].labels = labels.setting(node.destination, to: replaced).droppingEmptyValues
        }
        return try MergedColumns.merged(columns)
    }

    private func withNumbers(
        _ columns: [SeriesColumn], _ numbers: [Double], _ node: LogBinary, isNumberLeft: Bool
    ) -> [SeriesColumn] {
        columns.compactMap { column in
            var result = column
            for step in column.values.indices where column.hasNumber(at: step) {
                let value = column.values[step]
                let (a, b) = isNumberLeft ? (numbers[step], value) : (value, numbers[step])
                guard node.operation.isComparison else {
                    result.values[step] = Arithmetic.apply(node.operation, a, b)
                    continue
                }
                let holds = Arithmetic.holds(node.operation, a, b)
                if node.returnsBool {
                    result.values[step] = holds ? 1 : 0
                } else if !holds {
                    result.clear(at: step)
                }
            }
            return result.isEmpty ? nil : result
        }
    }
}

extension Labels {
    /// Without labels whose value is empty.
    fileprivate var droppingEmptyValues: Labels {
        var empty: Set<String> = []
        forEachPair { name, value in
            if value.isEmpty { empty.insert(String(decoding: name, as: UTF8.self)) }
        }
        return empty.isEmpty ? self : dropping(empty)
    }
}

extension AggregationOperator {
    /// PromQL's name for one of LogQL's folds; nil for those that only choose or order series.
    fileprivate init?(_ function: LogVectorFunction) {
        switch function {
        case .sum: self = .sum
        case .average: self = .avg
        case .count: self = .count
        case .maximum: self = .max
        case .minimum: self = .min
        case .deviation: self = .stddev
        case .variance: self = .stdvar
        case .topk, .bottomk, .approximateTopk, .sort, .sortDescending: return nil
        }
    }
}
