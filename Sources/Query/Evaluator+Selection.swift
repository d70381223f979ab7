internal import Telemetry

/// `topk`, `bottomk`, `limitk`, `limit_ratio`: they choose series and leave them as they are.
extension Evaluator {
    func selected(_ node: Aggregation) throws -> [SeriesColumn] {
        guard let parameter = node.parameter else { return [] }
        let parameters = try scalar(parameter)
        if node.operation == .limitRatio { return try sampled(try vector(node.operand), parameters, parameter) }
        let columns = try vector(node.operand)
        guard try isSelecting(parameters) else { return [] }
        if node.operation == .topk || node.operation == .bottomk, columns.contains(where: { !$0.histograms.isEmpty }) {
            inform("ignored histogram in \(node.operation.rawValue) aggregation", at: node.span)
        }
        let groups = grouped(columns, node)
        var meter = WorkMeter(context)
        if isInstant {
            return try groups.flatMap { group in
                try meter.spend(group.members.count)
                return chosen(group.members, columns, node.operation, limit: parameters[0], at: 0).map { columns[$0] }
            }
        }
        // Where a step selects nothing of a series, it loses its value there.
        var isKept = [[Bool]](repeating: [], count: columns.count)
        for step in 0..<times.count {
            try context.check()
            for group in groups {
                try meter.spend(group.members.count)
                for member in chosen(group.members, columns, node.operation, limit: parameters[step], at: step) {
                    if isKept[member].isEmpty {
                        try context.reserve(times.count)
                        isKept[member] = [Bool](repeating: false, count: times.count)
                    }
                    isKept[member][step] = true
                }
            }
        }
        return kept(columns, isKept)
    }

    private func kept(_ columns: consuming [SeriesColumn], _ isKept: [[Bool]]) -> [SeriesColumn] {
        var columns = columns
        var count = 0
        for index in columns.indices {
            guard !isKept[index].isEmpty else {
                context.release(columns[index].bytes, samples: times.count)
                continue
            }
            for step in 0..<times.count where !isKept[index][step] { columns[index].clear(at: step) }
            context.release(times.count)
            columns.swapAt(count, index)
            count += 1
        }
        columns.removeLast(columns.count - count)
        return columns
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
        var best = BestValues(count: count, isTop: operation == .topk)
        for member in members where columns[member].hasNumber(at: step) {
            best.add(member, columns[member].values[step])
        }
        return best.members
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

/// The best of the values of one step, best first; equal ones in the order they came, NaN last.
private struct BestValues {
    private let count: Int
    private let isTop: Bool
    private var found: [(member: Int, value: Double)] = []
    /// Few are kept in order; many are sorted in the end.
    private var insertsInOrder: Bool { count <= 32 }

    init(count: Int, isTop: Bool) {
        (self.count, self.isTop) = (count, isTop)
    }

    mutating func add(_ member: Int, _ value: Double) {
        guard insertsInOrder else {
            found.append((member, value))
            return
        }
        if found.count == count, let worst = found.last, !isBetter(value, worst.value) { return }
        var place = found.count
        while place > 0, isBetter(value, found[place - 1].value) { place -= 1 }
        found.insert((member, value), at: place)
        if found.count > count { found.removeLast() }
    }

    var members: [Int] {
        if insertsInOrder { return found.map(\.member) }
        let ordered = found.enumerated().sorted { left, right in
            let (a, b) = (left.element.value, right.element.value)
            return isBetter(a, b) || (!isBetter(b, a) && left.offset < right.offset)
        }
        return ordered.prefix(count).map(\.element.member)
    }

    private func isBetter(_ left: Double, _ right: Double) -> Bool {
        if left.isNaN || right.isNaN { return right.isNaN && !left.isNaN }
        return isTop ? left > right : left < right
    }
}
