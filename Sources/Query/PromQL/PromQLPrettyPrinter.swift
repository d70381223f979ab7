/// Breaks long expressions over lines, as Prometheus' `format_query` and `promtool promql format` do.
extension Expression {
    /// The canonical text, over several lines where it is long; it reads as the same tree.
    package var pretty: String { pretty(lineBytesMaximum: 100) }

    /// The same for lines of another length.
    func pretty(lineBytesMaximum limit: Int, level: Int = 0) -> String {
        let whole = description
        let indent = String(repeating: "  ", count: level)
        let isLong = whole.utf8.count > limit
        func inside(_ expression: Expression) -> String {
            expression.pretty(lineBytesMaximum: limit, level: level + 1)
        }
        switch self {
        case .unary(let node):
            let operand = node.operand.pretty(lineBytesMaximum: limit, level: level)
            return indent + (node.isNegation ? "-" : "+") + operand.drop { $0 == " " }
        // As upstream: a short sub-query stands at the margin whatever is around it.
        case .subquery where !isLong: return whole
        case .subquery(let node):
            return node.inner.pretty(lineBytesMaximum: limit, level: level) + node.timeDescription
        case .aggregation(let node) where isLong:
            let parts = [node.parameter, node.operand].compactMap { $0.map(inside) }
            return "\(indent)\(node.head)(\n\(parts.joined(separator: ",\n"))\n\(indent))"
        case .call(let node) where isLong:
            let parts = node.arguments.map(inside)
            return "\(indent)\(node.function.name)(\n\(parts.joined(separator: ",\n"))\n\(indent))"
        case .parenthesis(let node) where isLong: return "\(indent)(\n\(inside(node.inner))\n\(indent))"
        case .binary(let node) where isLong:
            // A sign binds weaker than `^`, so infinity stands there without its own.
            let isInfinity = node.operation == .power && node.left == .number(NumberLiteral(.infinity))
            let left = isInfinity ? "\(indent)  Inf" : inside(node.left)
            return "\(left)\n\(indent)\(node.operatorDescription)\n\(inside(node.right))"
        default: return indent + whole
        }
    }
}
