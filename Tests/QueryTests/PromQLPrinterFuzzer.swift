internal import Query
internal import Telemetry
internal import TestSupport

/// Builds well-typed expressions by chance, prints them, and reads them again: the tree must be the same.
struct PromQLPrinterFuzzer: Fuzzer {
    static let name = "promql-printer"

    static func run(seed: UInt64, events: Int) throws {
        var builder = ExpressionBuilder(generator: SeededGenerator(seed: seed))
        for event in 0..<events {
            let expression = builder.expression(builder.oneIn(2) ? .vector : .scalar, depth: 5)
            for printed in [expression.description, expression.pretty] {
                do throws(QueryError) {
                    let again = try Engine.parse(printed)
                    guard again == expression else { throw QueryError(.parse, "it reads as \(again)") }
                } catch {
                    throw FuzzFinding(seed: seed, event: event, "“\(printed)”: \(error)")
                }
            }
        }
    }
}

/// Makes expressions of a wanted type; operands that an operator would regroup stand in parentheses.
private struct ExpressionBuilder {
    var generator: SeededGenerator

    mutating func oneIn(_ n: Int) -> Bool { generator.oneIn(n) }

    mutating func expression(_ type: ValueType, depth: Int) -> Expression {
        switch type {
        case .scalar: scalar(depth)
        case .string: .string(StringLiteral(text()))
        case .vector: vector(depth)
        case .matrix: matrix(depth)
        }
    }

    private mutating func scalar(_ depth: Int) -> Expression {
        switch depth <= 0 ? 0 : generator.int(in: 0..<5) {
        case 1: return .parenthesis(Parenthesis(scalar(depth - 1)))
        case 2:
            let operation = generator.pick([BinaryOperator.add, .multiply, .power, .atan2])
            return .binary(BinaryExpression(operation, enclosed(scalar(depth - 1)), enclosed(scalar(depth - 1))))
        case 3: return call(returning: .scalar, depth)
        case 4:
            return .unary(
                UnaryExpression(isNegation: oneIn(2), operand: .parenthesis(Parenthesis(scalar(depth - 1)))))
        default: return number()
        }
    }

    private mutating func number() -> Expression {
        if oneIn(4) {
            let seconds = Double(generator.int(in: 1..<1_000_000))
            return .number(NumberLiteral(seconds, isDuration: true))
        }
        let values: [Double] = [0, 1, 0.1, 1e21, 1e-9, .infinity, 12345.678, .pi, .leastNonzeroMagnitude, .nan]
        return .number(NumberLiteral(generator.pick(values)))
    }

    private mutating func vector(_ depth: Int) -> Expression {
        switch depth <= 0 ? 0 : generator.int(in: 0..<7) {
        case 1: return .parenthesis(Parenthesis(vector(depth - 1)))
        case 2: return aggregation(depth)
        case 3, 4: return binary(depth)
        case 5: return call(returning: .vector, depth)
        case 6: return .unary(UnaryExpression(isNegation: oneIn(2), operand: enclosed(vector(depth - 1))))
        default: return .vector(selector())
        }
    }

    private mutating func binary(_ depth: Int) -> Expression {
        let operation = generator.pick(BinaryOperator.allCases)
        var matching = VectorMatching()
        if operation.isSetOperation { matching.cardinality = .manyToMany }
        if oneIn(2) {
            matching.isOn = oneIn(2)
            matching.labels = names()
            if !operation.isSetOperation, oneIn(2) {
                matching.cardinality = oneIn(2) ? .manyToOne : .oneToMany
                matching.included = names().filter { !matching.labels.contains($0) }
            }
        }
        if !operation.isSetOperation, oneIn(4) {
            matching.fillLeft = oneIn(2) ? 1 : nil
            matching.fillRight = oneIn(2) ? -2.5 : nil
        }
        return .binary(
            BinaryExpression(
                operation, enclosed(vector(depth - 1)), enclosed(vector(depth - 1)), matching: matching,
                returnsBool: operation.isComparison && oneIn(2)))
    }

    /// As an operand: in parentheses unless nothing can regroup it.
    private mutating func enclosed(_ expression: Expression) -> Expression {
        switch expression {
        case .binary, .unary: .parenthesis(Parenthesis(expression))
        case .number(let literal) where literal.value < 0: .parenthesis(Parenthesis(expression))
        default: expression
        }
    }

    private mutating func aggregation(_ depth: Int) -> Expression {
        let operation = generator.pick(AggregationOperator.allCases)
        var parameter: Expression?
        if operation.takesParameter {
            parameter = operation == .countValues ? expression(.string, depth: 0) : scalar(depth - 1)
        }
        return .aggregation(
            Aggregation(
                operation, vector(depth - 1), parameter: parameter, grouping: oneIn(2) ? names() : [],
                isWithout: oneIn(3)))
    }

    private mutating func call(returning type: ValueType, _ depth: Int) -> Expression {
        let candidates = Functions.all.filter { $0.returnType == type && $0.name != "info" }
        let function = generator.pick(candidates)
        var types = function.argumentTypes
        if function.variadic != 0, let last = types.popLast() {
            let most = function.variadic < 0 ? 3 : min(3, function.variadic)
            types += [ValueType](repeating: last, count: generator.int(in: 0..<most + 1))
        }
        let arguments = types.map { expression($0, depth: depth - 1) }
        return .call(Call(function: function, arguments: arguments))
    }

    private mutating func matrix(_ depth: Int) -> Expression {
        if depth > 0, oneIn(3) {
            var subquery = Subquery(
                inner: enclosed(vector(depth - 1)), range: duration(), step: oneIn(2) ? duration() : nil)
            subquery.modifiers = modifiers()
            return .subquery(subquery)
        }
        return .matrix(MatrixSelector(selector: selector(), range: duration()))
    }

    private mutating func duration() -> DurationValue {
        if oneIn(3) {
            return .expression(.binary(.add, .step, .maximum(.range, .literal(NumberLiteral(5)))), .none)
        }
        return .milliseconds(Int64(generator.int(in: 1..<10_000_000)))
    }

    private mutating func modifiers() -> TimeModifiers {
        var modifiers = TimeModifiers()
        if oneIn(3) { modifiers.offset = .milliseconds(Int64(generator.int(in: 1..<100_000)) * (oneIn(2) ? 1 : -1)) }
        switch generator.int(in: 0..<8) {
        case 0: modifiers.at = .start
        case 1: modifiers.at = .end
        case 2: modifiers.at = .milliseconds(Int64(generator.int(in: -5000..<5000)))
        default: break
        }
        return modifiers
    }

    private mutating func selector() -> VectorSelector {
        let name = generator.pick(["up", "a:b", "sum", "offset", "start", "_x9", "by"])
        var matchers: [LabelMatcher] = []
        for label in names() {
            let operation = generator.pick(LabelMatcher.Operation.allCases)
            if let matcher = try? LabelMatcher(label, operation, operation.rawValue.count == 2 ? "x.*" : text()) {
                matchers.append(matcher)
            }
        }
        var selector = VectorSelector(name: name, matchers: matchers + [.equal("__name__", name)])
        selector.modifiers = modifiers()
        if oneIn(6) { selector.extent = oneIn(2) ? .anchored : .smoothed }
        return selector
    }

    /// Label names, each at most once.
    private mutating func names() -> [String] {
        let all = ["job", "le", "a b", "é", "on", "sum", "__x__", "b.c", "_"]
        return all.filter { _ in oneIn(4) }
    }

    private mutating func text() -> String {
        generator.pick(["", "x", "a\"b", "c\\d", "e\nf", "日本", "`", "'", "\u{7f}", "$1"])
    }
}
