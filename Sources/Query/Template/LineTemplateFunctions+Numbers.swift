internal import Glibc
internal import Telemetry

/// Functions of numbers. Their arguments may be text, which is what labels are.
extension LineTemplateFunctions {
    static let numbers: [String: Function] = [
        "int": make(1...1) { arguments, _ in .integer(integer(arguments[0])) },
        "float64": make(1...1) { arguments, _ in .float(float(arguments[0])) },
        "add": whole(2...1000) { $0.dropFirst().reduce($0[0], &+) },
        "sub": whole(2...2) { $0[0] &- $0[1] },
        "mul": whole(2...1000) { $0.dropFirst().reduce($0[0], &*) },
        "div": make(2...2) { (arguments, _) throws(Failure) in
            .integer(try divided(arguments) { $0.quotient })
        },
        "mod": make(2...2) { (arguments, _) throws(Failure) in .integer(try divided(arguments) { $0.remainder }) },
        "max": whole(1...1000) { $0.max() ?? 0 },
        "min": whole(1...1000) { $0.min() ?? 0 },
        "addf": decimal(2...1000) { $0.dropFirst().reduce($0[0], +) },
        "subf": decimal(2...1000) { $0.dropFirst().reduce($0[0], -) },
        "mulf": decimal(2...1000) { $0.dropFirst().reduce($0[0], *) },
        "divf": decimal(2...1000) { $0.dropFirst().reduce($0[0], /) },
        "maxf": decimal(1...1000) { $0.max() ?? 0 },
        "minf": decimal(1...1000) { $0.min() ?? 0 },
        "ceil": decimal(1...1) { $0[0].rounded(.up) },
        "floor": decimal(1...1) { $0[0].rounded(.down) },
        "round": make(2...3) { arguments, _ in
            let half = arguments.count > 2 ? float(arguments[2]) : 0.5
            return .float(rounded(float(arguments[0]), places: integer(arguments[1]), half: half))
        },
        "bytes": texts(1) { (texts) throws(Failure) in
            do throws(FieldNumber.Failure) {
                return .float(try FieldNumber.bytes(texts[0]))
            } catch {
                throw Failure(message: error.message)
            }
        },
        "duration": texts(1) { (texts) throws(Failure) in .float(try seconds(texts[0])) },
        "duration_seconds": texts(1) { (texts) throws(Failure) in .float(try seconds(texts[0])) },
    ]

    private static func whole(
        _ count: ClosedRange<Int>, _ call: @escaping @Sendable ([Int64]) -> Int64
    ) -> Function {
        make(count) { arguments, _ in .integer(call(arguments.map(integer))) }
    }

    private static func decimal(
        _ count: ClosedRange<Int>, _ call: @escaping @Sendable ([Double]) -> Double
    ) -> Function {
        make(count) { arguments, _ in .float(call(arguments.map(float))) }
    }

    /// A division of two whole numbers.
    private struct Division {
        var quotient: Int64
        var remainder: Int64
    }

    private static func divided(
        _ arguments: [TemplateValue], _ part: (Division) -> Int64
    ) throws(Failure) -> Int64 {
        let (dividend, divisor) = (integer(arguments[0]), integer(arguments[1]))
        guard divisor != 0 else { throw Failure(message: "runtime error: integer divide by zero") }
        let quotient = dividend.dividedReportingOverflow(by: divisor).partialValue
        return part(
            Division(
                quotient: quotient,
                remainder: dividend.remainderReportingOverflow(dividingBy: divisor).partialValue))
    }

    /// Sprig's `round`: what is left behind the last decimal goes up from `half` on.
    private static func rounded(_ value: Double, places: Int64, half: Double) -> Double {
        let scale = pow(10, Double(places))
        let scaled = value * scale
        let rest = scaled - scaled.rounded(.towardZero)
        return (rest >= half ? scaled.rounded(.up) : scaled.rounded(.down)) / scale
    }

    private static func seconds(_ text: String) throws(Failure) -> Double {
        do throws(FieldNumber.Failure) {
            return Double(try FieldNumber.nanoseconds(text)) / 1e9
        } catch {
            throw Failure(message: error.message)
        }
    }
}
