/// Walks a parsed template and writes its text. Its work is bounded: output, steps and nested calls.
struct TemplateEvaluator {
    /// The most bytes one template may write.
    static let outputBytesMaximum = 1 << 20
    /// The most nodes and operands one expansion may visit.
    static let stepsMaximum = 1_000_000
    /// The most templates one may call within another.
    static let callDepthMaximum = 32

    private enum Flow {
        case next
        case breakLoop
        case continueLoop
    }

    private let text: [UInt8]
    private let definitions: [String: [TemplateNode]]
    private let functions: [String: TemplateFunctions.Function]
    private let context: TemplateFunctions.Context
    private var variables: [(name: String, value: TemplateValue)]
    private var steps = 0
    private var callDepth = 0
    /// What was written so far.
    private(set) var output = ""

    init(
        text: [UInt8], definitions: [String: [TemplateNode]], functions: [String: TemplateFunctions.Function],
        context: TemplateFunctions.Context, variables: [(name: String, value: TemplateValue)]
    ) {
        self.text = text
        self.definitions = definitions
        self.functions = functions
        self.context = context
        self.variables = variables
    }

    /// Writes `nodes`, with `dot` as the value of `.`.
    mutating func run(_ nodes: [TemplateNode], dot: TemplateValue) throws(TemplateError) {
        _ = try walk(nodes, dot)
    }

    private mutating func walk(_ nodes: [TemplateNode], _ dot: TemplateValue) throws(TemplateError) -> Flow {
        let known = variables.count
        defer { forgetVariables(beyond: known) }
        for node in nodes {
            let flow = try walk(node, dot)
            if flow != .next { return flow }
        }
        return .next
    }

    private mutating func walk(_ node: TemplateNode, _ dot: TemplateValue) throws(TemplateError) -> Flow {
        switch node {
        case .text(let text): try write(text, at: TemplatePosition(offset: 0))
        case .action(let pipeline):
            let value = try evaluate(pipeline, dot)
            if pipeline.variables.isEmpty { try write(value.printed, at: pipeline.position) }
        case .branch(let pipeline, let then, let otherwise):
            let known = variables.count
            defer { forgetVariables(beyond: known) }
            return try walk(try evaluate(pipeline, dot).isTrue ? then : otherwise, dot)
        case .with(let pipeline, let then, let otherwise):
            let known = variables.count
            defer { forgetVariables(beyond: known) }
            let value = try evaluate(pipeline, dot)
            return value.isTrue ? try walk(then, value) : try walk(otherwise, dot)
        case .range(let pipeline, let body, let otherwise):
            return try loop(pipeline, body: body, otherwise: otherwise, dot)
        case .call(let name, let pipeline, let position):
            try call(name, pipeline, position, dot)
        case .breakLoop: return .breakLoop
        case .continueLoop: return .continueLoop
        }
        return .next
    }

    /// Ends the life of variables declared since there were `count` of them.
    private mutating func forgetVariables(beyond count: Int) {
        if variables.count > count { variables.removeLast(variables.count - count) }
    }

    private mutating func loop(
        _ pipeline: TemplatePipeline, body: [TemplateNode], otherwise: [TemplateNode], _ dot: TemplateValue
    ) throws(TemplateError) -> Flow {
        let known = variables.count
        defer { forgetVariables(beyond: known) }
        let elements = try self.elements(of: try evaluate(pipeline, dot, keepsVariables: false), pipeline.position)
        if elements.isEmpty { return try walk(otherwise, dot) }
        for element in elements {
            let names = pipeline.variables
            switch names.count {
            case 1: set(names[0], element.value, isAssignment: pipeline.isAssignment)
            case 2:
                set(names[0], element.key, isAssignment: pipeline.isAssignment)
                set(names[1], element.value, isAssignment: pipeline.isAssignment)
            default: break
            }
            let flow = try walk(body, element.value)
            if !pipeline.isAssignment { forgetVariables(beyond: known) }
            if flow == .breakLoop { break }
        }
        return .next
    }

    private func elements(
        of value: TemplateValue, _ position: TemplatePosition
    ) throws(TemplateError) -> [(key: TemplateValue, value: TemplateValue)] {
        switch value {
        case .list(let list): return list.enumerated().map { (.integer(Int64($0.offset)), $0.element) }
        case .map(let map): return map.sorted { $0.key < $1.key }.map { (.text($0.key), .text($0.value)) }
        case .object(let members): return members.sorted { $0.key < $1.key }.map { (.text($0.key), $0.value) }
        case .integer(let count):
            guard count <= TemplateEvaluator.stepsMaximum else { throw error("range is too long", at: position) }
            return (0..<max(0, count)).map { (.integer($0), .integer($0)) }
        case .nothing: return []
        default: throw error("range can't iterate over \(value.described)", at: position)
        }
    }

    private mutating func call(
        _ name: String, _ pipeline: TemplatePipeline?, _ position: TemplatePosition, _ dot: TemplateValue
    ) throws(TemplateError) {
        guard let body = definitions[name] else {
            throw error("template \(GoPrintf.quoted(name)) not defined", at: position)
        }
        guard callDepth < TemplateEvaluator.callDepthMaximum else {
            throw error("exceeded maximum template depth (\(TemplateEvaluator.callDepthMaximum))", at: position)
        }
        let argument = try pipeline.map { (pipeline) throws(TemplateError) in try evaluate(pipeline, dot) } ?? .nothing
        let outer = variables
        callDepth += 1
        variables = [("$", argument)]
        defer { variables = outer }
        _ = try walk(body, argument)
        callDepth -= 1
    }

