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
            let result: [SeriesColumn]
            switch node.operation {
            case .and: result = SetOperation.intersection(left, right, matching)
            case .or: result = try SetOperation.union(left, right, matching, steps: times.count)
            case .unless: result = SetOperation.difference(left, right, matching)
            default:
                let operation = VectorOperation(
                    operation: node.operation, matching: matching, returnsBool: node.returnsBool, steps: times.count,
                    context: context, tell: { tell($0, of: node) })
                result = try operation.evaluate(left, right)
            }
            if node.operation.isSetOperation { try reserve(result) }
            release(left)
            release(right)
            return .vector(result)
        default: throw QueryError(.execution, "a string cannot be an operand")
        }
    }

    private func withScalar(
        _ columns: consuming [SeriesColumn], _ numbers: [Double], _ node: BinaryExpression, isScalarLeft: Bool
    ) -> [SeriesColumn] {
        var columns = columns
        var kept = 0
        for index in columns.indices where apply(&columns[index], numbers, node, isScalarLeft: isScalarLeft) {
            columns.swapAt(kept, index)
            kept += 1
        }
        columns.removeLast(columns.count - kept)
        return columns
    }

    /// An operator between a vector and a number, series by series; nil where it is none.
    func scalarOperation(_ node: BinaryExpression) throws -> ColumnStream? {
        let isScalarLeft = node.left.type == .scalar
        guard isScalarLeft != (node.right.type == .scalar), node.left.type != .string, node.right.type != .string else {
            return nil
        }
        var operands = self
        if node.operation == .trimUpper || node.operation == .trimLower { operands.detectsResets = false }
        let numbers = try operands.scalar(isScalarLeft ? node.left : node.right)
        return try operands.stream(isScalarLeft ? node.right : node.left).map { column in
            apply(&column, numbers, node, isScalarLeft: isScalarLeft)
        }
    }

    /// Applies the operator to one series; false when nothing is left of it.
    private func apply(
        _ column: inout SeriesColumn, _ numbers: [Double], _ node: BinaryExpression, isScalarLeft: Bool
    ) -> Bool {
        let operation = node.operation
        if !column.histograms.isEmpty || operation == .trimUpper || operation == .trimLower {
            applyToElements(&column, numbers, node, isScalarLeft: isScalarLeft)
        } else {
            applyToNumbers(&column, numbers, node, isScalarLeft: isScalarLeft)
        }
        if operation.changesMeaning || node.returnsBool { column.dropsName = true }
        return !column.isEmpty
    }

    /// Numbers alone: the common case, one loop.
    private func applyToNumbers(
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
