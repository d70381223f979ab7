internal import Telemetry

/// Canonical text of LogQL; parsing it gives the same tree.
extension LogQLExpression: CustomStringConvertible {
    package var description: String {
        switch self {
        case .lines(let pipeline): return pipeline.description
        case .number(let value): return FloatText.plain(value)
        case .vector(let value): return "vector(\(FloatText.plain(value)))"
        case .rangeAggregation(let node): return node.description
        case .vectorAggregation(let node): return node.description
        case .labelReplace(let node):
            let texts = [node.destination, node.replacement, node.source, node.pattern].map { QuotedText.quoted($0) }
            return "label_replace(\(node.operand),\(texts.joined(separator: ",")))"
        case .binary(let node): return "(\(node.left) \(node.operatorText) \(node.right))"
        }
    }
}

extension LogPipeline: CustomStringConvertible {
    package var description: String {
        let selector = "{\(matchers.map(\.description).joined(separator: ", "))}"
        return ([selector] + stages.map(\.description)).joined(separator: " ")
    }
}

extension LogGrouping: CustomStringConvertible {
    package var description: String { "\(isWithout ? "without" : "by") (\(labels.joined(separator: ",")))" }
}

extension LogRangeAggregation: CustomStringConvertible {
    package var description: String {
        var inside = parameter.map { "\(FloatText.plain($0))," } ?? ""
        inside += pipeline.description
        if let unwrap { inside += " \(unwrap)" }
        inside += "[\(Durations.go(nanoseconds: windowNanoseconds))]"
        if offsetNanoseconds != 0 { inside += " offset \(Durations.go(nanoseconds: offsetNanoseconds))" }
        return "\(function.rawValue)(\(inside))" + (grouping.map { " \($0)" } ?? "")
    }
}

extension LogUnwrap: CustomStringConvertible {
    package var description: String {
        let value = conversion.isEmpty ? label : "\(conversion)(\(label))"
        return (["| unwrap \(value)"] + filters.map { "| \($0)" }).joined(separator: " ")
    }
}

extension LogVectorAggregation: CustomStringConvertible {
    package var description: String {
        let inside = (parameter.map { "\(FloatText.plain($0))," } ?? "") + operand.description
        return "\(function.rawValue)\(grouping.map { " \($0) " } ?? "")(\(inside))"
    }
}

extension LogBinary {
    var operatorText: String {
        var text = operation.rawValue
        if returnsBool { text += " bool" }
        guard let matching else { return text }
        text += " \(matching.isOn ? "on" : "ignoring") (\(matching.labels.joined(separator: ",")))"
        switch matching.cardinality {
        case .manyToOne: text += " group_left (\(matching.included.joined(separator: ",")))"
        case .oneToMany: text += " group_right (\(matching.included.joined(separator: ",")))"
        case .oneToOne, .manyToMany: break
        }
        return text
    }
}
