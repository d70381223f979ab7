/// Looks for digits around a point, such as `0.3`, within decimals, addresses and fractions of seconds, by numbers:
/// what stands before the point ends with the one, what stands behind it begins with the other.
struct PointSearch {
    private let before: UInt64
    private let behind: UInt64
    private let beforeCount: Int
    private let behindCount: Int
    private let beforePower: UInt64
    /// Ten to the power of the digits that follow those behind the point, by the digits that there are in all.
    private let powers: [UInt64]

    /// Nil for a text that is not a point with digits on either side or on one of them.
    init?(_ text: [UInt8]) {
        let point = UInt8(ascii: ".")
        guard text.count > 1, let place = text.firstIndex(of: point) else { return nil }
        let (head, tail) = (text[..<place], text[(place + 1)...])
        let isDigits = (head + tail).allSatisfy { $0 &- UInt8(ascii: "0") < 10 }
        guard isDigits, head.count <= 9, tail.count <= 9 else { return nil }
        func number(_ digits: ArraySlice<UInt8>) -> UInt64 {
            digits.reduce(0) { $0 * 10 + UInt64($1 - UInt8(ascii: "0")) }
        }
        (before, behind) = (number(head), number(tail))
        (beforeCount, behindCount) = (head.count, tail.count)
        beforePower = UInt64(TimestampForm.powers[head.count])
        powers = (0...DigitSearch.digitsMaximum).map { UInt64(TimestampForm.powers[max(0, $0 - tail.count)]) }
    }

    /// Whether a number, written without zeros in front, ends with the digits before the point.
    @inline(__always)
    func ends(_ number: UInt64) -> Bool {
        if beforeCount == 0 { return true }
        guard number % beforePower == before else { return false }
        // Zeros begin a number only where they are all of it.
        return number >= beforePower || before * 10 >= beforePower || beforeCount == 1
    }

    /// Whether what stands before the point is within the two digits of a second.
    var isShort: Bool { beforeCount <= 2 }

    /// Whether a number that is written with zeros in front ends with the digits before the point.
    @inline(__always)
    func endsPadded(_ number: UInt64) -> Bool { number % beforePower == before }

    /// Whether a number of `width` digits begins with the digits behind the point; at most 18.
    @inline(__always)
    func begins(_ number: UInt64, width: Int) -> Bool {
        if behindCount == 0 { return true }
        return width >= behindCount && number / powers[width] == behind
    }

    /// Whether a number, written without zeros in front, begins with the digits behind the point.
    func begins(_ number: UInt64) -> Bool {
        var width = 1
        var rest = number
        while rest >= 10 {
            rest /= 10
            width += 1
        }
        return begins(number, width: width)
    }
}
