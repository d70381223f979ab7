internal import Telemetry

/// A number or a native histogram, at one step of one series.
enum ElementValue {
    case number(Double)
    case histogram(NativeHistogram)

    var typeName: String {
        switch self {
        case .number: "float"
        case .histogram: "histogram"
        }
    }
}

/// What an operator makes of two elements.
///
/// Source: `vectorElemBinop` in Prometheus 3.14's `promql/engine.go`.
struct BinaryOutcome {
    /// Things to tell the reader, not in the way of an answer.
    enum Remark {
        case incompatibleTypes(left: String, right: String)
        case incompatibleSchemas
        case resetCollision(String)
        case reconciledBounds(String)
    }

    /// Nil where the operator has no answer for these types.
    var value: ElementValue?
    /// Whether a comparison holds; true for everything else that has an answer.
    var holds = true
    var remarks: [Remark] = []

    init(_ operation: BinaryOperator, _ left: ElementValue, _ right: ElementValue) {
        switch (left, right) {
        case (.number(let a), .number(let b)) where operation != .trimUpper && operation != .trimLower:
            if operation.isComparison {
                value = left
                holds = Arithmetic.holds(operation, a, b)
            } else {
                value = .number(Arithmetic.apply(operation, a, b))
            }
        case (.number(let factor), .histogram(let histogram)) where operation == .multiply:
            value = .histogram(histogram.multiplied(by: factor).compacted)
        case (.histogram(let histogram), .number(let number)): apply(operation, histogram, number)
        case (.histogram(let a), .histogram(let b)): apply(operation, a, b)
        default: break
        }
        if value == nil, remarks.isEmpty {
            remarks = [.incompatibleTypes(left: left.typeName, right: right.typeName)]
        }
        if value == nil { holds = false }
    }

    private mutating func apply(_ operation: BinaryOperator, _ histogram: NativeHistogram, _ number: Double) {
        switch operation {
        case .multiply: value = .histogram(histogram.multiplied(by: number).compacted)
        case .divide: value = .histogram(histogram.divided(by: number).compacted)
        case .trimUpper, .trimLower:
            let trim = HistogramTrim(bound: number, keepsLower: operation == .trimUpper)
            value = .histogram(trim.applied(to: histogram))
        default: break
        }
    }

    private mutating func apply(_ operation: BinaryOperator, _ left: NativeHistogram, _ right: NativeHistogram) {
        switch operation {
        case .equal, .notEqual:
            value = .histogram(left)
            holds = left.isIdentical(to: right) == (operation == .equal)
        case .add, .subtract:
            var result = left
            let isAddition = operation == .add
            do throws(HistogramMismatch) {
                let outcome = try isAddition ? result.add(right) : result.subtract(right)
                let name = isAddition ? "addition" : "subtraction"
                if outcome.hasResetCollision { remarks.append(.resetCollision(name)) }
                if outcome.hasReconciledBounds { remarks.append(.reconciledBounds(name)) }
            } catch {
                remarks = [.incompatibleSchemas]
                return
            }
            if !isAddition { result.counterResetHint = .gauge }
            value = .histogram(result.compacted)
        default: break
        }
    }
}

extension Evaluator {
    /// Tells the reader what an operator met.
    func tell(_ remark: BinaryOutcome.Remark, of node: BinaryExpression) {
        let symbol = node.operation.rawValue
        let span = node.left.span
        switch remark {
        case .incompatibleTypes(let left, let right):
            inform(
                "incompatible sample types encountered for binary operator \(GoText.quoted(symbol)): "
                    + "\(left) \(symbol) \(right)", at: span)
        case .incompatibleSchemas:
            warn("incompatible bucket layout encountered for binary operator \(symbol)", at: span)
        case .resetCollision(let name): warn("conflicting counter resets during histogram \(name)", at: span)
        case .reconciledBounds(let name): inform("mismatched custom buckets were reconciled during \(name)", at: span)
        }
    }
}

extension SeriesColumn {
    /// The number or histogram at a step.
    func element(at step: Int) -> ElementValue? {
        if hasNumber(at: step) { return .number(values[step]) }
        return histogram(at: step).map { .histogram($0) }
    }

    mutating func set(_ element: ElementValue, at step: Int) {
        switch element {
        case .number(let number): values[step] = number
        case .histogram(let histogram): set(histogram, at: step)
        }
    }
}
