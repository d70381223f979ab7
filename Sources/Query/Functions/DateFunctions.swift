internal import Telemetry

extension Functions {
    /// Functions that read numbers as seconds since 1970, in UTC; without an argument they read the time of evaluation.
    static let dateFunctions: [Function] = [
        date("minute") { Double($0.secondOfDay / 60 % 60) },
        date("hour") { Double($0.secondOfDay / 3600) },
        date("day_of_week") { Double($0.weekday) },
        date("day_of_month") { Double($0.day) },
        date("day_of_year") { Double($0.dayOfYear) },
        date("days_in_month") { Double(CivilDate.days(inMonth: $0.month, of: $0.year)) },
        date("month") { Double($0.month) },
        date("year") { Double($0.year) },
    ]

    private static func date(_ name: String, _ part: @escaping @Sendable (CivilDate) -> Double) -> Function {
        Function(
            name, [.vector], variadic: 1, dependsOnTime: true,
            .general { evaluator, call in
                if call.arguments.isEmpty {
                    let times = evaluator.times
                    let values = (0..<times.count).map { part(CivilDate(seconds: times[$0] / 1000)) }
                    return .vector([SeriesColumn(labels: .empty, values: values)])
                }
                let columns = try evaluator.vector(call.arguments[0])
                return .vector(
                    evaluator.mapNumbers(columns) { _, value in part(CivilDate(seconds: seconds(value))) })
            })
    }

    /// Whole seconds of a number; what does not fit is the smallest integer, as Go converts it.
    private static func seconds(_ value: Double) -> Int64 {
        Int64(exactly: value.rounded(.towardZero)) ?? .min
    }
}

/// A day of the proleptic Gregorian calendar and the second in it, in UTC.
struct CivilDate: Hashable, Sendable {
    let year: Int
    /// From 1.
    let month: Int
    /// From 1.
    let day: Int
    let secondOfDay: Int
    /// From 0, a Sunday.
    let weekday: Int

    /// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
    init(seconds: Int64) {
        let days = Int(seconds.dividingRoundingDown(by: 86_400))
        secondOfDay = Int(seconds - Int64(days) * 86_400)
        weekday = ((days + 4) % 7 + 7) % 7
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfMarchYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfMarchYear + 2) / 153
        day = dayOfMarchYear - (153 * marchMonth + 2) / 5 + 1
        month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// `2026-08-21T14:53:52Z`.
    static func text(milliseconds: Int64) -> String {
        let date = CivilDate(seconds: milliseconds.dividingRoundingDown(by: 1000))
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let year = String(repeating: "0", count: max(0, 4 - String(date.year).count)) + String(date.year)
        let clock = [date.secondOfDay / 3600, date.secondOfDay / 60 % 60, date.secondOfDay % 60].map(two)
        return "\(year)-\(two(date.month))-\(two(date.day))T\(clock.joined(separator: ":"))Z"
    }

    static func days(inMonth month: Int, of year: Int) -> Int {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    /// From 1.
    var dayOfYear: Int { (1..<month).reduce(day) { $0 + CivilDate.days(inMonth: $1, of: year) } }
}

extension Int64 {
    fileprivate func dividingRoundingDown(by divisor: Int64) -> Int64 {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }
}
