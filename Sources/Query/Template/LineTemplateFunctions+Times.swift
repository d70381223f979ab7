internal import Telemetry

/// Functions of time. This machine's zone is UTC for them.
extension LineTemplateFunctions {
    static let times: [String: Function] = [
        "__timestamp__": make(0...0) { _, context in .instant(context.line?.nanoseconds ?? 0) },
        "now": make(0...0) { _, context in .instant(context.data.milliseconds &* 1_000_000) },
        "date": make(2...2) { (arguments, _) throws(Failure) in
            .text(GoTimeLayout(try TemplateFunctions.text(arguments[0])).text(try nanoseconds(arguments[1])))
        },
        "toDate": texts(2) { .instant(GoTimeLayout($0[0]).nanoseconds($0[1]) ?? yearOne) },
        "toDateInZone": texts(3) { (texts) throws(Failure) in
            guard let zone = TimeZoneRules.named(texts[1]) else {
                throw Failure(message: "unknown time zone \(texts[1])")
            }
            guard let time = GoTimeLayout(texts[0]).nanoseconds(texts[2], in: zone) else { return .instant(yearOne) }
            return .zonedInstant(time, zone.span(at: Int64((Double(time) / 1e9).rounded(.down))).offset)
        },
        "unixEpoch": epoch(1_000_000_000),
        "unixEpochMillis": epoch(1_000_000),
        "unixEpochNanos": epoch(1),
        "unixToTime": texts(1) { (texts) throws(Failure) in
            let digits = texts[0]
            guard let number = Int64(digits) else {
                throw Failure(message: "unable to parse time '\(digits)': not a whole number")
            }
            // The number of digits says what is counted.
            let unit: Int64? =
                switch digits.utf8.count {
                case 5: 86_400_000_000_000
                case 10: 1_000_000_000
                case 13: 1_000_000
                case 16: 1000
                case 19: 1
                default: nil
                }
            guard let unit else {
                throw Failure(message: "unable to parse time '\(digits)': unexpected number of digits")
            }
            let (nanoseconds, overflows) = number.multipliedReportingOverflow(by: unit)
            // As far as 64 bits of nanoseconds get.
            return .instant(overflows ? (number < 0 ? .min : .max) : nanoseconds)
        },
    ]

    /// What a text that is no date stands for in Go, as near as 64 bits of nanoseconds get.
    private static let yearOne = Int64.min

    /// The whole units since 1970 as text.
    private static func epoch(_ unit: Int64) -> Function {
        make(1...1) { (arguments, _) throws(Failure) in .text(String(try nanoseconds(arguments[0]) / unit)) }
    }

    private static func nanoseconds(_ value: TemplateValue) throws(Failure) -> Int64 {
        switch value {
        case .instant(let nanoseconds), .zonedInstant(let nanoseconds, _): return nanoseconds
        case .time(let seconds): return Int64(exactly: (seconds * 1e9).rounded()) ?? 0
        case .integer(let seconds): return seconds.multipliedReportingOverflow(by: 1_000_000_000).partialValue
        default: throw Failure(message: "wrong type for value; expected time.Time; got \(value.typeName)")
        }
    }
}
