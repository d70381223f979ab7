internal import Telemetry

/// Looks for a text within numbers and identifiers as numbers and identifiers: digits by comparing integers,
/// hexadecimal digits by searching the packed bytes. Nearly always there are none, and then no line gets a state of its
/// own.
///
/// Only for lines of which nothing was met before the value, and where what follows cannot go on with the text: then a
/// value either contains it or has told nothing.
struct LiteralMoves {
    private let literal: [UInt8]
    /// The text as a number, when it is digits; and ten to the power of their count.
    private let digits: (value: UInt64, power: UInt64)?
    /// The values of its hexadecimal digits, in lower case and in capitals; nil when it has other bytes.
    private let lower: [UInt8]?
    private let upper: [UInt8]?

    /// Shorter texts are left to the automaton: they are found everywhere.
    private static let bytesMinimum = 5
    /// Groups of digits in dates and times of day are no longer.
    private static let groupDigits = 4

    /// Nil for a text that numbers and identifiers cannot have.
    init?(_ literal: [UInt8]) {
        guard (LiteralMoves.bytesMinimum...64).contains(literal.count) else { return nil }
        self.literal = literal
        lower = LiteralMoves.nibbles(literal, letters: UInt8(ascii: "a"))
        upper = LiteralMoves.nibbles(literal, letters: UInt8(ascii: "A"))
        let isDigits = literal.allSatisfy { $0 &- UInt8(ascii: "0") < 10 }
        digits =
            isDigits && literal.count <= 18
            ? (
                literal.reduce(0) { $0 * 10 + UInt64($1 - UInt8(ascii: "0")) },
                UInt64(TimestampForm.powers[literal.count])
            ) : nil
        if lower == nil, upper == nil { return nil }
    }

    private static func nibbles(_ text: [UInt8], letters: UInt8) -> [UInt8]? {
        var nibbles: [UInt8] = []
        for byte in text {
            if byte &- UInt8(ascii: "0") < 10 {
                nibbles.append(byte - UInt8(ascii: "0"))
            } else if byte &- letters < 6 {
                nibbles.append(byte - letters + 10)
            } else {
                return nil
            }
        }
        return nibbles
    }

    /// Whether a text that begins with `byte` cannot go on with what is looked for.
    func isEnded(by byte: UInt8) -> Bool { !literal.contains(byte) }

    /// The states behind the values at `places`; nil where the automaton has to look.
    func moved(by values: ColumnValues, _ places: Range<Int>) -> RowStates? {
        switch values {
        case .integers(let column):
            guard let digits else { return nil }
            return numbers(column, places) { LiteralMoves.contains($0.magnitude, digits.value, digits.power) }
        case .fixed(let width, let column):
            guard digits != nil, width <= 18 else { return nil }
            return numbers(column, places) { contains(UInt64(bitPattern: $0), width: width) }
        case .timestamps(let form, let column): return timestamps(form, column, places)
        case .packed(let width, let isUpper, let hasHyphens, let bytes):
            guard width % 2 == 0, let nibbles = isUpper ? upper : lower else { return nil }
            return packed(bytes, nibbles, width, hasHyphens: hasHyphens, places)
        default: return nil
        }
    }

    private func states(_ found: [Int], _ count: Int) -> RowStates {
        if found.isEmpty { return RowStates(count: count, state: 0) }
        var states = [Int32](repeating: 0, count: count)
        for place in found { states[place] = Int32(literal.count) }
        return RowStates(states, below: literal.count + 1)
    }

    // MARK: Digits

    /// Whether a number without leading zeros has these digits in it.
    @inline(__always)
    private static func contains(_ number: UInt64, _ value: UInt64, _ power: UInt64) -> Bool {
        var rest = number
        // A number that has them is not below them; behind zeros that lead them there is another digit.
        while rest >= value {
            if rest % power == value { return rest >= power || value * 10 >= power }
            rest /= 10
            if rest == 0 { return false }
        }
        return false
    }

