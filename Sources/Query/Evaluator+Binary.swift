internal import Telemetry

/// Operators between two expressions.
extension Evaluator {
    func binary(_ node: BinaryExpression) throws -> Evaluated {
        var operands = self
        if node.operation == .trimUpper || node.operation == .trimLower { operands.detectsResets = false }
        let left = try operands.evaluate(node.left)
        let right = try operands.evaluate(node.right)
        switch (left, right) {
        case (.scalar(let left), .scalar(let right)):
            return .scalar(zip(left, right).map { Arithmetic.apply(node.operation, $0, $1) })
        case (.vector(let columns), .scalar(let numbers)):
            return .vector(withScalar(columns, numbers, node, isScalarLeft: false))
        case (.scalar(let numbers), .vector(let columns)):
            return .vector(withScalar(columns, numbers, node, isScalarLeft: true))
        case (.vector(let left), .vector(let right)):
            let matching = node.matching ?? VectorMatching()
            defer { for column in left + right { context.release(column.bytes) } }
            let result: [SeriesColumn]
            switch node.operation {
            case .and: result = SetOperation.intersection(left, right, matching)
            case .or: result = try SetOperation.union(left, right, matching, steps: times.count)
            case .unless: result = SetOperation.difference(left, right, matching)
            default:
                let operation = VectorOperation(
                    operation: node.operation, matching: matching, returnsBool: node.returnsBool, steps: times.count,
                    tell: { tell($0, of: node) })
                result = try operation.evaluate(left, right)
            }
            for column in result { try context.reserve(column.bytes) }
            return .vector(result)
        default: throw QueryError(.execution, "a string cannot be an operand")
        }
    }

    private func withScalar(
        _ columns: [SeriesColumn], _ numbers: [Double], _ node: BinaryExpression, isScalarLeft: Bool
    ) -> [SeriesColumn] {
        let operation = node.operation
        let isTrim = operation == .trimUpper || operation == .trimLower
        var result: [SeriesColumn] = []
        for var column in columns {
            if !column.histograms.isEmpty || isTrim {
                applyToElements(&column, numbers, node, isScalarLeft: isScalarLeft)
            } else {
                apply(&column, numbers, node, isScalarLeft: isScalarLeft)
            }
            if operation.changesMeaning || node.returnsBool { column.dropsName = true }
            if !column.isEmpty { result.append(column) }
        }
        return result
    }

    /// Numbers alone: the common case, one loop.
    private func apply(
        _ column: inout SeriesColumn, _ numbers: [Double], _ node: BinaryExpression, isScalarLeft: Bool
    ) {
        let operation = node.operation
        let isFilter = operation.isComparison && !node.returnsBool
        for step in column.values.indices where column.hasNumber(at: step) {
            let value = column.values[step]
            let (left, right) = isScalarLeft ? (numbers[step], value) : (value, numbers[step])
            if isFilter {
                // The vector's own value passes, wherever it stands.
                if !Arithmetic.holds(operation, left, right) { column.values[step] = SeriesColumn.absent }
            } else {
                column.values[step] = Arithmetic.apply(operation, left, right)
            }
        }
    }

    private func applyToElements(
        _ column: inout SeriesColumn, _ numbers: [Double], _ node: BinaryExpression, isScalarLeft: Bool
    ) {
        for step in column.values.indices {
            guard let element = column.element(at: step) else { continue }
            let number = ElementValue.number(numbers[step])
            let outcome =
                isScalarLeft
                ? BinaryOutcome(node.operation, number, element) : BinaryOutcome(node.operation, element, number)
            for remark in outcome.remarks { tell(remark, of: node) }
            column.clear(at: step)
            guard let value = outcome.value else { continue }
            if node.returnsBool {
                column.values[step] = outcome.holds ? 1 : 0
            } else if outcome.holds {
                column.set(node.operation.isComparison ? element : value, at: step)
            }
        }
    }
}
