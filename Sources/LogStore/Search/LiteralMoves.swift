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
    /// Where the text is digits around a point.
    private let point: PointSearch?
    /// Octets that end with what is before the point, and those that begin with what is behind it.
    private let octetsAtPoint: (end: [Bool], begin: [Bool])

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
        let point = PointSearch(literal)
        self.point = point
        octetsAtPoint =
            point.map { point in ((0..<256).map { point.ends($0) }, (0..<256).map { point.begins($0) }) } ?? ([], [])
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
            if let digits {
                decimals(scales, mantissas, places, body) { digits.isIn($1, width: $2) || digits.isIn($0) }
            } else if let point {
                decimals(scales, mantissas, places, body) { point.begins($1, width: $2) && point.ends($0) }
            } else {
                return false
            }
        case .addresses(let column):
            if digits != nil {
                addresses(column, places, body)
            } else if point != nil {
                addressesAtPoint(column, places, body)
            } else {
                return false
            }
        case .hexadecimal(let width, let isUpper, let column):
            guard let nibbles = isUpper ? upper : lower, nibbles.count <= width, width <= 16 else { return false }
            hexadecimal(column, nibbles, width, places, body)
        case .timestamps(let form, let column):
            return timestamps(automaton, form, column, places, body)
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
    @inline(__always)
    private func decimals(
        _ scales: IntegerColumn, _ mantissas: IntegerColumn, _ places: Range<Int>, _ body: (Int) -> Void,
        _ test: (_ whole: UInt64, _ fraction: UInt64, _ width: Int) -> Bool
    ) {
        mantissas.forEachChunk(places) { chunk, first in
            // As many at a time: one chunk goes with one.
            scales.forEachChunk(first..<first + chunk.count) { scales, _ in
                for index in chunk.indices {
                    let scale = min(max(Int(scales[index]), 0), DigitSearch.digitsMaximum)
                    let (whole, fraction) = ColumnValues.split(Int64(clamping: chunk[index].magnitude), scale)
                    if test(whole.magnitude, fraction.magnitude, scale) { body(first + index) }
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

    /// Places of addresses where octets of either side of a dot fit.
    private func addressesAtPoint(_ column: IntegerColumn, _ places: Range<Int>, _ body: (Int) -> Void) {
        guard octetsAtPoint.end.contains(true), octetsAtPoint.begin.contains(true) else { return }
        octetsAtPoint.end.withUnsafeBufferPointer { end in
            octetsAtPoint.begin.withUnsafeBufferPointer { begin in
                column.forEachChunk(places) { chunk, first in
                    for index in chunk.indices {
                        let value = chunk[index]
                        let octets = (
                            Int(value >> 24 & 255), Int(value >> 16 & 255), Int(value >> 8 & 255), Int(value & 255)
                        )
                        let isThere =
                            end[octets.0] && begin[octets.1] || end[octets.1] && begin[octets.2]
                            || end[octets.2] && begin[octets.3]
                        if isThere { body(first + index) }
                    }
                }
            }
        }
    }

    /// False where the fraction of a second could be part of the text in a way that is not known here.
    private func timestamps(
        _ automaton: ByteAutomaton, _ form: TimestampForm, _ column: TimestampColumn, _ places: Range<Int>,
        _ body: (Int) -> Void
    ) -> Bool {
        guard form.suffix.first.map({ isEnded(by: $0) }) ?? true else { return false }
        let whole = WholeSeconds(form, digits, automaton)
        if let digits {
            timestamps(whole, automaton, form, column, places, body) { digits.isIn($1, width: form.fractionDigits) }
        } else if form.fractionDigits == 0 || isEnded(by: form.fractionSeparator) {
            // With another byte than digits in it the text ends before the fraction.
            timestamps(whole, automaton, form, column, places, body) { _, _ in false }
        } else if let point, form.fractionSeparator == UInt8(ascii: "."), form.kind == .epoch || point.isShort {
            let isEpoch = form.kind == .epoch
            timestamps(whole, automaton, form, column, places, body) { second, fraction in
                // The clock shows the seconds of a minute, in two digits.
                let shown = isEpoch ? second : (second % 60 + 60) % 60
                return point.begins(fraction, width: form.fractionDigits) && point.endsPadded(shown.magnitude)
            }
        } else {
            return false
        }
        return true
    }

    /// The date is read once a day, the clock once a second: most lines come within the second of the one before.
    @inline(__always)
    private func timestamps(
        _ seconds: WholeSeconds, _ automaton: ByteAutomaton, _ form: TimestampForm, _ column: TimestampColumn,
        _ places: Range<Int>, _ body: (Int) -> Void, _ test: (_ second: Int64, _ fraction: UInt64) -> Bool
    ) {
        let units = TimestampForm.powers[form.fractionDigits]
        var whole = seconds
        var second: Int64 = 0
        let isInSuffix = form.suffix.withUnsafeBytes { automaton.isAccepting(automaton.run(0, $0)) }
        var start: Int64 = 0
        var isInWhole = false
        var isFirst = true
        column.forEachChunk(places) { chunk, first in
            for index in chunk.indices {
                var fraction = chunk[index] &- start
                if isFirst || fraction < 0 || fraction >= units {
                    isFirst = false
                    second = units == 1 ? chunk[index] : ValueParsing.floor(chunk[index], units)
                    start = second &* units
                    fraction = chunk[index] &- start
                    isInWhole = isInSuffix || whole.have(second)
                }
                if isInWhole || test(second, UInt64(bitPattern: fraction)) { body(first + index) }
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

/// Whether a text stands in a point in time before its fraction.
private struct WholeSeconds {
    private let form: TimestampForm
    /// The text, if it is digits: then the clock need not be written out.
    private let digits: DigitSearch?
    private let automaton: ByteAutomaton
    /// Whether they stand in two digits: those of hours, minutes and seconds.
    private let pairs: [Bool]
    private var text: [UInt8] = []
    private var day = Int64.min
    private var isInDate = false

    init(_ form: TimestampForm, _ digits: DigitSearch?, _ automaton: ByteAutomaton) {
        (self.form, self.digits, self.automaton) = (form, digits, automaton)
        pairs = digits.map { digits in (0..<60).map { digits.isIn(UInt64($0), width: 2) } } ?? []
    }

    mutating func have(_ second: Int64) -> Bool {
        guard let digits else {
            text.removeAll(keepingCapacity: true)
            form.appendWhole(second, to: &text)
            return text.withUnsafeBytes { automaton.isAccepting(automaton.run(0, $0)) }
        }
        if form.kind == .epoch {
            // Ten digits, of which a number that is larger than they are shows the last ones.
            return digits.isIn(UInt64(bitPattern: second), width: 10)
        }
        let today = ValueParsing.floor(second, 86_400)
        if today != day {
            day = today
            // The clock of its first second stands behind it, and is told apart by what stands between them.
            text.removeAll(keepingCapacity: true)
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
