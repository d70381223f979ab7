/// Builds the tree of a template from its tokens. Variables and functions are checked here, so that a rule file with a
/// misspelt one is refused when it is loaded and not when the alert fires.
struct TemplateParser {
    /// Blocks and parentheses may not nest deeper, so that hostile text cannot use up the stack.
    static let depthMaximum = 64

    private let text: [UInt8]
    private let tokens: [TemplateToken]
    private var index = 0
    private var depth = 0
    private var loops = 0
    private let dialect: TemplateDialect
    private var variables: [String]
    /// Templates named by `define` and `block`.
    private(set) var definitions: [String: [TemplateNode]] = [:]

    /// A parser of `text` that knows the functions and variables of a dialect.
    init(_ text: [UInt8], dialect: TemplateDialect) throws(TemplateError) {
        self.text = text
        self.dialect = dialect
        variables = dialect.variables
        tokens = try TemplateLexer.tokens(of: text)
    }

    /// The nodes of the whole text.
    mutating func parse() throws(TemplateError) -> [TemplateNode] {
        let (nodes, keyword) = try block(endingWith: [])
        if let keyword { throw error("unexpected {{\(keyword.source)}}", at: keyword) }
        return nodes
    }

    /// Reads nodes up to one of `keywords` (whose action is read up to the keyword) or the end of the text.
    private mutating func block(
        endingWith keywords: Set<String>
    ) throws(TemplateError) -> (nodes: [TemplateNode], keyword: TemplateToken?) {
        depth += 1
        defer { depth -= 1 }
        if depth > TemplateParser.depthMaximum { throw error("blocks nest too deeply", at: current) }
        var nodes: [TemplateNode] = []
        while true {
            let token = take()
            switch token.kind {
            case .end: return (nodes, nil)
            case .text(let text): nodes.append(.text(text))
            case .leftDelimiter:
                if case .identifier(let word) = current.kind, ["end", "else"].contains(word) {
                    let keyword = take()
                    guard keywords.contains(word) else { throw error("unexpected {{\(word)}}", at: keyword) }
                    return (nodes, keyword)
                }
                if let node = try action(openedAt: token) { nodes.append(node) }
            default: throw error("unexpected \(token.source)", at: token)
            }
        }
    }

    private mutating func action(openedAt open: TemplateToken) throws(TemplateError) -> TemplateNode? {
        if case .rightDelimiter = current.kind { throw error("missing value for command", at: open) }
        guard case .identifier(let word) = current.kind else { return try plainAction() }
        let keyword = current
        switch word {
        case "if", "with", "range":
            index += 1
            return try control(word, keyword)
        case "define", "block":
            index += 1
            return try definition(word, keyword)
        case "template":
            index += 1
            let name = try stringArgument(of: keyword)
            let pipeline = isAtRightDelimiter ? nil : try self.pipeline(in: "template clause")
            try expectRightDelimiter(in: "template clause")
            return .call(name: name, pipeline, keyword.position)
        case "break", "continue":
            index += 1
            if loops == 0 { throw error("{{\(word)}} outside {{range}}", at: keyword) }
            try expectRightDelimiter(in: word)
            return word == "break" ? .breakLoop : .continueLoop
        default: return try plainAction()
        }
    }

    private mutating func plainAction() throws(TemplateError) -> TemplateNode {
        let pipeline = try self.pipeline(in: "command")
        try expectRightDelimiter(in: "command")
        return .action(pipeline)
    }

    private mutating func control(_ word: String, _ keyword: TemplateToken) throws(TemplateError) -> TemplateNode {
        let known = variables.count
        defer { variables.removeLast(variables.count - known) }
        let pipeline = try self.pipeline(in: word, allowsTwoVariables: word == "range")
        try expectRightDelimiter(in: word)
        loops += word == "range" ? 1 : 0
        let inner = variables.count
        let (body, end) = try block(endingWith: ["end", "else"])
        variables.removeLast(variables.count - inner)
        loops -= word == "range" ? 1 : 0
        guard let end else { throw error("{{\(word)}} has no {{end}}", at: keyword) }
        var otherwise: [TemplateNode] = []
        if end.source == "else" {
            if case .identifier(let next) = current.kind, next == word, word != "range" {
                let nested = take()
                depth += 1
                defer { depth -= 1 }
                if depth > TemplateParser.depthMaximum { throw error("blocks nest too deeply", at: nested) }
                otherwise = [try control(word, nested)]
            } else {
                try expectRightDelimiter(in: "else")
                let (nodes, last) = try block(endingWith: ["end"])
                variables.removeLast(variables.count - inner)
                guard last != nil else { throw error("{{\(word)}} has no {{end}}", at: keyword) }
                otherwise = nodes
                try expectRightDelimiter(in: "end")
            }
        } else {
            try expectRightDelimiter(in: "end")
        }
        switch word {
        case "if": return .branch(pipeline, then: body, otherwise: otherwise)
        case "with": return .with(pipeline, then: body, otherwise: otherwise)
        default: return .range(pipeline, body: body, otherwise: otherwise)
        }
    }

    private mutating func definition(_ word: String, _ keyword: TemplateToken) throws(TemplateError) -> TemplateNode? {
        let name = try stringArgument(of: keyword)
        let pipeline = word == "block" ? try self.pipeline(in: "block clause") : nil
        try expectRightDelimiter(in: word)
        // A named template sees no variable but `$`, which is the value it is called with.
        let outer = (variables, loops)
        (variables, loops) = (["$"], 0)
        let (body, end) = try block(endingWith: ["end"])
        (variables, loops) = outer
        guard end != nil else { throw error("{{\(word)}} has no {{end}}", at: keyword) }
        try expectRightDelimiter(in: "end")
        definitions[name] = body
        return pipeline.map { .call(name: name, $0, keyword.position) }
    }

