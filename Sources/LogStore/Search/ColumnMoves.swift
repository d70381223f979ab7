internal import Telemetry

/// Moves the states of lines behind the values of one column, by tables instead of texts wherever a type allows it.
struct ColumnMoves {
    private let automaton: ByteAutomaton
    private let digits: DigitMoves
    private let states: RowStates
    /// The places of the lines in the column.
    private let places: Range<Int>

    /// Lines in `states` that stand at `places` of a column.
    init(_ scan: TemplateScan, _ states: RowStates, _ places: Range<Int>) {
        automaton = scan.automaton
        digits = scan.digits
        self.states = states
        self.places = places
    }

    /// The states behind `values`.
    func moved(by values: ColumnValues) -> RowStates {
        switch values {
        case .integers(let column): return numbers(column) { digits.integer($0, $1) }
        case .fixed(let width, let column): return numbers(column) { digits.fixed($0, $1, width: width) }
        case .decimals(let scales, let mantissas): return decimals(scales, mantissas)
        case .addresses(let column): return numbers(column) { address($0, $1) }
        case .hexadecimal(let width, let isUpper, let column):
            return numbers(column) { hexadecimal($0, $1, width: width, isUpper: isUpper) }
        case .timestamps(let form, let column): return timestamps(form, column)
        case .packed(let width, let isUpper, let hasHyphens, let bytes):
            return packed(width, bytes, isUpper: isUpper, hasHyphens: hasHyphens)
        case .constant(let bytes):
            return each { _, state in bytes.withUnsafeBytes { automaton.run(state, $0) } }
        case .templated(let values):
            var text: [UInt8] = []
            return each { place, state in
                text.removeAll(keepingCapacity: true)
                values.append(place, to: &text)
                return text.withUnsafeBytes { automaton.run(state, $0) }
            }
        // Their texts were looked at before.
        case .dictionary, .raw: return states
        }
    }

    /// The states behind entries of a dictionary; `tables` has for each state that occurs the ones behind each entry.
    func dictionary(_ indexes: IntegerColumn, _ tables: [[Int32]]) -> RowStates {
        if let state = states.uniform {
            return tables[Int(state)].withUnsafeBufferPointer { table in numbers(indexes) { table[Int($1)] } }
        }
        return numbers(indexes) { tables[Int($0)][Int($1)] }
    }

    /// The states behind texts; `tables` has for each state that occurs the ones behind each text.
    func texts(_ tables: [[Int32]]) -> RowStates {
        each { place, state in tables[Int(state)][place] }
    }

    // MARK: Loops

    /// Moves each state by itself; a match that was met stays one.
    @inline(__always)
    private func each(_ body: (Int, Int32) -> Int32) -> RowStates {
        result { target in move(0..<places.count, target) { body(places.lowerBound + $0, $1) } }
    }

    /// Moves each state by a number.
    @inline(__always)
    private func numbers(_ column: IntegerColumn, _ body: (Int32, Int64) -> Int32) -> RowStates {
        result { target in
            column.forEachChunk(places) { chunk, first in
                let start = first - places.lowerBound
                move(start..<start + chunk.count, target) { body($1, chunk[$0 - start]) }
            }
        }
    }

    @inline(__always)
    private func result(_ body: (UnsafeMutablePointer<Int32>) -> Void) -> RowStates {
        let moved = [Int32](unsafeUninitializedCapacity: places.count) { target, count in
            if let base = target.baseAddress { body(base) }
            count = places.count
        }
        return RowStates(moved, below: automaton.states)
    }

    @inline(__always)
    private func move(
        _ range: Range<Int>, _ target: UnsafeMutablePointer<Int32>, _ body: (Int, Int32) -> Int32
    ) {
        if let state = states.uniform {
            for index in range { target[index] = body(index, state) }
            return
        }
        states.single.withUnsafeBufferPointer { single in
            for index in range {
                let state = single[index]
                target[index] = automaton.isAccepting(state) ? state : body(index, state)
            }
        }
    }

    // MARK: Types

