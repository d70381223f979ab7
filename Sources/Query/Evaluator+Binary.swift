internal import Telemetry

/// Operators between two expressions.
extension Evaluator {
    func binary(_ node: BinaryExpression) throws -> Evaluated {
        let left = try evaluate(node.left)
        let right = try evaluate(node.right)
        switch (left, right) {
        case (.scalar(let left), .scalar(let right)):
            return .scalar(zip(left, right).map { Arithmetic.apply(node.operation, $0, $1) })
        case (.vector(let columns), .scalar(let numbers)):
            return .vector(try withScalar(columns, numbers, node, isScalarLeft: false))
        case (.scalar(let numbers), .vector(let columns)):
            return .vector(try withScalar(columns, numbers, node, isScalarLeft: true))
        case (.vector(let left), .vector(let right)):
            let matching = node.matching ?? VectorMatching()
            defer { for column in left + right { context.release(column.bytes) } }
            let result: [SeriesColumn]
            switch node.operation {
            case .and: result = SetOperation.intersection(left, right, matching)
            case .or: result = try SetOperation.union(left, right, matching, steps: times.count)
            case .unless: result = SetOperation.difference(left, right, matching)
            default:
                try refuseHistograms(left + right, node)
                let operation = VectorOperation(
                    operation: node.operation, matching: matching, returnsBool: node.returnsBool, steps: times.count)
                result = try operation.evaluate(left, right)
            }
            for column in result { try context.reserve(column.bytes) }
            return .vector(result)
        default: throw QueryError(.execution, "a string cannot be an operand")
        }
    }

    private func refuseHistograms(_ columns: [SeriesColumn], _ node: BinaryExpression) throws(QueryError) {
        guard columns.allSatisfy({ $0.histograms.isEmpty }) else {
            throw notSupported("native histograms with \(node.operation.rawValue)", at: node.left.span)
        }
    }

    private func withScalar(
        _ columns: [SeriesColumn], _ numbers: [Double], _ node: BinaryExpression, isScalarLeft: Bool
    ) throws -> [SeriesColumn] {
        try refuseHistograms(columns, node)
        let operation = node.operation
        if operation == .trimUpper || operation == .trimLower {
            let types = GoText.quoted(operation.rawValue) + ": float \(operation.rawValue) float"
            inform(
                "incompatible sample types encountered for binary operator \(types)", at: node.left.span)
            return []
        }
        var result: [SeriesColumn] = []
        for var column in columns {
            for step in column.values.indices where column.hasNumber(at: step) {
                let value = column.values[step]
                let (left, right) = isScalarLeft ? (numbers[step], value) : (value, numbers[step])
                if operation.isComparison, !node.returnsBool {
                    // The vector's own value passes, wherever it stands.
                    if !Arithmetic.holds(operation, left, right) { column.values[step] = SeriesColumn.absent }
                } else {
                    column.values[step] = Arithmetic.apply(operation, left, right)
                }
            }
            if operation.changesMeaning || node.returnsBool { column.dropsName = true }
            if !column.isEmpty { result.append(column) }
        }
        return result
    }
}
