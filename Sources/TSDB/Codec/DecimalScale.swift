/// Finds the power of ten that turns doubles into integers exactly (ALP, Afroozeh et al., SIGMOD 2023).
///
/// A value fits an exponent when multiplying, rounding and dividing gives back the very same bits; nothing is
/// taken on tolerance. What does not fit is an exception that keeps its bits.
enum DecimalScale {
    /// The largest power of ten that a double and its reciprocal hold without error of their own.
    static let exponentMaximum = 15
    /// Integers beyond this are not all doubles.
    static let integerMaximum = 9_007_199_254_740_992.0

    static let powers: [Double] = (0...exponentMaximum).map { exponent in
        (0..<exponent).reduce(1.0) { power, _ in power * 10 }
    }

    /// The integer that stands for `bits` at `exponent`, nil when the round trip is not exact.
    @inline(__always)
    static func integer(_ bits: UInt64, exponent: Int) -> Int64? {
        let value = Double(bitPattern: bits)
        let scaled = (value * powers[exponent]).rounded(.toNearestOrEven)
        guard scaled.magnitude <= integerMaximum else { return nil }
        guard (scaled / powers[exponent]).bitPattern == bits else { return nil }
        let integer = Int64(scaled)
        // Minus zero scales to itself and would come back as plus zero.
        return integer == 0 && bits != 0 ? nil : integer
    }

    /// The double that `integer` stands for.
    @inline(__always)
    static func bits(_ integer: Int64, exponent: Int) -> UInt64 { value(integer, exponent: exponent).bitPattern }

    /// The double that `integer` stands for.
    @inline(__always)
    static func value(_ integer: Int64, exponent: Int) -> Double { Double(integer) / powers[exponent] }

    /// The smallest exponent that fits most of a sample of the column; nil when too few values fit any.
    static func exponent(for column: ArraySlice<UInt64>) -> Int? {
        let step = max(1, column.count / 32)
        var exponent = 0
        var seen = 0
        var misfits = 0
        for index in stride(from: column.startIndex, to: column.endIndex, by: step) {
            seen += 1
            if let fitting = (exponent...exponentMaximum).first(where: { integer(column[index], exponent: $0) != nil })
            {
                exponent = fitting
            } else {
                misfits += 1
            }
        }
        return misfits * 4 <= seen ? exponent : nil
    }
}