    private mutating func stringArgument(of keyword: TemplateToken) throws(TemplateError) -> String {
        let token = take()
        guard case .string(let name) = token.kind else {
            throw error("unexpected \(token.source) in \(keyword.source) clause, a quoted name belongs here", at: token)
        }
        return name
    }

    // MARK: Pipelines

    private mutating func pipeline(
        in context: String, allowsTwoVariables: Bool = false
    ) throws(TemplateError) -> TemplatePipeline {
        let position = current.position
        depth += 1
        defer { depth -= 1 }
        if depth > TemplateParser.depthMaximum { throw error("parentheses nest too deeply", at: current) }
        let (names, isAssignment) = try declarations(allowsTwoVariables: allowsTwoVariables)
        var commands: [TemplateCommand] = []
        while true {
            let command = try self.command(isFirst: commands.isEmpty, in: context)
            commands.append(command)
            guard case .pipe = current.kind else { break }
            index += 1
        }
        // A variable is known behind the pipeline that declares it.
        if !isAssignment { variables += names }
        return TemplatePipeline(position: position, variables: names, isAssignment: isAssignment, commands: commands)
    }

    private mutating func declarations(
        allowsTwoVariables: Bool
    ) throws(TemplateError) -> (names: [String], isAssignment: Bool) {
        guard case .variable(let first) = current.kind else { return ([], false) }
        var names = [first]
        var cursor = index + 1
        if case .comma = tokens[cursor].kind, case .variable(let second) = tokens[cursor + 1].kind {
            guard allowsTwoVariables else { throw error("too many declarations in command", at: current) }
            names.append(second)
            cursor += 2
        }
        switch tokens[cursor].kind {
        case .declare:
            index = cursor + 1
            return (names, false)
        case .assign:
            for name in names where !variables.contains(name) {
                throw error("undefined variable \"\(name)\"", at: current)
            }
            index = cursor + 1
            return (names, true)
        default:
            if names.count > 1 { throw error("range can only initialize variables", at: tokens[cursor]) }
            return ([], false)
        }
    }

    private mutating func command(isFirst: Bool, in context: String) throws(TemplateError) -> TemplateCommand {
        var operands: [TemplateOperand] = []
        let start = current
        while let operand = try self.operand() {
            operands.append(operand)
            if !isAtOperandEnd, !current.followsSpace {
                throw error("unexpected \(current.source) in operand", at: current)
            }
        }
        guard let first = operands.first else {
            let what =
                isAtRightDelimiter || isAtPipe
                ? "missing value for \(context)" : "unexpected \(start.source) in \(context)"
            throw error(what, at: start)
        }
        if !isFirst {
            switch first.base {
            case .function, .pipeline, .variable, .dot: break
            default: throw error("non executable command in pipeline stage: \(first.source)", at: start)
            }
        }
        return TemplateCommand(operands: operands)
    }

    private var isAtRightDelimiter: Bool { if case .rightDelimiter = current.kind { true } else { false } }
    private var isAtPipe: Bool { if case .pipe = current.kind { true } else { false } }

    private var isAtOperandEnd: Bool {
        switch current.kind {
        case .rightDelimiter, .pipe, .rightParenthesis, .end: true
        default: false
        }
    }

    private mutating func operand() throws(TemplateError) -> TemplateOperand? {
        let token = current
        var operand = TemplateOperand(base: .dot, fields: [], position: token.position, source: token.source)
        switch token.kind {
        case .string(let text): operand.base = .text(text)
        case .integer(let value): operand.base = .integer(value)
        case .float(let value): operand.base = .float(value)
        case .dot: operand.base = .dot
        case .field(let name): operand.fields = [name]
        case .variable(let name):
            guard variables.contains(name) else { throw error("undefined variable \"\(name)\"", at: token) }
            operand.base = .variable(name)
        case .identifier(let name):
            switch name {
            case "true", "false": operand.base = .boolean(name == "true")
            case "nil": operand.base = .nothing
            default:
                guard dialect.functions[name] != nil else {
                    throw error("function \"\(name)\" not defined", at: token)
                }
                operand.base = .function(name)
            }
        case .leftParenthesis:
            index += 1
            operand.base = .pipeline(try pipeline(in: "parenthesized pipeline"))
            guard case .rightParenthesis = current.kind else {
                throw error("unclosed left paren: unexpected \(current.source)", at: current)
            }
            operand.source = "(...)"
        default: return nil
        }
        index += 1
        while case .field(let name) = current.kind, !current.followsSpace {
            switch operand.base {
            case .text, .integer, .float, .boolean, .nothing:
                throw error("unexpected . after term \(operand.source)", at: current)
            default: break
            }
            operand.fields.append(name)
            operand.source += current.source
            index += 1
        }
        return operand
    }

    private mutating func expectRightDelimiter(in context: String) throws(TemplateError) {
        guard isAtRightDelimiter else { throw error("unexpected \(current.source) in \(context)", at: current) }
        index += 1
    }

    private var current: TemplateToken { tokens[min(index, tokens.count - 1)] }

    private mutating func take() -> TemplateToken {
        defer { index += 1 }
        return current
    }

    private func error(_ message: String, at token: TemplateToken) -> TemplateError {
        token.position.error(message, in: text)
    }
}
