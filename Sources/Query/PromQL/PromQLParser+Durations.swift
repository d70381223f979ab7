/// Lengths of time between brackets and behind `offset`, with their arithmetic.
extension PromQLParser {
    /// The most seconds that fit into Go's `time.Duration`.
    private static let secondsMaximum = 0x1p63 / 1e9

    /// A range or a step: a literal must be above zero, an expression is checked when it is computed.
    mutating func positiveDuration() throws(QueryError) -> DurationValue {
        let start = current.span
        let expression = try duration(minimumPrecedence: 0)
        if let literal = expression.literal, literal.value <= 0 {
            throw failure("duration must be greater than 0", at: literal.span)
        }
        return value(of: expression, from: start)
    }

    /// Behind `offset`, `-2^2` is `(offset -2) ^ 2`: arithmetic needs parentheses.
    mutating func offsetDuration() throws(QueryError) -> DurationValue {
        let start = current.span
        var expression: DurationExpression
        if let sign = acceptSign() {
            switch current.kind {
            case .leftParenthesis:
                let inner = try primaryDuration()
                expression = sign.isNegation ? .negated(inner) : inner
            case .number, .duration, .preprocessor: expression = try signed(sign, try primaryDuration())
            default:
                expression = try signed(sign, try duration(minimumPrecedence: BinaryOperator.power.precedence))
                expression = try continued(expression, minimumPrecedence: 0)
            }
        } else if current.kind == .leftParenthesis {
            expression = try duration(minimumPrecedence: 0)
        } else {
            expression = try primaryDuration()
        }
        return value(of: expression, from: start)
    }

    private var startsDuration: Bool {
        switch current.kind {
        case .number, .duration, .leftParenthesis: true
        case .preprocessor(let word): word != .start && word != .end
        default: false
        }
    }

    private func value(of expression: DurationExpression, from start: SourceSpan) -> DurationValue {
        guard let literal = expression.literal else { return .expression(expression, start.through(lastSpan)) }
        let nanoseconds = (literal.value * 1e9).rounded(.toNearestOrAwayFromZero)
        return .milliseconds((Int64(exactly: nanoseconds) ?? .max) / 1_000_000)
    }

    private mutating func acceptSign() -> (isNegation: Bool, token: Token)? {
        if let token = accept(.binary(.subtract)) { return (true, token) }
        return accept(.binary(.add)).map { (false, $0) }
    }

    private func signed(
        _ sign: (isNegation: Bool, token: Token), _ operand: DurationExpression
    ) throws(QueryError) -> DurationExpression {
        guard var literal = operand.literal else { return sign.isNegation ? .negated(operand) : operand }
        if sign.isNegation { literal.value = -literal.value }
        literal.span.start = sign.token.span.start
        return .literal(literal)
    }

    private mutating func duration(minimumPrecedence: Int) throws(QueryError) -> DurationExpression {
        try descend()
        let first: DurationExpression
        if let sign = acceptSign() {
            first = try signed(sign, try duration(minimumPrecedence: BinaryOperator.power.precedence))
        } else {
            first = try primaryDuration()
        }
        let result = try continued(first, minimumPrecedence: minimumPrecedence)
        ascend()
        return result
    }

    private mutating func continued(
        _ first: DurationExpression, minimumPrecedence: Int
    ) throws(QueryError) -> DurationExpression {
        var left = first
        var chain = 0
        while case .binary(let operation) = current.kind, operation.isDurationArithmetic,
            operation.precedence >= minimumPrecedence
        {
            try descend()
            chain += 1
            let sign = take()
            let right = try duration(
                minimumPrecedence: operation.precedence + (operation.isRightAssociative ? 0 : 1))
            if let literal = right.literal, literal.value == 0 {
                if operation == .divide { throw failure("division by zero", at: sign.span) }
                if operation == .modulo { throw failure("modulo by zero", at: sign.span) }
            }
            left = .binary(operation, left, right)
        }
        for _ in 0..<chain { ascend() }
        return left
    }

    private mutating func primaryDuration() throws(QueryError) -> DurationExpression {
        if let literal = try numberOrDuration() {
            if abs(literal.value) > PromQLParser.secondsMaximum {
                throw failure("duration out of range", at: literal.span)
            }
            return .literal(literal)
        }
        if accept(.leftParenthesis) != nil {
            let inner = try duration(minimumPrecedence: 0)
            guard accept(.rightParenthesis) != nil else { throw unexpected() }
            // Around a literal they say nothing, and the canonical text leaves them out.
            return inner.literal == nil ? .parenthesis(inner) : inner
        }
        guard startsDuration, case .preprocessor(let word) = take().kind, accept(.leftParenthesis) != nil else {
            throw unexpected()
        }
        switch word {
        case .step, .range:
            guard accept(.rightParenthesis) != nil else { throw unexpected() }
            return word == .step ? .step : .range
        default:
            let left = try duration(minimumPrecedence: 0)
            guard accept(.comma) != nil else { throw unexpected() }
            let right = try duration(minimumPrecedence: 0)
            guard accept(.rightParenthesis) != nil else { throw unexpected() }
            return word == .maximumOf ? .maximum(left, right) : .minimum(left, right)
        }
    }
}

extension BinaryOperator {
    fileprivate var isDurationArithmetic: Bool {
        switch self {
        case .add, .subtract, .multiply, .divide, .modulo, .power: true
        default: false
        }
    }
}
