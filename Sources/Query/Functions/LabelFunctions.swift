internal import Telemetry

/// Functions that change the labels of series and leave their values alone.
extension Functions {
    static let labelFunctions: [Function] = [
        Function("label_replace", [.vector, .string, .string, .string, .string], .general(labelReplace)),
        Function("label_join", [.vector, .string, .string, .string], variadic: -1, .general(labelJoin)),
        Function("info", [.vector, .vector], variadic: 1, dependsOnTime: true, .general(InfoFunction.evaluate)),
    ]

    @Sendable private static func labelReplace(_ evaluator: Evaluator, _ call: Call) throws -> Evaluated {
        let destination = evaluator.string(call.arguments[1])
        let replacement = evaluator.string(call.arguments[2])
        let source = evaluator.string(call.arguments[3])
        let pattern = evaluator.string(call.arguments[4])
        let expression: RegularExpression
        do {
            expression = try RegularExpression("^(?s:\(pattern))$")
        } catch {
            throw QueryError(.execution, "invalid regular expression in label_replace(): \(pattern)")
        }
        guard LabelSets.isValidName(destination) else {
            throw QueryError(.execution, "invalid destination label name in label_replace(): \(destination)")
        }
        var columns = try evaluator.vector(call.arguments[0])
        for index in columns.indices {
            let value = columns[index].labels[source] ?? ""
            try evaluator.context.check()
            guard let replaced = try GroupTemplate.expand(replacement, expression, value, in: evaluator.context) else {
                continue
            }
            try evaluator.context.reserve(replaced.utf8.count)
            columns[index].labels = columns[index].labels.setting(destination, to: replaced)
            if destination == Labels.metricNameLabel { columns[index].dropsName = false }
        }
        return .vector(try MergedColumns.merged(columns))
    }

    @Sendable private static func labelJoin(_ evaluator: Evaluator, _ call: Call) throws -> Evaluated {
        let destination = evaluator.string(call.arguments[1])
        let separator = evaluator.string(call.arguments[2])
        let sources = call.arguments.dropFirst(3).map { evaluator.string($0) }
        if let bad = sources.first(where: { !LabelSets.isValidName($0) }) {
            throw QueryError(.execution, "invalid source label name in label_join(): \(bad)")
        }
        guard LabelSets.isValidName(destination) else {
            throw QueryError(.execution, "invalid destination label name in label_join(): \(destination)")
        }
        var columns = try evaluator.vector(call.arguments[0])
        for index in columns.indices {
            let labels = columns[index].labels
            let values = sources.map { labels[$0] ?? "" }
            // A label may be named any number of times.
            try evaluator.context.reserve(values.reduce(0) { $0 + $1.utf8.count + separator.utf8.count })
            try evaluator.context.check()
            let joined = values.joined(separator: separator)
            columns[index].labels = labels.setting(destination, to: joined)
            if destination == Labels.metricNameLabel { columns[index].dropsName = false }
        }
        return .vector(try MergedColumns.merged(columns))
    }
}

/// Go's `Regexp.Expand`: `$name`, `$1`, `${name}`, `$$`. A name is as long as letters, digits and underscores go.
enum GroupTemplate {
    /// `replacement` with `$1` and `${name}` put in; nil when `value` does not match. Throws `overBudget` when that
    /// would be longer than what the query has left.
    static func expand(
        _ replacement: String, _ expression: RegularExpression, _ value: String, in context: QueryContext
    ) throws -> String? {
        var value = value
        return try value.withUTF8 { bytes in
            let raw = UnsafeRawBufferPointer(bytes)
            guard let groups = expression.firstMatch(in: raw) else { return nil }
            return try expand(replacement, names: expression.groupNames, in: context) { index in
                guard index < groups.count, let range = groups[index] else { return "" }
                return String(decoding: raw[range], as: UTF8.self)
            }
        }
    }

    static func expand(
        _ template: String, names: [String?], in context: QueryContext, group: (Int) -> String
    ) throws(QueryInterruption) -> String {
        let bytesMaximum = context.bytesLeft
        var result = ""
        var rest = template[...]
        while result.utf8.count <= bytesMaximum, let dollar = rest.firstIndex(of: "$") {
            result += rest[..<dollar]
            rest = rest[rest.index(after: dollar)...]
            if rest.first == "$" {
                result += "$"
                rest = rest.dropFirst()
                continue
            }
            guard let (name, remainder) = reference(rest) else {
                result += "$"
                continue
            }
            rest = remainder
            if let index = Int(name) {
                result += group(index)
            } else if let index = names.firstIndex(of: name) {
                result += group(index + 1)
            }
        }
        guard result.utf8.count <= bytesMaximum else { throw .overBudget(bytes: context.limits.bytes) }
        return result + rest
    }

    private static func reference(_ text: Substring) -> (name: String, rest: Substring)? {
        func isPart(_ character: Character) -> Bool { character == "_" || character.isLetter || character.isNumber }
        if text.first == "{" {
            guard let close = text.firstIndex(of: "}") else { return nil }
            let name = text[text.index(after: text.startIndex)..<close]
            guard !name.isEmpty, name.allSatisfy(isPart) else { return nil }
            return (String(name), text[text.index(after: close)...])
        }
        let name = text.prefix(while: isPart)
        return name.isEmpty ? nil : (String(name), text.dropFirst(name.count))
    }
}
