internal import Telemetry

/// Functions that read numbers as seconds since 1970, in UTC; without an argument they read the time of evaluation.
extension Functions {
    static let dateFunctions: [Function] = [
        part("minute") { $0.secondOfDay / 60 % 60 },
        part("hour") { $0.secondOfDay / 3600 },
        part("day_of_week") { $0.date.weekday },
        part("day_of_month") { $0.date.day },
        part("day_of_year") { $0.dayOfYear },
        part("days_in_month") { CivilDate.days(in: $0.date.month, of: $0.date.year) },
        part("month") { $0.date.month },
        part("year") { $0.date.year },
    ]

    private static func part(_ name: String, _ part: @escaping @Sendable (UniversalTime) -> Int) -> Function {
        Function(
            name, [.vector], variadic: 1, dependsOnTime: true,
            .general { evaluator, call in
                if call.arguments.isEmpty {
                    let times = evaluator.times
                    let values = (0..<times.count).map { Double(part(UniversalTime(seconds: times[$0] / 1000))) }
                    return .vector([SeriesColumn(labels: .empty, values: values)])
                }
                let columns = try evaluator.vector(call.arguments[0])
                return .vector(
                    evaluator.mapNumbers(columns) { _, value in Double(part(UniversalTime(seconds: seconds(value)))) })
            })
    }

    /// Whole seconds of a number; what no calendar can hold is taken as its farthest past.
    private static func seconds(_ value: Double) -> Int64 {
        let limit = 1e15
        guard value.magnitude <= limit else { return Int64(-limit) }
        return Int64(value)
    }
}

/// A second of UTC, taken apart.
private struct UniversalTime {
    let date: CivilDate
    let secondOfDay: Int

    init(seconds: Int64) {
        let days = seconds / 86_400 - (seconds % 86_400 < 0 ? 1 : 0)
        date = CivilDate(daysSinceEpoch: Int(days))
        secondOfDay = Int(seconds - days * 86_400)
    }

    /// From 1.
    var dayOfYear: Int {
        (1..<date.month).reduce(date.day) { $0 + CivilDate.days(in: $1, of: date.year) }
    }
}