    private func decimals(_ scales: IntegerColumn, _ mantissas: IntegerColumn) -> RowStates {
        result { target in
            mantissas.forEachChunk(places) { chunk, first in
                let start = first - places.lowerBound
                // As many at a time: one chunk goes with one.
                scales.forEachChunk(first..<first + chunk.count) { scales, _ in
                    move(start..<start + chunk.count, target) { index, before in
                        let mantissa = chunk[index - start]
                        let scale = min(max(Int(scales[index - start]), 0), 18)
                        let state = mantissa < 0 ? automaton.step(before, UInt8(ascii: "-")) : before
                        let value = Int64(clamping: mantissa.magnitude)
                        let (whole, fraction) = ColumnValues.split(value, scale)
                        let point = automaton.step(digits.integer(state, whole), UInt8(ascii: "."))
                        return digits.fixed(point, fraction, width: scale)
                    }
                }
            }
        }
    }

    @inline(__always)
    private func address(_ start: Int32, _ value: Int64) -> Int32 {
        let dot = UInt8(ascii: ".")
        var state = digits.integer(start, value >> 24 & 255)
        state = digits.integer(automaton.step(state, dot), value >> 16 & 255)
        state = digits.integer(automaton.step(state, dot), value >> 8 & 255)
        return digits.integer(automaton.step(state, dot), value & 255)
    }

    @inline(__always)
    private func hexadecimal(_ start: Int32, _ value: Int64, width: Int, isUpper: Bool) -> Int32 {
        var state = start
        let bits = UInt64(bitPattern: value)
        var left = width
        if left & 1 == 1 {
            left -= 1
            state = digits.nibble(state, UInt8(truncatingIfNeeded: bits >> UInt64(left * 4)), isUpper: isUpper)
        }
        while left > 0 {
            left -= 2
            state = digits.hexadecimal(state, UInt8(truncatingIfNeeded: bits >> UInt64(left * 4)), isUpper: isUpper)
        }
        return state
    }

    private func packed(_ width: Int, _ bytes: [UInt8], isUpper: Bool, hasHyphens: Bool) -> RowStates {
        let stride = (width + 1) / 2
        return bytes.withUnsafeBufferPointer { bytes in
            each { place, start in
                var state = start
                let first = place * stride
                for index in 0..<width / 2 {
                    if hasHyphens, index == 4 || index == 6 || index == 8 || index == 10 {
                        state = automaton.step(state, UInt8(ascii: "-"))
                    }
                    state = digits.hexadecimal(state, bytes[first + index], isUpper: isUpper)
                }
                return width & 1 == 0 ? state : digits.nibble(state, bytes[first + stride - 1] >> 4, isUpper: isUpper)
            }
        }
    }

    /// Most lines come within the second of the one before: what stands before the fraction is written out once.
    private func timestamps(_ form: TimestampForm, _ column: TimestampColumn) -> RowStates {
        let units = TimestampForm.powers[form.fractionDigits]
        var text: [UInt8] = []
        var (lastStart, lastState, lastWhole) = (Int64(0), Int32(-1), Int32(-1))
        var (lastFraction, lastEnd) = (Int32(-1), Int32(-1))
        return result { target in
            column.forEachChunk(places) { chunk, first in
                let start = first - places.lowerBound
                move(start..<start + chunk.count, target) { index, state in
                    var fraction = chunk[index - start] &- lastStart
                    if fraction < 0 || fraction >= units || state != lastState {
                        let second = ValueParsing.floor(chunk[index - start], units)
                        text.removeAll(keepingCapacity: true)
                        form.appendWhole(second, to: &text)
                        lastWhole = text.withUnsafeBytes { automaton.run(state, $0) }
                        (lastStart, lastState) = (second &* units, state)
                        fraction = chunk[index - start] &- lastStart
                    }
                    var behind = lastWhole
                    if form.fractionDigits > 0 {
                        behind = automaton.step(behind, form.fractionSeparator)
                        behind = digits.fixed(behind, fraction, width: form.fractionDigits)
                    }
                    if behind != lastFraction {
                        lastEnd = form.suffix.withUnsafeBytes { automaton.run(behind, $0) }
                        lastFraction = behind
                    }
                    return lastEnd
                }
            }
        }
    }
}
