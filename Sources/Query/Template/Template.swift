/// A template of an annotation or label: the subset of Go's `text/template` that Prometheus' rule files use, with
/// Prometheus' functions. Parsed once, expanded at every evaluation.
///
/// Source: Prometheus' documentation "Template reference" and "Template examples"; Go's documentation of
/// `text/template`.
package struct Template: Hashable, Sendable {
    /// Evaluates an expression at a time in milliseconds, for the function `query`.
    package typealias QueryRunner =
        @Sendable (_ expression: String, _ milliseconds: Int64) throws -> [(labels: [String: String], value: Double)]

    /// The text it was made from.
    package let text: String
    private let bytes: [UInt8]
    private let nodes: [TemplateNode]
    private let definitions: [String: [TemplateNode]]
    private let dialect: TemplateDialect

    /// Parses `text`; throws with the place where it cannot be read, or where a function or variable is not known.
    package init(_ text: String) throws(TemplateError) { try self.init(text, .prometheus) }

    /// Parses a template of LogQL's formatting stages.
    init(logQL text: String) throws(TemplateError) { try self.init(text, .loki) }

    private init(_ text: String, _ dialect: TemplateDialect) throws(TemplateError) {
        self.text = text
        self.dialect = dialect
        bytes = Array(text.utf8)
        var parser = try TemplateParser(bytes, dialect: dialect)
        nodes = try parser.parse()
        definitions = parser.definitions
    }

    /// A template that stands for `text`, whatever braces are in it.
    package init(literal text: String) {
        self.text = text
        bytes = Array(text.utf8)
        nodes = text.isEmpty ? [] : [.text(text)]
        definitions = [:]
        dialect = .prometheus
    }

    /// Whether the text has no action, so that it stands for itself.
    package var isLiteral: Bool {
        nodes.allSatisfy { if case .text = $0 { true } else { false } }
    }

    /// The text for `data`. Throws where a value has not the type that is asked of it, or the bounds are passed.
    package func expand(_ data: TemplateData, query: QueryRunner? = nil) throws(TemplateError) -> String {
        if nodes.isEmpty { return "" }
        if nodes.count == 1, case .text(let text) = nodes[0] { return text }
        let root = TemplateValue.root(data)
        var evaluator = TemplateEvaluator(
            text: bytes, definitions: definitions, functions: dialect.functions,
            context: TemplateFunctions.Context(data: data, query: query),
            variables: [
                ("$", root), ("$labels", .map(data.labels)), ("$value", .float(data.value)),
                ("$externalLabels", .map(data.externalLabels)), ("$externalURL", .text(data.externalURL)),
            ])
        try evaluator.run(nodes, dot: root)
        return evaluator.output
    }

    /// The text for a line: `.` is its labels, or `labels` where they are another line's or an earlier state of them.
    func expand(_ line: PipelineLine, labels: [String: String]? = nil) throws(TemplateError) -> String {
        if nodes.isEmpty { return "" }
        if nodes.count == 1, case .text(let text) = nodes[0] { return text }
        let labels = labels ?? line.labels.dictionary
        let data = TemplateData(labels: labels, value: 0, milliseconds: line.nowMilliseconds)
        let root = TemplateValue.map(labels)
        var evaluator = TemplateEvaluator(
            text: bytes, definitions: definitions, functions: dialect.functions,
            context: TemplateFunctions.Context(data: data, query: nil, line: line), variables: [("$", root)])
        try evaluator.run(nodes, dot: root)
        return evaluator.output
    }
}
