internal import Telemetry

/// How a column writes points in time. Values count units of the last digit since 1970, as if the text were UTC; a
/// column
/// stores their distance to the record's own time, which is mostly nothing.
struct TimestampForm: Sendable, Hashable {
    /// Which digits stand where.
    enum Kind: UInt8 {
        /// `2026-11-23T01:02:03`, with other separators too.
        case date = 0
        /// `23/Nov/2026:01:02:03`, as web servers write it.
        case webServer = 1
        /// `1795392000`.
        case epoch = 2
    }

    var kind: Kind
    /// Between year, month and day; 0 where the kind has none.
    var dateSeparator: UInt8 = 0
    /// Between date and time of day.
    var timeSeparator: UInt8 = 0
    /// Before the digits of the fraction; 0 where there are none.
    var fractionSeparator: UInt8 = 0
    var fractionDigits = 0
    /// What follows the digits, the same in all values: `Z`, `+08:00` or nothing.
    var suffix: [UInt8] = []

    static let suffixBytesMaximum = 16
    private static let months = Array("JanFebMarAprMayJunJulAugSepOctNovDec".utf8)

    /// The bytes before the fraction.
    var wholeBytes: Int {
        switch kind {
        case .date: 19
        case .webServer: 20
        case .epoch: 10
        }
    }

    /// The length of each value.
    var bytes: Int { wholeBytes + (fractionDigits > 0 ? 1 + fractionDigits : 0) + suffix.count }

    /// Nanoseconds per unit of the last digit.
    var unitNanoseconds: Int64 { TimestampForm.powers[9 - fractionDigits] }

    static let powers: [Int64] = (0..<19).map { (0..<$0).reduce(Int64(1)) { power, _ in power * 10 } }

    /// A form of these parts.
    init(
        kind: Kind, dateSeparator: UInt8 = 0, timeSeparator: UInt8 = 0, fractionSeparator: UInt8 = 0,
        fractionDigits: Int = 0, suffix: [UInt8] = []
    ) {
        self.kind = kind
        self.dateSeparator = dateSeparator
        self.timeSeparator = timeSeparator
        self.fractionSeparator = fractionSeparator
        self.fractionDigits = fractionDigits
        self.suffix = suffix
    }

    /// The form of a text; nil when it is no point in time.
    init?(_ text: UnsafeRawBufferPointer) {
        guard text.count >= 10 else { return nil }
        func isDigit(_ index: Int) -> Bool { text[index] &- UInt8(ascii: "0") < 10 }
        if text.count >= 19, isDigit(0), text[4] == text[7], !isDigit(4), isDigit(3) {
            self.init(kind: .date, dateSeparator: text[4], timeSeparator: text[10])
        } else if text.count >= 20, text[2] == UInt8(ascii: "/"), text[6] == UInt8(ascii: "/") {
            self.init(kind: .webServer)
        } else if text[0] == UInt8(ascii: "1"), text.count == 10 || !isDigit(10) {
            self.init(kind: .epoch)
        } else {
            return nil
        }
        var index = wholeBytes
        if index + 1 < text.count, text[index] == UInt8(ascii: ".") || text[index] == UInt8(ascii: ","),
            isDigit(index + 1)
        {
            fractionSeparator = text[index]
            index += 1
            while index < text.count, fractionDigits < 9, isDigit(index) {
                index += 1
                fractionDigits += 1
            }
        }
        suffix = Array(text[index...])
        guard suffix.count <= TimestampForm.suffixBytesMaximum, value(of: text) != nil else { return nil }
    }

    // MARK: Text to number

    /// The units since 1970 that `text` says; nil when it does not have this form.
    func value(of text: UnsafeRawBufferPointer) -> Int64? {
        guard text.count == bytes, let seconds = seconds(of: text) else { return nil }
        var value = seconds
        if fractionDigits > 0 {
            guard text[wholeBytes] == fractionSeparator else { return nil }
            for index in wholeBytes + 1..<wholeBytes + 1 + fractionDigits {
                let digit = text[index] &- UInt8(ascii: "0")
                guard digit < 10 else { return nil }
                value = value * 10 + Int64(digit)
            }
        }
        for (index, byte) in suffix.enumerated() where text[bytes - suffix.count + index] != byte { return nil }
        return value
    }

    @inline(__always)
    private func number(_ text: UnsafeRawBufferPointer, _ start: Int, _ count: Int) -> Int64? {
        var value: Int64 = 0
        for index in start..<start + count {
            let digit = text[index] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            value = value * 10 + Int64(digit)
        }
        return value
    }

