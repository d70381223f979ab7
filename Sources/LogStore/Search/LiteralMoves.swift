internal import Telemetry

/// Looks for a text within the values of a column by what the values are: digits in numbers, hexadecimal digits in
/// packed identifiers, anything in the entries of a dictionary. Lines that have it are told at once, so that all lines
/// stay in the state of those that do not, and no line needs a state of its own.
///
/// Only for lines of which nothing was met before the value, and where what follows cannot go on with the text: then a
/// value either contains it or has told nothing.
struct LiteralMoves {
    private let literal: [UInt8]
    private let digits: DigitSearch?
    /// The values of its hexadecimal digits, in lower case and in capitals; nil when it has other bytes.
    private let lower: [UInt8]?
    private let upper: [UInt8]?
    /// Octets of addresses that have the digits.
    private let octets: [Bool]

    private static let bytesMaximum = 64

    /// Nil for a text that is too long to be worth a look.
    init?(_ literal: [UInt8]) {
        guard (1...LiteralMoves.bytesMaximum).contains(literal.count) else { return nil }
        self.literal = literal
        lower = LiteralMoves.nibbles(literal, letters: UInt8(ascii: "a"))
        upper = LiteralMoves.nibbles(literal, letters: UInt8(ascii: "A"))
        let digits = DigitSearch(literal)
        self.digits = digits
        octets = digits.map { digits in (0..<256).map { digits.isIn(UInt64($0)) } } ?? []
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

    /// The state of a line that has the text.
    var found: Int32 { Int32(literal.count) }

    /// Whether a text that begins with `byte` cannot go on with what is looked for.
    func isEnded(by byte: UInt8) -> Bool { !literal.contains(byte) }

    /// Calls `body` with each of `places` whose value has the text. False where these values have to be read as texts;
    /// then it was not called.
    func forEach(
        _ values: ColumnValues, _ places: Range<Int>, _ automaton: ByteAutomaton, _ body: (Int) -> Void
    ) -> Bool {
        switch values {
        case .integers(let column):
            guard let digits else { return false }
            numbers(column, places, body) { digits.isIn($0.magnitude) }
        case .fixed(let width, let column):
            guard let digits, width <= DigitSearch.digitsMaximum else { return false }
            numbers(column, places, body) { digits.isIn(UInt64(bitPattern: $0), width: width) }
        case .decimals(let scales, let mantissas):
            guard let digits else { return false }
            decimals(digits, scales, mantissas, places, body)
        case .addresses(let column):
            guard digits != nil else { return false }
            addresses(column, places, body)
        case .hexadecimal(let width, let isUpper, let column):
            guard let nibbles = isUpper ? upper : lower, nibbles.count <= width, width <= 16 else { return false }
            hexadecimal(column, nibbles, width, places, body)
        case .timestamps(let form, let column):
            guard let digits, form.suffix.first.map({ isEnded(by: $0) }) ?? true else { return false }
            timestamps(digits, automaton, form, column, places, body)
        case .packed(let width, let isUpper, let hasHyphens, let bytes):
            guard let nibbles = isUpper ? upper : lower,
                let search = NibbleSearch(nibbles, width: width, hasHyphens: hasHyphens)
            else { return false }
            bytes.withUnsafeBytes { search.forEach($0, places, body) }
        case .constant, .dictionary, .templated, .raw: return false
        }
        return true
    }

    // MARK: Digits

    @inline(__always)
    private func numbers(
        _ column: IntegerColumn, _ places: Range<Int>, _ body: (Int) -> Void, _ test: (Int64) -> Bool
    ) {
        column.forEachIndex(places, where: test, body)
    }

    /// The digits before the point and those behind it, each by themselves.
    private func decimals(
        _ digits: DigitSearch, _ scales: IntegerColumn, _ mantissas: IntegerColumn, _ places: Range<Int>,
        _ body: (Int) -> Void
    ) {
        mantissas.forEachChunk(places) { chunk, first in
            // As many at a time: one chunk goes with one.
            scales.forEachChunk(first..<first + chunk.count) { scales, _ in
                for index in chunk.indices {
                    let scale = min(max(Int(scales[index]), 0), DigitSearch.digitsMaximum)
                    let (whole, fraction) = ColumnValues.split(Int64(clamping: chunk[index].magnitude), scale)
                    if digits.isIn(fraction.magnitude, width: scale) || digits.isIn(whole.magnitude) {
                        body(first + index)
                    }
                }
            }
        }
    }

    private func addresses(_ column: IntegerColumn, _ places: Range<Int>, _ body: (Int) -> Void) {
        guard octets.contains(true) else { return }
        octets.withUnsafeBufferPointer { octets in
            column.forEachChunk(places) { chunk, first in
                for index in chunk.indices {
                    let value = chunk[index]
                    let isThere =
                        octets[Int(value >> 24 & 255)] || octets[Int(value >> 16 & 255)]
                        || octets[Int(value >> 8 & 255)] || octets[Int(value & 255)]
                    if isThere { body(first + index) }
                }
            }
        }
    }

    /// The date is read once a day, the clock once a second: most lines come within the second of the one before.
    private func timestamps(
        _ digits: DigitSearch, _ automaton: ByteAutomaton, _ form: TimestampForm, _ column: TimestampColumn,
        _ places: Range<Int>, _ body: (Int) -> Void
    ) {
        let units = TimestampForm.powers[form.fractionDigits]
        var whole = WholeSeconds(form, digits, automaton)
        let isInSuffix = form.suffix.withUnsafeBytes { automaton.isAccepting(automaton.run(0, $0)) }
        var start: Int64 = 0
        var isInWhole = false
        var isFirst = true
        column.forEachChunk(places) { chunk, first in
            for index in chunk.indices {
                var fraction = chunk[index] &- start
                if isFirst || fraction < 0 || fraction >= units {
                    isFirst = false
                    let second = units == 1 ? chunk[index] : ValueParsing.floor(chunk[index], units)
                    start = second &* units
                    fraction = chunk[index] &- start
                    isInWhole = isInSuffix || whole.have(second)
                }
                if isInWhole || digits.isIn(UInt64(bitPattern: fraction), width: form.fractionDigits) {
                    body(first + index)
                }
            }
        }
    }

    // MARK: Hexadecimal digits

    private func hexadecimal(
        _ column: IntegerColumn, _ nibbles: [UInt8], _ width: Int, _ places: Range<Int>, _ body: (Int) -> Void
    ) {
        let pattern = nibbles.reduce(0 as UInt64) { $0 << 4 | UInt64($1) }
        let mask = nibbles.count == 16 ? UInt64.max : 1 << UInt64(nibbles.count * 4) - 1
        column.forEachChunk(places) { chunk, first in
            for index in chunk.indices {
                var rest = UInt64(bitPattern: chunk[index])
                for _ in 0...width - nibbles.count {
                    if rest & mask == pattern {
                        body(first + index)
                        break
                    }
                    rest >>= 4
                }
            }
        }
    }
}

/// Whether digits stand in a point in time before its fraction.
private struct WholeSeconds {
    private let form: TimestampForm
    private let digits: DigitSearch
    private let automaton: ByteAutomaton
    /// Whether they stand in two digits: those of hours, minutes and seconds.
    private let pairs: [Bool]
    private var day = Int64.min
    private var isInDate = false

    init(_ form: TimestampForm, _ digits: DigitSearch, _ automaton: ByteAutomaton) {
        (self.form, self.digits, self.automaton) = (form, digits, automaton)
        pairs = (0..<60).map { digits.isIn(UInt64($0), width: 2) }
    }

    mutating func have(_ second: Int64) -> Bool {
        if form.kind == .epoch {
            // Ten digits, of which a number that is larger than they are shows the last ones.
            return digits.isIn(UInt64(bitPattern: second), width: 10)
        }
        let today = ValueParsing.floor(second, 86_400)
        if today != day {
            day = today
            // The clock of its first second stands behind it, and is told apart by what stands between them.
            var text: [UInt8] = []
            form.appendWhole(today &* 86_400, to: &text)
            let date = text.dropLast(WholeSeconds.clockBytes)
            isInDate = date.withUnsafeBytes { automaton.isAccepting(automaton.run(0, $0)) }
        }
        if isInDate { return true }
        let clock = Int(second &- today &* 86_400)
        return pairs[clock / 3600] || pairs[clock / 60 % 60] || pairs[clock % 60]
    }

    /// `12:34:56`
    private static let clockBytes = 8
}
