internal import Telemetry

/// The functions a template may call: Prometheus' own and those built into Go's templates. One file or one line adds
/// one.
enum TemplateFunctions {
    /// What a function gets besides its arguments.
    struct Context {
        let data: TemplateData
        /// Evaluates an expression at the time of the evaluation; nil where queries are not offered.
        let query: Template.QueryRunner?
        /// The line of LogQL's formatting stages.
        var line: PipelineLine?
    }

    /// A function: how many arguments it takes, and what it does with them. It throws `Failure` with Go's words.
    struct Function: Sendable {
        let arguments: ClosedRange<Int>
        let call: @Sendable ([TemplateValue], Context) throws(Failure) -> TemplateValue
    }

    /// Why a call has no value; the evaluator adds the place.
    struct Failure: Error {
        let message: String
    }

    /// All functions by name. `and`, `or` and `not` are here for their names; the first two stop at the deciding
    /// argument and are evaluated by the evaluator.
    static let all: [String: Function] =
        logic
        .merging(numbers) { first, _ in first }
        .merging(text) { first, _ in first }
        .merging(queries) { first, _ in first }

    /// As many arguments as one likes.
    static let many = 1...1000

    static func make(
        _ arguments: ClosedRange<Int>,
        _ call: @escaping @Sendable ([TemplateValue], Context) throws(Failure) -> TemplateValue
    ) -> Function {
        Function(arguments: arguments, call: call)
    }

    /// A function of one number.
    static func number(_ call: @escaping @Sendable (Double) throws(Failure) -> TemplateValue) -> Function {
        make(1...1) { (arguments, _) throws(Failure) in try call(try float(arguments[0])) }
    }

    /// A function of one text.
    static func string(_ call: @escaping @Sendable (String) throws(Failure) -> TemplateValue) -> Function {
        make(1...1) { (arguments, _) throws(Failure) in try call(try text(arguments[0])) }
    }

    /// The number of a value, as Prometheus converts it.
    static func float(_ value: TemplateValue) throws(Failure) -> Double {
        switch value {
        case .float(let number), .duration(let number): return number
        case .integer(let number): return Double(number)
        case .text(let text):
            guard let number = FloatText.parse(text) else {
                throw Failure(message: "strconv.ParseFloat: parsing \(GoPrintf.quoted(text)): invalid syntax")
            }
            return number
        default: throw Failure(message: "can't convert \(value.typeName) to float")
        }
    }

    /// The text of an argument whose type is text.
    static func text(_ value: TemplateValue) throws(Failure) -> String {
        guard case .text(let text) = value else {
            throw Failure(message: "wrong type for value; expected string; got \(value.typeName)")
        }
        return text
    }
}

// MARK: - Numbers and times

extension TemplateFunctions {
    private static let numbers: [String: Function] = [
        "humanize": number { value in .text(Humanize.metric(value)) },
        "humanize1024": number { value in .text(Humanize.binary(value)) },
        "humanizeDuration": number { value in .text(Humanize.duration(seconds: value)) },
        "humanizePercentage": number { value in .text(Humanize.percentage(value)) },
        "humanizeTimestamp": number { (value) throws(Failure) in
            guard let text = Humanize.timestamp(seconds: value) else {
                let number = GoFloat.shortest(value)
                throw Failure(
                    message: "\(number) cannot be represented as a nanoseconds timestamp since it overflows int64")
            }
            return .text(text)
        },
        "toTime": number { value in .time(value) },
        "toDuration": number { value in .duration(value) },
        "now": make(0...0) { _, context in .float(Double(context.data.milliseconds) / 1000) },
        "parseDuration": string { (text) throws(Failure) in
            do throws(DurationError) {
                return .float(Double(try Durations.milliseconds(prometheus: text)) / 1000)
            } catch {
                throw Failure(message: error.description)
            }
        },
    ]
}

// MARK: - Answers of queries

extension TemplateFunctions {
    private static let queries: [String: Function] = [
        "query": make(1...1) { (arguments, context) throws(Failure) in
            let expression = try text(arguments[0])
            guard let query = context.query else {
                throw Failure(message: "query is not offered here: put the value into the alert's expression")
            }
            do {
                let samples = try query(expression, context.data.milliseconds)
                return .list(samples.map { .sample(labels: $0.labels, value: $0.value) })
            } catch {
                throw Failure(message: "\(error)")
            }
        },
        "first": make(1...1) { (arguments, _) throws(Failure) in
            guard let first = try list(arguments[0]).first else {
                throw Failure(message: "first() called on vector with no elements")
            }
            return first
        },
        "value": make(1...1) { (arguments, _) throws(Failure) in .float(try sample(arguments[0]).value) },
        "strvalue": make(1...1) { (arguments, _) throws(Failure) in
            .text(try sample(arguments[0]).labels["__value__"] ?? "")
        },
        "label": make(2...2) { (arguments, _) throws(Failure) in
            .text(try sample(arguments[1]).labels[try text(arguments[0])] ?? "")
        },
        "sortByLabel": make(2...2) { (arguments, _) throws(Failure) in
            let name = try text(arguments[0])
            var keyed: [(key: String, value: TemplateValue)] = []
            for element in try list(arguments[1]) {
                keyed.append((try sample(element).labels[name] ?? "", element))
            }
            return .list(keyed.sorted { $0.key < $1.key }.map(\.value))
        },
    ]

    private static func list(_ value: TemplateValue) throws(Failure) -> [TemplateValue] {
        guard case .list(let list) = value else {
            throw Failure(message: "wrong type for value; expected template.queryResult; got \(value.typeName)")
        }
        return list
    }

    private static func sample(
        _ value: TemplateValue
    ) throws(Failure) -> (labels: [String: String], value: Double) {
        guard case .sample(let labels, let number) = value else {
            throw Failure(message: "wrong type for value; expected *template.sample; got \(value.typeName)")
        }
        return (labels, number)
    }
}
