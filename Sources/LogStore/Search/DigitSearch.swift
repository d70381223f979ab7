/// Looks for a text of decimal digits within numbers, by numbers: windows of five digits are looked up in a table, and
/// windows overlap by as much as a longer text needs to lie across two of them.
final class DigitSearch {
    /// The text as a number.
    let value: UInt64
    /// How many digits it has.
    let count: Int
    /// Ten to the power of their number.
    private let power: UInt64
    /// How many digits apart windows are, as a factor.
    private let step: UInt64
    /// Ten to the power of each number of digits.
    private let powers: UnsafeMutablePointer<UInt64>
    /// Bit i: whether number i below 100,000 has the digits, written without zeros in front.
    private let plain: UnsafeMutablePointer<UInt64>
    /// Bit i of table w: whether the number i, written with w digits, has them.
    private let padded: [UnsafeMutablePointer<UInt64>]

    /// Longer texts than this need no tables: few numbers are as large.
    private static let tableDigits = 4
    private static let windowDigits = 5
    private static let windowPower: UInt64 = 100_000
    /// More digits than a number has.
    static let digitsMaximum = 18

    /// Nil for a text with another byte than digits, and for one that is too long.
    init?(_ text: [UInt8]) {
        guard (1...DigitSearch.digitsMaximum).contains(text.count), text.allSatisfy({ $0 &- UInt8(ascii: "0") < 10 })
        else { return nil }
        count = text.count
        value = text.reduce(0) { $0 * 10 + UInt64($1 - UInt8(ascii: "0")) }
        power = UInt64(TimestampForm.powers[count])
        powers = .allocate(capacity: TimestampForm.powers.count)
        for digits in TimestampForm.powers.indices { powers[digits] = UInt64(TimestampForm.powers[digits]) }
        guard count <= DigitSearch.tableDigits else {
            (step, plain, padded) = (10, .allocate(capacity: 1), [])
            return
        }
        step = UInt64(TimestampForm.powers[DigitSearch.windowDigits + 1 - count])
        plain = DigitSearch.table(DigitSearch.windowDigits)
        padded = (0...DigitSearch.windowDigits).map { DigitSearch.table($0) }
        for width in count...DigitSearch.windowDigits { mark(padded[width], width, isPlain: false) }
        mark(plain, DigitSearch.windowDigits, isPlain: true)
    }

    deinit {
        powers.deallocate()
        plain.deallocate()
        for table in padded { table.deallocate() }
    }

    private static func table(_ digits: Int) -> UnsafeMutablePointer<UInt64> {
        let words = (Int(TimestampForm.powers[digits]) + 63) / 64
        let table = UnsafeMutablePointer<UInt64>.allocate(capacity: words)
        table.initialize(repeating: 0, count: words)
        return table
    }

    /// Marks the numbers of `width` digits that have the text at some place.
    private func mark(_ table: UnsafeMutablePointer<UInt64>, _ width: Int, isPlain: Bool) {
        // Zeros do not begin a number unless it is zero.
        let canBegin = !isPlain || value * 10 >= power || power == 10 && value == 0
        for behind in 0...width - count {
            let low = Int(TimestampForm.powers[behind])
            let shifted = Int(value) * low
            for high in 0..<Int(TimestampForm.powers[width - count - behind]) {
                if high == 0, !canBegin { continue }
                if high == 0, isPlain, value == 0, behind > 0 { continue }
                let first = high * low * Int(power) + shifted
                for number in first..<first + low { table[number >> 6] |= 1 << UInt64(number & 63) }
            }
        }
    }

    @inline(__always)
    private static func bit(_ table: UnsafeMutablePointer<UInt64>, _ number: UInt64) -> Bool {
        table[Int(truncatingIfNeeded: number >> 6)] >> (number & 63) & 1 != 0
    }

    /// Whether a number, written without zeros in front, has the digits.
    @inline(__always)
    func isIn(_ number: UInt64) -> Bool {
        if number < value { return false }
        return count <= DigitSearch.tableDigits ? windows(number) : long(number)
    }

    @inline(__always)
    private func windows(_ number: UInt64) -> Bool {
        var rest = number
        while rest >= DigitSearch.windowPower {
            if DigitSearch.bit(padded[DigitSearch.windowDigits], rest % DigitSearch.windowPower) { return true }
            rest /= step
        }
        return DigitSearch.bit(plain, rest)
    }

    /// Whether the last `width` digits of a number, with zeros in front, have the digits; at most 18.
    @inline(__always)
    func isIn(_ number: UInt64, width: Int) -> Bool {
        if width < count || number < value { return false }
        var rest = number
        if rest >= powers[width] { rest %= powers[width] }
        if count > DigitSearch.tableDigits { return long(rest, places: width - count + 1) }
        var left = width
        while left > DigitSearch.windowDigits {
            if DigitSearch.bit(padded[DigitSearch.windowDigits], rest % DigitSearch.windowPower) { return true }
            rest /= step
            left -= DigitSearch.windowDigits + 1 - count
        }
        return DigitSearch.bit(padded[left], rest)
    }

    // MARK: Long texts

    private func long(_ number: UInt64) -> Bool {
        // A division by a number that is known here is a multiplication.
        switch count {
        case 5: DigitSearch.long(number, value, 100_000)
        case 6: DigitSearch.long(number, value, 1_000_000)
        case 7: DigitSearch.long(number, value, 10_000_000)
        case 8: DigitSearch.long(number, value, 100_000_000)
        default: DigitSearch.long(number, value, power)
        }
    }

    @inline(__always)
    private static func long(_ number: UInt64, _ value: UInt64, _ power: UInt64) -> Bool {
        var rest = number
        // A number that has them is not below them; behind zeros that lead them there is another digit.
        while rest >= value {
            if rest % power == value { return rest >= power || value * 10 >= power }
            rest /= 10
            if rest == 0 { return false }
        }
        return false
    }

    private func long(_ number: UInt64, places: Int) -> Bool {
        switch count {
        case 5: DigitSearch.long(number, value, 100_000, places)
        case 6: DigitSearch.long(number, value, 1_000_000, places)
        case 7: DigitSearch.long(number, value, 10_000_000, places)
        default: DigitSearch.long(number, value, power, places)
        }
    }

    @inline(__always)
    private static func long(_ number: UInt64, _ value: UInt64, _ power: UInt64, _ places: Int) -> Bool {
        var rest = number
        for _ in 0..<places {
            if rest < value { return false }
            if rest % power == value { return true }
            rest /= 10
        }
        return false
    }
}
