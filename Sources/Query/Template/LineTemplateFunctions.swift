internal import Telemetry

/// The functions of LogQL's `line_format` and `label_format`: Go's own, and those that Loki's documentation lists under
/// "Template functions". One file or one line adds one.
enum LineTemplateFunctions {
    typealias Function = TemplateFunctions.Function
    typealias Failure = TemplateFunctions.Failure

    static let all: [String: Function] =
        TemplateFunctions.logic
        .merging(builtIn) { first, _ in first }
        .merging(text) { first, _ in first }
        .merging(numbers) { first, _ in first }
        .merging(times) { first, _ in first }
        .merging(codings) { first, _ in first }

    /// What Go's templates have of themselves.
    private static let builtIn = TemplateFunctions.text.filter {
        ["print", "printf", "println", "html", "urlquery"].contains($0.key)
    }

    static func make(
        _ arguments: ClosedRange<Int>,
        _ call: @escaping @Sendable ([TemplateValue], TemplateFunctions.Context) throws(Failure) -> TemplateValue
    ) -> Function {
        TemplateFunctions.make(arguments, call)
    }

    /// A function of texts.
    static func texts(
        _ count: Int, _ call: @escaping @Sendable ([String]) throws(Failure) -> TemplateValue
    ) -> Function {
        make(count...count) { (arguments, _) throws(Failure) in
            var texts: [String] = []
            for argument in arguments { texts.append(try TemplateFunctions.text(argument)) }
            return try call(texts)
        }
    }

    /// A whole number of any value, as sprig's `toInt64` converts it: 0 for what is none.
    static func integer(_ value: TemplateValue) -> Int64 {
        switch value {
        case .integer(let number): return number
        case .float(let number), .time(let number), .duration(let number):
            return Int64(exactly: number.rounded(.towardZero)) ?? 0
        case .boolean(let flag): return flag ? 1 : 0
        case .text(let text):
            return Int64(text) ?? Int64(exactly: (FloatText.parse(text) ?? 0).rounded(.towardZero)) ?? 0
        default: return 0
        }
    }

    /// A number of any value, as sprig's `toFloat64` converts it: 0 for what is none.
    static func float(_ value: TemplateValue) -> Double {
        switch value {
        case .integer(let number): Double(number)
        case .float(let number), .time(let number), .duration(let number): number
        case .boolean(let flag): flag ? 1 : 0
        case .text(let text): FloatText.parse(text) ?? 0
        default: 0
        }
    }
}
