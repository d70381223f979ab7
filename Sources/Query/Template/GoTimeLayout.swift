internal import Telemetry

/// Go's layouts of times: `2006-01-02T15:04:05.000Z07:00` is the reference time as one wants to see it. In UTC where
/// nobody says otherwise.
///
/// Source: Go's documentation of the package `time`.
struct GoTimeLayout {
    private enum Piece: Hashable {
        case literal(String)
        case year, shortYear
        case monthName, shortMonthName, paddedMonth, month
        case weekdayName, shortWeekdayName
        case paddedDay, blankPaddedDay, day, dayOfYear
        case hour, paddedHour12, hour12, paddedMinute, minute, paddedSecond, second
        /// `.000` keeps its zeros, `.999` drops them.
        case fraction(digits: Int, dropsZeros: Bool, separator: Character)
        case upperPM, lowerPM
        case zoneName
        /// `-0700` and its like; with a Z for UTC where it begins with one.
        case zone(hasColon: Bool, isZulu: Bool, isShort: Bool)
    }

    /// Longest first where one begins another.
    private static let words: [(word: String, piece: Piece)] = [
        ("January", .monthName), ("Jan", .shortMonthName), ("Monday", .weekdayName), ("Mon", .shortWeekdayName),
        ("MST", .zoneName), ("2006", .year), ("002", .dayOfYear), ("01", .paddedMonth), ("02", .paddedDay),
        ("03", .paddedHour12), ("04", .paddedMinute), ("05", .paddedSecond), ("06", .shortYear),
        ("_2", .blankPaddedDay),
        ("15", .hour), ("1", .month), ("2", .day), ("3", .hour12), ("4", .minute), ("5", .second), ("PM", .upperPM),
        ("pm", .lowerPM), ("-07:00", .zone(hasColon: true, isZulu: false, isShort: false)),
        ("-0700", .zone(hasColon: false, isZulu: false, isShort: false)),
        ("-07", .zone(hasColon: false, isZulu: false, isShort: true)),
        ("Z07:00", .zone(hasColon: true, isZulu: true, isShort: false)),
        ("Z0700", .zone(hasColon: false, isZulu: true, isShort: false)),
    ]
    private static let months = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ]
    private static let weekdays = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]

    /// How Go prints a time.
    static let printed = GoTimeLayout("2006-01-02 15:04:05.999999999 -0700 MST")

    private let pieces: [Piece]

    init(_ layout: String) {
        var pieces: [Piece] = []
        var literal = ""
        var rest = layout[...]
        while let first = rest.first {
            if let (piece, count) = GoTimeLayout.fraction(rest) {
                if !literal.isEmpty { pieces.append(.literal(literal)) }
                literal = ""
                pieces.append(piece)
                rest = rest.dropFirst(count)
            } else if let known = GoTimeLayout.words.first(where: { rest.hasPrefix($0.word) }) {
                if !literal.isEmpty { pieces.append(.literal(literal)) }
                literal = ""
                pieces.append(known.piece)
                rest = rest.dropFirst(known.word.count)
            } else {
                literal.append(first)
                rest = rest.dropFirst()
            }
        }
        if !literal.isEmpty { pieces.append(.literal(literal)) }
        self.pieces = pieces
    }

    /// `.000` or `,999`, not followed by another digit.
    private static func fraction(_ text: Substring) -> (piece: Piece, count: Int)? {
        guard let separator = text.first, separator == "." || separator == ",",
            let digit = text.dropFirst().first, digit == "0" || digit == "9"
        else { return nil }
        let digits = text.dropFirst().prefix { $0 == digit }.count
        if let next = text.dropFirst(digits + 1).first, next.isNumber { return nil }
        return (.fraction(digits: min(9, digits), dropsZeros: digit == "9", separator: separator), digits + 1)
    }

    // MARK: Printing

    /// A time in nanoseconds since 1970, as clocks with an offset show it.
    func text(_ nanoseconds: Int64, _ offset: TimeZoneOffset = .utc) -> String {
        let moment = Moment(nanoseconds, offset)
        return pieces.map { GoTimeLayout.text($0, moment) }.joined()
    }

    private struct Moment {
        let date: CivilDate
        let secondOfDay: Int
        let nanosecond: Int
        let offset: TimeZoneOffset

        init(_ nanoseconds: Int64, _ offset: TimeZoneOffset) {
            self.offset = offset
            let whole = Int(nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000).quotient)
            let rest = Int(nanoseconds - Int64(whole) * 1_000_000_000)
            let seconds = whole + offset.seconds
            let floored = rest < 0 ? seconds - 1 : seconds
            let days = floored >= 0 ? floored / 86_400 : (floored - 86_399) / 86_400
            date = CivilDate(daysSinceEpoch: days)
            secondOfDay = floored - days * 86_400
            nanosecond = rest < 0 ? rest + 1_000_000_000 : rest
        }

        var hour: Int { secondOfDay / 3600 }
        var hour12: Int { hour % 12 == 0 ? 12 : hour % 12 }
        var minute: Int { secondOfDay / 60 % 60 }
        var second: Int { secondOfDay % 60 }
    }

    private static func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    private static func text(_ piece: Piece, _ moment: Moment) -> String {
        let date = moment.date
        switch piece {
        case .literal(let text): return text
        case .year: return padded(date.year, 4)
        case .shortYear: return padded(date.year % 100, 2)
        case .monthName: return months[date.month - 1]
        case .shortMonthName: return String(months[date.month - 1].prefix(3))
        case .paddedMonth: return padded(date.month, 2)
        case .month: return String(date.month)
        case .weekdayName: return weekdays[date.weekday]
        case .shortWeekdayName: return String(weekdays[date.weekday].prefix(3))
        case .paddedDay: return padded(date.day, 2)
        case .blankPaddedDay: return date.day < 10 ? " \(date.day)" : String(date.day)
        case .day: return String(date.day)
        case .dayOfYear:
            let first = CivilDate(year: date.year, month: 1, day: 1)?.daysSinceEpoch ?? 0
            return padded(date.daysSinceEpoch - first + 1, 3)
        case .hour: return padded(moment.hour, 2)
        case .paddedHour12: return padded(moment.hour12, 2)
        case .hour12: return String(moment.hour12)
        case .paddedMinute: return padded(moment.minute, 2)
        case .minute: return String(moment.minute)
        case .paddedSecond: return padded(moment.second, 2)
        case .second: return String(moment.second)
        case .fraction(let digits, let dropsZeros, let separator):
            var text = String(padded(moment.nanosecond, 9).prefix(digits))
            while dropsZeros, text.last == "0" { text.removeLast() }
            return text.isEmpty ? "" : "\(separator)\(text)"
        case .upperPM: return moment.hour < 12 ? "AM" : "PM"
        case .lowerPM: return moment.hour < 12 ? "am" : "pm"
        case .zoneName: return moment.offset.abbreviation
        case .zone(let hasColon, let isZulu, let isShort):
            if isZulu, moment.offset.seconds == 0 { return "Z" }
            let minutes = abs(moment.offset.seconds) / 60
            let sign = moment.offset.seconds < 0 ? "-" : "+"
            let rest = isShort ? "" : (hasColon ? ":" : "") + padded(minutes % 60, 2)
            return sign + padded(minutes / 60, 2) + rest
        }
    }

    // MARK: Reading

    /// The nanoseconds since 1970 of a text in this layout; nil for any other text. A text that names no offset is of
    /// clocks in `zone`.
    func nanoseconds(_ text: String, in zone: TimeZoneRules = .utc) -> Int64? {
        var reading = Reading(rest: text[...], zone: zone)
        for piece in pieces where !GoTimeLayout.read(piece, &reading) { return nil }
        guard reading.rest.isEmpty || reading.rest.first == ".",
            let date = CivilDate(year: reading.year, month: reading.month, day: reading.day)
        else { return nil }
        if reading.rest.first == ".", !reading.takeFraction() { return nil }
        guard reading.rest.isEmpty else { return nil }
        let hour = reading.isAfternoon.map { reading.hour % 12 + ($0 ? 12 : 0) } ?? reading.hour
        let secondOfDay: Int = hour * 3600 + reading.minute * 60 + reading.second
        let local = Int64(date.daysSinceEpoch * 86_400 + secondOfDay)
        let seconds = reading.offsetSeconds.map { local - Int64($0) } ?? zone.seconds(ofLocal: local)
        let (scaled, overflows) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflows ? nil : scaled + Int64(reading.nanosecond)
    }

    private struct Reading {
        var rest: Substring
        let zone: TimeZoneRules
        var year = 0
        var month = 1
        var day = 1
        var hour = 0
        var minute = 0
        var second = 0
        var nanosecond = 0
        /// Where the text names one.
        var offsetSeconds: Int?
        var isAfternoon: Bool?

        mutating func number(_ count: ClosedRange<Int>) -> Int? {
            let digits = rest.prefix(count.upperBound).prefix { $0.isASCII && $0.isNumber }
            guard digits.count >= count.lowerBound else { return nil }
            rest = rest.dropFirst(digits.count)
            return Int(digits)
        }

        mutating func set(_ target: WritableKeyPath<Reading, Int>, _ count: ClosedRange<Int>) -> Bool {
            guard let number = number(count) else { return false }
            self[keyPath: target] = number
            return true
        }

        mutating func takeFraction() -> Bool {
            guard let separator = rest.first, separator == "." || separator == "," else { return true }
            let digits = rest.dropFirst().prefix { $0.isASCII && $0.isNumber }
            guard !digits.isEmpty else { return false }
            rest = rest.dropFirst(digits.count + 1)
            nanosecond = Int(digits.prefix(9) + String(repeating: "0", count: max(0, 9 - digits.count))) ?? 0
            return true
        }

        mutating func takeZone(isZulu: Bool) -> Bool {
            if isZulu, rest.first == "Z" {
                rest = rest.dropFirst()
                offsetSeconds = 0
                return true
            }
            guard let sign = rest.first, sign == "+" || sign == "-" else { return false }
            rest = rest.dropFirst()
            guard let hours = number(2...2) else { return false }
            if rest.first == ":" { rest = rest.dropFirst() }
            offsetSeconds = (hours * 3600 + (number(2...2) ?? 0) * 60) * (sign == "-" ? -1 : 1)
            return true
        }

        /// A name such as CEST: of the zone's own, or of UTC. Go takes all others for UTC too.
        mutating func takeZoneName() -> Bool {
            let name = rest.prefix(5).prefix { $0.isASCII && $0.isUppercase }
            guard (3...5).contains(name.count) else { return false }
            rest = rest.dropFirst(name.count)
            offsetSeconds = zone.offset(named: String(name)) ?? 0
            return true
        }

        mutating func take(_ words: [String]) -> Int? {
            guard let index = words.firstIndex(where: { rest.lowercased().hasPrefix($0.lowercased()) }) else {
                return nil
            }
            rest = rest.dropFirst(words[index].count)
            return index
        }
    }

    private static func read(_ piece: Piece, _ reading: inout Reading) -> Bool {
        switch piece {
        case .literal(let text):
            guard reading.rest.hasPrefix(text) else { return false }
            reading.rest = reading.rest.dropFirst(text.count)
            return true
        case .year: return reading.set(\.year, 4...4)
        case .shortYear:
            guard let number = reading.number(2...2) else { return false }
            reading.year = number + (number >= 69 ? 1900 : 2000)
            return true
        case .monthName, .shortMonthName:
            let names = piece == .monthName ? months : months.map { String($0.prefix(3)) }
            guard let index = reading.take(names) else { return false }
            reading.month = index + 1
            return true
        case .weekdayName: return reading.take(weekdays) != nil
        case .shortWeekdayName: return reading.take(weekdays.map { String($0.prefix(3)) }) != nil
        case .paddedMonth: return reading.set(\.month, 2...2)
        case .month: return reading.set(\.month, 1...2)
        case .paddedDay: return reading.set(\.day, 2...2)
        case .blankPaddedDay, .day:
            if reading.rest.first == " " { reading.rest = reading.rest.dropFirst() }
            return reading.set(\.day, 1...2)
        case .dayOfYear: return false
        case .hour: return reading.set(\.hour, 2...2)
        case .paddedHour12: return reading.set(\.hour, 2...2)
        case .hour12: return reading.set(\.hour, 1...2)
        case .paddedMinute: return reading.set(\.minute, 2...2)
        case .minute: return reading.set(\.minute, 1...2)
        case .paddedSecond: return reading.set(\.second, 2...2)
        case .second: return reading.set(\.second, 1...2)
        case .fraction: return reading.takeFraction()
        case .upperPM, .lowerPM:
            guard let index = reading.take(["AM", "PM"]) else { return false }
            reading.isAfternoon = index == 1
            return true
        case .zoneName: return reading.takeZoneName()
        case .zone(_, let isZulu, _): return reading.takeZone(isZulu: isZulu)
        }
    }
}
