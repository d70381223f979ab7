internal import Glibc

/// Operators on two numbers.
enum Arithmetic {
    /// The result of an operator on two numbers; comparisons yield 0 or 1.
    static func apply(_ operation: BinaryOperator, _ left: Double, _ right: Double) -> Double {
        switch operation {
        case .add: left + right
        case .subtract: left - right
        case .multiply: left * right
        case .divide: left / right
        case .modulo: fmod(left, right)
        case .power: pow(left, right)
        case .atan2: Glibc.atan2(left, right)
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual:
            holds(operation, left, right) ? 1 : 0
        case .and, .or, .unless, .trimUpper, .trimLower: .nan
        }
    }

    /// Whether a comparison holds.
    static func holds(_ operation: BinaryOperator, _ left: Double, _ right: Double) -> Bool {
        switch operation {
        case .equal: left == right
        case .notEqual: left != right
        case .less: left < right
        case .lessOrEqual: left <= right
        case .greater: left > right
        case .greaterOrEqual: left >= right
        default: false
        }
    }
}

extension BinaryOperator {
    /// Whether the result is a quantity of another kind, so that the metric's name no longer fits.
    var changesMeaning: Bool {
        switch self {
        case .add, .subtract, .multiply, .divide, .modulo, .power, .atan2: true
        default: false
        }
    }
}
