internal import Glibc

/// Moves an automaton over numbers without writing them out: four decimal digits, or two hexadecimal ones, are one
/// look-up after they were met first.
final class DigitMoves {
    private enum Kind: Int, CaseIterable {
        /// Numbers below 10,000 without leading zeros.
        case plain
        /// So many digits.
        case one
        case two
        case three
        case four
        /// A byte as two digits.
        case lower
        case upper

        var entries: Int {
            switch self {
            case .plain, .four: 10_000
            case .one: 10
            case .two: 100
            case .three: 1000
            case .lower, .upper: 256
            }
        }

        /// Tables of so many leading digits.
        static let heads: [Kind] = [.one, .one, .two, .three, .four]
    }

    private let automaton: ByteAutomaton
    /// By kind and state; one more than the state behind each number, 0 where it was not asked for.
    private let tables: UnsafeMutablePointer<UnsafeMutablePointer<UInt16>?>
    private var tablesMade = 0

    /// The number of tables there may be.
    private let places: Int

    /// So many tables of up to 20 kB are made; what else is asked for is read digit by digit.
    private static let tablesMaximum = 128
    private static let lowerDigits = Array("0123456789abcdef".utf8)
    private static let upperDigits = Array("0123456789ABCDEF".utf8)

    init(_ automaton: ByteAutomaton) {
        self.automaton = automaton
        places = Kind.allCases.count * automaton.statesBound
        tables = .allocate(capacity: places)
        tables.initialize(repeating: nil, count: places)
    }

    deinit {
        for place in 0..<places { free(tables[place]) }
        tables.deallocate()
    }

    @inline(__always)
    private func look(_ kind: Kind, _ state: Int32, _ number: Int) -> Int32 {
        let place = kind.rawValue * automaton.statesBound + Int(state)
        if let table = tables[place] {
            let known = table[number]
            if known != 0 { return Int32(known) - 1 }
        }
        return make(kind, state, number, place)
    }

    private func make(_ kind: Kind, _ start: Int32, _ number: Int, _ place: Int) -> Int32 {
        var state = start
        switch kind {
        case .plain: state = step(state, number, digits: number < 10 ? 1 : number < 100 ? 2 : number < 1000 ? 3 : 4)
        case .one: state = step(state, number, digits: 1)
        case .two: state = step(state, number, digits: 2)
        case .three: state = step(state, number, digits: 3)
        case .four: state = step(state, number, digits: 4)
        case .lower, .upper:
            let digits = kind == .lower ? DigitMoves.lowerDigits : DigitMoves.upperDigits
            state = automaton.step(automaton.step(state, digits[number >> 4]), digits[number & 15])
        }
        if tables[place] == nil, tablesMade < DigitMoves.tablesMaximum,
            let zeros = calloc(kind.entries, MemoryLayout<UInt16>.stride)
        {
            tables[place] = zeros.bindMemory(to: UInt16.self, capacity: kind.entries)
            tablesMade += 1
        }
        tables[place]?[number] = UInt16(state) + 1
        return state
    }

    /// Up to four digits with leading zeros.
    private func step(_ start: Int32, _ number: Int, digits: Int) -> Int32 {
        var state = start
        var power = digits == 4 ? 1000 : digits == 3 ? 100 : digits == 2 ? 10 : 1
        while power > 0 {
            state = automaton.step(state, UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / power % 10))
            power /= 10
        }
        return state
    }

    /// The state behind a decimal integer.
    @inline(__always)
    func integer(_ start: Int32, _ value: Int64) -> Int32 {
        if value >= 0, value < 10_000 { return look(.plain, start, Int(value)) }
        let state = value < 0 ? automaton.step(start, UInt8(ascii: "-")) : start
        return magnitude(state, value.magnitude)
    }

    private func magnitude(_ start: Int32, _ value: UInt64) -> Int32 {
        if value < 10_000 { return look(.plain, start, Int(value)) }
        return look(.four, magnitude(start, value / 10_000), Int(value % 10_000))
    }

    /// The state behind the last `width` digits of a number, with leading zeros; at most 18.
    @inline(__always)
    func fixed(_ start: Int32, _ value: Int64, width: Int) -> Int32 {
        var state = start
        var rest = UInt64(bitPattern: value)
        if rest >= UInt64(TimestampForm.powers[width]) { rest %= UInt64(TimestampForm.powers[width]) }
        var groups = width / 4
        let head = width % 4
        if head > 0 {
            let power = UInt64(TimestampForm.powers[groups * 4])
            let high = rest / power
            state = look(Kind.heads[head], state, Int(truncatingIfNeeded: high))
            rest &-= high &* power
        }
        while groups > 0 {
            groups -= 1
            let power = UInt64(TimestampForm.powers[groups * 4])
            let high = rest / power
            state = look(.four, state, Int(truncatingIfNeeded: high))
            rest &-= high &* power
        }
        return state
    }

    /// The state behind a byte as two hexadecimal digits.
    @inline(__always)
    func hexadecimal(_ state: Int32, _ byte: UInt8, isUpper: Bool) -> Int32 {
        look(isUpper ? .upper : .lower, state, Int(byte))
    }

    /// The state behind one hexadecimal digit.
    @inline(__always)
    func nibble(_ state: Int32, _ value: UInt8, isUpper: Bool) -> Int32 {
        automaton.step(state, (isUpper ? DigitMoves.upperDigits : DigitMoves.lowerDigits)[Int(value & 15)])
    }
}
