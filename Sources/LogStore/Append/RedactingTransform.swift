package import Telemetry

/// Hides numbers of payment cards and of Chinese identity cards before a line is logged: all digits but the last four
/// become `*`, so that a line keeps its length and its meaning for people.
///
/// A card number is a run of 13 to 19 digits, in groups with single blanks or hyphens perhaps, that passes the Luhn
/// check (ISO/IEC 7812-1) and begins with 2 to 6. An identity number has 17 digits and a check character (GB
/// 11643-1999) and a date of birth in it. Numbers within longer runs of letters and digits are identifiers and stay.
package struct RedactingTransform: LineTransform {
    /// Hides in the lines of all streams.
    package init() {}

    package func transform(_ line: ArraySlice<UInt8>, of labels: Labels) -> [UInt8]? {
        var changed: [UInt8]?
        var index = line.startIndex
        while index < line.endIndex {
            guard RedactingTransform.isDigit(line[index]) else {
                index += 1
                continue
            }
            if index > line.startIndex, RedactingTransform.joins(line[index - 1]) {
                index += 1
                continue
            }
            let (digits, end) = RedactingTransform.run(line, index)
            if let last = RedactingTransform.secret(line, digits, end) {
                var bytes = changed ?? Array(line)
                for place in digits.dropLast(4) where place <= last {
                    bytes[place - line.startIndex] = UInt8(ascii: "*")
                }
                changed = bytes
            }
            index = max(end, index + 1)
        }
        return changed
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

    /// Whether a byte next to a digit makes both parts of one identifier.
    private static func joins(_ byte: UInt8) -> Bool {
        isDigit(byte) || (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte == UInt8(ascii: "_")
            || byte == UInt8(ascii: ".")
    }

    /// The places of the digits of a number that begins at `start`, and where it ends.
    private static func run(_ line: ArraySlice<UInt8>, _ start: Int) -> (digits: [Int], end: Int) {
        var digits: [Int] = []
        var index = start
        while index < line.endIndex, digits.count < 20 {
            if isDigit(line[index]) {
                digits.append(index)
            } else if line[index] == UInt8(ascii: " ") || line[index] == UInt8(ascii: "-") {
                // One separator, and only between groups of four or more digits.
                guard digits.count >= 4, index + 1 < line.endIndex, isDigit(line[index + 1]), isDigit(line[index - 1])
                else { break }
            } else {
                break
            }
            index += 1
        }
        return (digits, index)
    }

    /// The place of the last byte of a number to hide; nil for one that may stay.
    private static func secret(_ line: ArraySlice<UInt8>, _ digits: [Int], _ end: Int) -> Int? {
        guard let last = digits.last else { return nil }
        let values = digits.map { Int(line[$0] - UInt8(ascii: "0")) }
        let next = end < line.endIndex ? line[end] : 0x20
        if values.count == 17, next | 0x20 == UInt8(ascii: "x"), end + 1 == line.endIndex || !joins(line[end + 1]) {
            return isIdentity(values + [10]) ? end : nil
        }
        // A full stop ends a sentence, but a digit behind it makes the number part of something longer.
        if joins(next), next != UInt8(ascii: ".") || (end + 1 < line.endIndex && isDigit(line[end + 1])) { return nil }
        if values.count == 18, isIdentity(values) { return last }
        return (13...19).contains(values.count) && (2...6).contains(values[0]) && isCard(values) ? last : nil
    }

    private static func isCard(_ values: [Int]) -> Bool {
        var sum = 0
        for (place, value) in values.reversed().enumerated() {
            let weighed = place % 2 == 1 ? value * 2 : value
            sum += weighed > 9 ? weighed - 9 : weighed
        }
        return sum % 10 == 0
    }

    private static func isIdentity(_ values: [Int]) -> Bool {
        let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
        let checks = [1, 0, 10, 9, 8, 7, 6, 5, 4, 3, 2]
        let sum = zip(values, weights).reduce(0) { $0 + $1.0 * $1.1 }
        let number = { (range: Range<Int>) in range.reduce(0) { $0 * 10 + values[$1] } }
        guard (1850...2150).contains(number(6..<10)),
            CivilDate(year: number(6..<10), month: number(10..<12), day: number(12..<14)) != nil
        else { return false }
        return checks[sum % 11] == values[17]
    }
}
