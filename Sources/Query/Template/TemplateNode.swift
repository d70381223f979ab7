/// A piece of a parsed template.
indirect enum TemplateNode: Hashable, Sendable {
    case text(String)
    /// A pipeline whose value is printed, unless it declares or sets a variable.
    case action(TemplatePipeline)
    case branch(TemplatePipeline, then: [TemplateNode], otherwise: [TemplateNode])
    case with(TemplatePipeline, then: [TemplateNode], otherwise: [TemplateNode])
    case range(TemplatePipeline, body: [TemplateNode], otherwise: [TemplateNode])
    /// `{{ template "name" pipeline }}`
    case call(name: String, TemplatePipeline?, TemplatePosition)
    case breakLoop
    case continueLoop
}

/// Commands joined by `|`, the value of each handed to the next as its last argument.
struct TemplatePipeline: Hashable, Sendable {
    var position: TemplatePosition
    /// The variables on the left of `:=` or `=`, with their dollar signs.
    var variables: [String]
    /// Whether they are set by `=` rather than declared by `:=`.
    var isAssignment: Bool
    var commands: [TemplateCommand]
}

/// A function with its arguments, or one operand alone.
struct TemplateCommand: Hashable, Sendable {
    var operands: [TemplateOperand]
}

/// A value as it is written: a literal, a variable, a function, a pipeline in parentheses; with the fields taken of it.
struct TemplateOperand: Hashable, Sendable {
    /// What stands before the fields.
    enum Base: Hashable, Sendable {
        case text(String)
        case integer(Int64)
        case float(Double)
        case boolean(Bool)
        case nothing
        case dot
        case variable(String)
        case function(String)
        case pipeline(TemplatePipeline)
    }

    var base: Base
    var fields: [String]
    var position: TemplatePosition
    /// As it was written, for messages.
    var source: String
}
