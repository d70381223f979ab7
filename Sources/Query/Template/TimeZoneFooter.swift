internal import Telemetry

/// The rule for times behind the last transition of a time zone's file: a TZ string of POSIX such as
/// `CET-1CEST,M3.5.0,M10.5.0/3`.
struct TimeZoneFooter: Sendable {
    /// A day of the year on which clocks change, and when on it.
    private enum Day {
        /// 1…365; there is no 29th of February.
        case julian(Int)
        /// 0…365.
        case dayOfYear(Int)
        case month(Int, week: Int, weekday: Int)
    }

    private struct Change {
        var day: Day
        var secondsOfDay: Int
    }

    private let standard: TimeZoneOffset
    private let daylight: (offset: TimeZoneOffset, begins: Change, ends: Change)?

    /// Reads a rule; nil where there is none.
    init?(_ text: String) {
        var reader = Reader(rest: text[...])
        guard let name = reader.name(), let offset = reader.offset() else { return nil }
        standard = TimeZoneOffset(seconds: -offset, abbreviation: name)
        if reader.rest.isEmpty {
            daylight = nil
            return
        }
        guard let other = reader.name() else { return nil }
        let isGiven = reader.rest.first != ","
        let otherOffset = isGiven ? reader.offset().map { -$0 } : standard.seconds + 3_600
        guard let otherOffset, let begins = reader.change(), let ends = reader.change(), reader.rest.isEmpty else {
            return nil
        }
        daylight = (TimeZoneOffset(seconds: otherOffset, abbreviation: other), begins, ends)
    }

    /// What holds at a moment behind the last transition.
    func span(at seconds: Int64, behind last: Int64) -> TimeZoneRules.Span {
        guard let daylight else { return TimeZoneRules.Span(offset: standard, start: last, end: .max) }
        let days = Int(seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400)
        let year = CivilDate(daysSinceEpoch: days).year
        let yearDays = CivilDate(year: year, month: 1, day: 1)?.daysSinceEpoch ?? 0
        let nextDays = CivilDate(year: year + 1, month: 1, day: 1)?.daysSinceEpoch ?? 0
        let yearStart = Int64(yearDays) * 86_400
        var begins = yearStart + moment(of: daylight.begins, year, before: standard)
        var ends = yearStart + moment(of: daylight.ends, year, before: daylight.offset)
        var (outside, inside) = (standard, daylight.offset)
        // South of the equator the summer is around the new year.
        if ends < begins { (begins, ends, outside, inside) = (ends, begins, inside, outside) }
        if seconds < begins { return TimeZoneRules.Span(offset: outside, start: max(last, yearStart), end: begins) }
        if seconds >= ends {
            return TimeZoneRules.Span(offset: outside, start: ends, end: Int64(nextDays) * 86_400)
        }
        return TimeZoneRules.Span(offset: inside, start: max(last, begins), end: ends)
    }

    /// The second of the year at which clocks change that show the time of `offset` before.
    private func moment(of change: Change, _ year: Int, before offset: TimeZoneOffset) -> Int64 {
        let isLeap = CivilDate.days(in: 2, of: year) == 29
        let day: Int
        switch change.day {
        case .julian(let number): day = number - 1 + (isLeap && number >= 60 ? 1 : 0)
        case .dayOfYear(let number): day = number
        case .month(let month, let week, let weekday):
            let first = CivilDate(year: year, month: month, day: 1)
            let start = CivilDate(year: year, month: 1, day: 1)?.daysSinceEpoch ?? 0
            let ahead = (weekday - (first?.weekday ?? 0) + 7) % 7
            var date = 1 + ahead + (week - 1) * 7
            // The fifth week is the last one.
            while date > CivilDate.days(in: month, of: year) { date -= 7 }
            day = (first?.daysSinceEpoch ?? 0) - start + date - 1
        }
        return Int64(day * 86_400 + change.secondsOfDay - offset.seconds)
    }

    /// Walks over the text.
    private struct Reader {
        var rest: Substring

        /// Letters, or anything between angle brackets.
        mutating func name() -> String? {
            let name: Substring
            if rest.first == "<" {
                name = rest.dropFirst().prefix { $0 != ">" }
                rest = rest.dropFirst(name.count + 2)
            } else {
                name = rest.prefix { $0.isLetter }
                rest = rest.dropFirst(name.count)
            }
            return name.count >= 3 ? String(name) : nil
        }

        /// `[+-]hh[:mm[:ss]]` in seconds.
        mutating func offset() -> Int? {
            var sign = 1
            if rest.first == "+" || rest.first == "-" {
                sign = rest.first == "-" ? -1 : 1
                rest = rest.dropFirst()
            }
            guard var seconds = number(0...167).map({ $0 * 3_600 }) else { return nil }
            for unit in [60, 1] where rest.first == ":" {
                rest = rest.dropFirst()
                guard let part = number(0...59) else { return nil }
                seconds += part * unit
            }
            return sign * seconds
        }

        /// `,date[/time]`.
        mutating func change() -> Change? {
            guard rest.first == "," else { return nil }
            rest = rest.dropFirst()
            guard let day = day() else { return nil }
            guard rest.first == "/" else { return Change(day: day, secondsOfDay: 7_200) }
            rest = rest.dropFirst()
            return offset().map { Change(day: day, secondsOfDay: $0) }
        }

        private mutating func day() -> Day? {
            switch rest.first {
            case "J":
                rest = rest.dropFirst()
                return number(1...365).map { .julian($0) }
            case "M":
                rest = rest.dropFirst()
                guard let month = number(1...12), take("."), let week = number(1...5), take("."),
                    let weekday = number(0...6)
                else { return nil }
                return .month(month, week: week, weekday: weekday)
            default: return number(0...365).map { .dayOfYear($0) }
            }
        }

        private mutating func take(_ character: Character) -> Bool {
            guard rest.first == character else { return false }
            rest = rest.dropFirst()
            return true
        }

        private mutating func number(_ range: ClosedRange<Int>) -> Int? {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            guard let value = Int(digits), range.contains(value) else { return nil }
            rest = rest.dropFirst(digits.count)
            return value
        }
    }
}