    // MARK: Values

    private mutating func evaluate(
        _ pipeline: TemplatePipeline, _ dot: TemplateValue, keepsVariables: Bool = true
    ) throws(TemplateError) -> TemplateValue {
        var value: TemplateValue?
        for command in pipeline.commands { value = try evaluate(command, dot, piped: value) }
        let result = value ?? .nothing
        if keepsVariables {
            for name in pipeline.variables { set(name, result, isAssignment: pipeline.isAssignment) }
        }
        return result
    }

    private mutating func set(_ name: String, _ value: TemplateValue, isAssignment: Bool) {
        if isAssignment, let index = variables.lastIndex(where: { $0.name == name }) {
            variables[index].value = value
        } else {
            variables.append((name, value))
        }
    }

    private mutating func evaluate(
        _ command: TemplateCommand, _ dot: TemplateValue, piped: TemplateValue?
    ) throws(TemplateError) -> TemplateValue {
        let first = command.operands[0]
        if case .function(let name) = first.base {
            let value = try call(name, first, Array(command.operands.dropFirst()), dot, piped: piped)
            return try fields(first.fields, of: value, first)
        }
        if command.operands.count > 1 || piped != nil {
            throw error("can't give argument to non-function \(first.source)", at: first.position)
        }
        return try evaluate(first, dot)
    }

    private mutating func call(
        _ name: String, _ operand: TemplateOperand, _ operands: [TemplateOperand], _ dot: TemplateValue,
        piped: TemplateValue?
    ) throws(TemplateError) -> TemplateValue {
        try step(at: operand.position)
        guard let function = functions[name] else {
            throw error("function \"\(name)\" not defined", at: operand.position)
        }
        let count = operands.count + (piped == nil ? 0 : 1)
        guard function.arguments.contains(count) else {
            let wanted = function.arguments
            let words =
                wanted.lowerBound == wanted.upperBound ? "\(wanted.lowerBound)" : "at least \(wanted.lowerBound)"
            throw error("wrong number of args for \(name): want \(words) got \(count)", at: operand.position)
        }
        var arguments: [TemplateValue] = []
        for argument in operands {
            let value = try evaluate(argument, dot)
            // `and` and `or` look no further than the argument that decides.
            if name == "and", !value.isTrue { return value }
            if name == "or", value.isTrue { return value }
            arguments.append(value)
        }
        if let piped { arguments.append(piped) }
        do {
            return try function.call(arguments, context)
        } catch {
            throw self.error("error calling \(name): \(error.message)", at: operand.position)
        }
    }

    private mutating func evaluate(
        _ operand: TemplateOperand, _ dot: TemplateValue
    ) throws(TemplateError) -> TemplateValue {
        try step(at: operand.position)
        let value: TemplateValue
        switch operand.base {
        case .text(let text): value = .text(text)
        case .integer(let number): value = .integer(number)
        case .float(let number): value = .float(number)
        case .boolean(let flag): value = .boolean(flag)
        case .nothing: value = .nothing
        case .dot: value = dot
        case .variable(let name): value = variables.last { $0.name == name }?.value ?? .nothing
        case .function(let name): value = try call(name, operand, [], dot, piped: nil)
        case .pipeline(let pipeline): value = try evaluate(pipeline, dot)
        }
        return try fields(operand.fields, of: value, operand)
    }

    private func fields(
        _ names: [String], of value: TemplateValue, _ operand: TemplateOperand
    ) throws(TemplateError) -> TemplateValue {
        var value = value
        for name in names {
            switch (value, name) {
            // A label that is not there is an empty text: Prometheus' `missingkey=zero`.
            case (.map(let map), _): value = .text(map[name] ?? "")
            case (.object(let members), _): value = members[name] ?? .nothing
            case (.sample(let labels, _), "Labels"): value = .map(labels)
            case (.sample(_, let number), "Value"): value = .float(number)
            case (.root(let data), "Labels"): value = .map(data.labels)
            case (.root(let data), "Value"): value = .float(data.value)
            case (.root(let data), "ExternalLabels"): value = .map(data.externalLabels)
            case (.root(let data), "ExternalURL"): value = .text(data.externalURL)
            case (.nothing, _):
                throw error("nil data; no entry for key \(GoPrintf.quoted(name))", at: operand.position)
            default:
                throw error("can't evaluate field \(name) in type \(value.typeName)", at: operand.position)
            }
        }
        return value
    }

    private mutating func step(at position: TemplatePosition) throws(TemplateError) {
        steps += 1
        if steps > TemplateEvaluator.stepsMaximum {
            throw error("the template does more than \(TemplateEvaluator.stepsMaximum) steps", at: position)
        }
    }

    private mutating func write(_ piece: String, at position: TemplatePosition) throws(TemplateError) {
        try step(at: position)
        output += piece
        if output.utf8.count > TemplateEvaluator.outputBytesMaximum {
            throw error("the text grows over \(TemplateEvaluator.outputBytesMaximum) bytes", at: position)
        }
    }

    private func error(_ message: String, at position: TemplatePosition) -> TemplateError {
        position.error(message, in: text)
    }
}
