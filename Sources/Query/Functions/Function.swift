/// One function of PromQL: its name, its signature and its code in one value.
package struct Function: Sendable {
    package let name: String
    /// The types of the arguments; the last one repeats for a variadic function.
    package let argumentTypes: [ValueType]
    /// 0: every argument must be given. n: the last one may be left out, or be there up to n times. -1: any number.
    package let variadic: Int
    package let returnType: ValueType
    /// Whether its value can differ from step to step even where its arguments do not.
    let dependsOnTime: Bool
    /// Whether it looks at when the samples of a selector were taken.
    let readsSampleTimes: Bool
    let code: FunctionCode

    init(
        _ name: String, _ argumentTypes: [ValueType], variadic: Int = 0, returns returnType: ValueType = .vector,
        dependsOnTime: Bool = false, readsSampleTimes: Bool = false, _ code: FunctionCode
    ) {
        self.name = name
        self.argumentTypes = argumentTypes
        self.variadic = variadic
        self.returnType = returnType
        self.dependsOnTime = dependsOnTime || readsSampleTimes
        self.readsSampleTimes = readsSampleTimes
        self.code = code
    }

    /// Only `info`: its second argument is a list of label matchers.
    var takesBareSelector: Bool { name == "info" }
}

extension Function: Hashable {
    package static func == (left: Function, right: Function) -> Bool { left.name == right.name }

    package func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

/// How a function is evaluated.
enum FunctionCode: Sendable {
    /// Each number of a vector by itself.
    case perSample(@Sendable (Double) -> Double)
    /// The windows of a range vector.
    case window(WindowFunction)
    /// Anything else, over all steps at once.
    case general(@Sendable (Evaluator, Call) throws -> Evaluated)
    /// A number that is known before the evaluation begins.
    case queryBounds(@Sendable (QueryBounds) -> Double)
}

/// Every function of PromQL. One line per function in the file of its family adds one.
package enum Functions {
    /// All functions, family by family.
    package static let all: [Function] =
        sampleFunctions + scalarFunctions + windowFunctions + counterFunctions + regressionFunctions + dateFunctions
        + labelFunctions + histogramFunctions

    private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

    /// The function called `name`, which is case-sensitive.
    package static func named(_ name: String) -> Function? { byName[name] }
}