    private func seconds(of text: UnsafeRawBufferPointer) -> Int64? {
        switch kind {
        case .epoch: return number(text, 0, 10)
        case .date:
            guard text[4] == dateSeparator, text[7] == dateSeparator, text[10] == timeSeparator,
                let year = number(text, 0, 4), let month = number(text, 5, 2), let day = number(text, 8, 2)
            else { return nil }
            return seconds(year, month, day, text, 11)
        case .webServer:
            guard text[2] == UInt8(ascii: "/"), text[6] == UInt8(ascii: "/"), text[11] == UInt8(ascii: ":"),
                let month = TimestampForm.month(text[3], text[4], text[5]), let year = number(text, 7, 4),
                let day = number(text, 0, 2)
            else { return nil }
            return seconds(year, month, day, text, 12)
        }
    }

    private func seconds(
        _ year: Int64, _ month: Int64, _ day: Int64, _ text: UnsafeRawBufferPointer, _ start: Int
    ) -> Int64? {
        guard text[start + 2] == UInt8(ascii: ":"), text[start + 5] == UInt8(ascii: ":"),
            let hour = number(text, start, 2), let minute = number(text, start + 3, 2),
            let second = number(text, start + 6, 2), hour < 24, minute < 60, second < 60,
            (1970...2200).contains(year), let date = CivilDate(year: Int(year), month: Int(month), day: Int(day))
        else { return nil }
        return Int64(date.daysSinceEpoch) * 86_400 + hour * 3600 + minute * 60 + second
    }

    private static func month(_ a: UInt8, _ b: UInt8, _ c: UInt8) -> Int64? {
        for month in 0..<12
        where months[month * 3] == a && months[month * 3 + 1] == b && months[month * 3 + 2] == c {
            return Int64(month + 1)
        }
        return nil
    }

    // MARK: Number to text

    /// Appends the text of `value` units since 1970.
    func append(_ value: Int64, to text: inout [UInt8]) {
        let units = TimestampForm.powers[fractionDigits]
        var seconds = value / units
        var fraction = value % units
        if fraction < 0 {
            fraction += units
            seconds -= 1
        }
        appendWhole(seconds, to: &text)
        if fractionDigits > 0 {
            text.append(fractionSeparator)
            TimestampForm.append(fraction, width: fractionDigits, to: &text)
        }
        text.append(contentsOf: suffix)
    }

    /// Appends what stands before the fraction.
    func appendWhole(_ seconds: Int64, to text: inout [UInt8]) {
        switch kind {
        case .epoch: TimestampForm.append(seconds, width: 10, to: &text)
        case .date:
            let date = TimestampForm.date(seconds)
            TimestampForm.append(Int64(date.year), width: 4, to: &text)
            text.append(dateSeparator)
            TimestampForm.append(Int64(date.month), width: 2, to: &text)
            text.append(dateSeparator)
            TimestampForm.append(Int64(date.day), width: 2, to: &text)
            text.append(timeSeparator)
            appendClock(seconds, to: &text)
        case .webServer:
            let date = TimestampForm.date(seconds)
            TimestampForm.append(Int64(date.day), width: 2, to: &text)
            text.append(UInt8(ascii: "/"))
            for index in 0..<3 { text.append(TimestampForm.months[(date.month - 1) * 3 + index]) }
            text.append(UInt8(ascii: "/"))
            TimestampForm.append(Int64(date.year), width: 4, to: &text)
            text.append(UInt8(ascii: ":"))
            appendClock(seconds, to: &text)
        }
    }

    private static func date(_ seconds: Int64) -> CivilDate {
        CivilDate(daysSinceEpoch: Int(seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400))
    }

    private func appendClock(_ seconds: Int64, to text: inout [UInt8]) {
        let second = ((seconds % 86_400) + 86_400) % 86_400
        TimestampForm.append(second / 3600, width: 2, to: &text)
        text.append(UInt8(ascii: ":"))
        TimestampForm.append(second / 60 % 60, width: 2, to: &text)
        text.append(UInt8(ascii: ":"))
        TimestampForm.append(second % 60, width: 2, to: &text)
    }

    /// Appends a number with leading zeros.
    static func append(_ value: Int64, width: Int, to text: inout [UInt8]) {
        let start = text.count
        var rest = UInt64(bitPattern: value)
        for _ in 0..<width { text.append(UInt8(ascii: "0")) }
        text.withUnsafeMutableBufferPointer { buffer in
            var index = start + width - 1
            while index >= start, rest > 0 {
                buffer[index] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
                index -= 1
            }
        }
    }
}
