internal import Telemetry

/// What is done with the series that range functions give: the algebra of PromQL, with LogQL's few functions.
extension LogEvaluator {
    func vectorAggregation(_ node: LogVectorAggregation) throws -> [SeriesColumn] {
        guard case .vector(let columns) = try evaluate(node.operand) else {
            throw QueryError(.execution, "\(node.function.rawValue) of a number")
        }
        switch node.function {
        case .sort, .sortDescending, .approximateTopk: throw notSupported(node.function.rawValue, at: node.span)
        default: break
        }
        let names = Set(node.grouping?.labels ?? [])
        var places: [Labels: Int] = [:]
        var groups: [(labels: Labels, members: [SeriesColumn])] = []
        for column in columns {
            let labels = LabelSets.group(column.labels, by: names, isWithout: node.grouping?.isWithout ?? false)
            let place = places[labels] ?? groups.count
            if place == groups.count {
                places[labels] = place
                groups.append((labels, []))
            }
            groups[place].members.append(column)
        }
        var result: [SeriesColumn] = []
        for group in groups {
            if node.function == .topk || node.function == .bottomk {
                result += LogEvaluator.extremes(
                    group.members, count: Int(node.parameter ?? 1), isLargest: node.function == .topk)
                continue
            }
            var column = SeriesColumn(labels: group.labels, count: times.count)
            LogEvaluator.fold(node.function, group.members, into: &column)
            if !column.isEmpty { result.append(column) }
        }
        return result
    }

    private static func fold(
        _ function: LogVectorFunction, _ columns: [SeriesColumn], into result: inout SeriesColumn
    ) {
        switch function {
        case .sum: ColumnFold.sum(columns, into: &result)
        case .average: ColumnFold.mean(columns, into: &result)
        case .count: ColumnFold.count(columns, into: &result)
        case .maximum: ColumnFold.extreme(columns, into: &result) { $0 < $1 }
        case .minimum: ColumnFold.extreme(columns, into: &result) { $0 > $1 }
        case .deviation: ColumnFold.variance(columns, into: &result, isDeviation: true)
        case .variance: ColumnFold.variance(columns, into: &result, isDeviation: false)
        case .topk, .bottomk, .approximateTopk, .sort, .sortDescending: break
        }
    }

    /// At each step only the `count` largest (or smallest) values stay.
    private static func extremes(_ columns: [SeriesColumn], count: Int, isLargest: Bool) -> [SeriesColumn] {
        var kept = columns
        for step in columns.first?.values.indices ?? 0..<0 {
            let present = columns.indices.filter { columns[$0].hasNumber(at: step) }
            let ordered = present.sorted { left, right in
                let (a, b) = (columns[left].values[step], columns[right].values[step])
                return isLargest ? a > b : a < b
            }
            for place in ordered.dropFirst(count) { kept[place].clear(at: step) }
        }
        return kept.filter { !$0.isEmpty }
    }

    func binary(_ node: LogBinary) throws -> Evaluated {
        let left = try evaluate(node.left)
        let right = try evaluate(node.right)
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
                    tell: { _ in })
                return .vector(try operation.evaluate(left, right))
            }
        default: throw QueryError(.execution, "a string cannot be an operand")
        }
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