    /// Whether the last `width` digits of a number, with leading zeros, have the digits in them.
    @inline(__always)
    private func contains(_ number: UInt64, width: Int) -> Bool {
        guard let digits else { return false }
        var rest = number
        var places = width - literal.count + 1
        while places > 0, rest >= digits.value {
            if rest % digits.power == digits.value { return true }
            rest /= 10
            places -= 1
        }
        return false
    }

    private func numbers(_ column: IntegerColumn, _ places: Range<Int>, _ test: (Int64) -> Bool) -> RowStates {
        var found: [Int] = []
        let least = digits?.value ?? 0
        column.forEachChunk(places) { chunk, first in
            var most: UInt64 = 0
            for value in chunk { most = max(most, value.magnitude) }
            guard most >= least else { return }
            for index in chunk.indices where chunk[index].magnitude >= least && test(chunk[index]) {
                found.append(first + index - places.lowerBound)
            }
        }
        return states(found, places.count)
    }

    /// Only the fraction of a second has that many digits in a row.
    private func timestamps(_ form: TimestampForm, _ column: TimestampColumn, _ places: Range<Int>) -> RowStates? {
        guard form.kind != .epoch, let digits, literal.count > LiteralMoves.groupDigits,
            form.suffix.first.map({ isEnded(by: $0) }) ?? true
        else { return nil }
        var found: [Int] = []
        if form.fractionDigits >= literal.count {
            let units = TimestampForm.powers[form.fractionDigits]
            column.forEachChunk(places) { chunk, first in
                for index in chunk.indices {
                    let fraction = chunk[index] % units
                    let digitsOfFraction = UInt64(bitPattern: fraction < 0 ? fraction + units : fraction)
                    if digitsOfFraction >= digits.value, contains(digitsOfFraction, width: form.fractionDigits) {
                        found.append(first + index - places.lowerBound)
                    }
                }
            }
        }
        return states(found, places.count)
    }

    // MARK: Hexadecimal digits

    private func packed(
        _ bytes: [UInt8], _ nibbles: [UInt8], _ width: Int, hasHyphens: Bool, _ places: Range<Int>
    ) -> RowStates {
        let stride = width / 2
        var found = Set<Int>()
        bytes.withUnsafeBytes { all in
            let searched = UnsafeRawBufferPointer(
                rebasing: all[places.lowerBound * stride..<places.upperBound * stride])
            for shift in 0...1 {
                // The whole bytes of the text when its first digit is the upper (0) or the lower (1) half of one.
                let pairs = (nibbles.count - shift) / 2
                let pattern = (0..<pairs).map { nibbles[shift + 2 * $0] << 4 | nibbles[shift + 2 * $0 + 1] }
                var from = 0
                while let hit = searched.offset(of: pattern, from: from) {
                    from = hit + 1
                    let first = hit * 2 - shift
                    guard first >= 0, isThere(nibbles, at: first, searched) else { continue }
                    let start = first % width
                    let end = start + nibbles.count
                    // Within one value, and not over a hyphen.
                    let isBroken = hasHyphens && [8, 12, 16, 20].contains { start < $0 && $0 < end }
                    if end <= width, !isBroken { found.insert(first / width) }
                }
            }
        }
        return states(Array(found), places.count)
    }

    /// Whether the digits that are no whole byte are there too.
    private func isThere(_ nibbles: [UInt8], at first: Int, _ bytes: UnsafeRawBufferPointer) -> Bool {
        guard first + nibbles.count <= bytes.count * 2 else { return false }
        func nibble(_ place: Int) -> UInt8 { place & 1 == 0 ? bytes[place / 2] >> 4 : bytes[place / 2] & 15 }
        return nibble(first) == nibbles[0] && nibble(first + nibbles.count - 1) == nibbles[nibbles.count - 1]
    }
}
