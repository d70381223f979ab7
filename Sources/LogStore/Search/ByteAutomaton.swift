/// A search for an expression anywhere in a text, as a machine that reads byte by byte; its states are made when they
/// are
/// first reached (Thompson 1968). What lies between two states depends on nothing but the bytes, so a search can go
/// over
/// a static text once for all lines that have it.
final class ByteAutomaton {
    private enum Step {
        case bytes(ByteSet, next: Int)
        case split(Int, Int)
        case begin(next: Int)
        case end(next: Int)
        case match
    }

    /// Beyond this many states the search is left to RE2.
    static let statesMaximum = 1024

    private var program: [Step] = [.match]
    private var entry = 0
    private var sets: [[Int]] = []
    private var numbers: [[Int]: Int32] = [:]
    private var accepting: [Bool] = []
    private var acceptingAtEnd: [Bool] = []
    /// 256 per state; -1 where it was not asked for yet.
    private var moves: [Int32] = []
    /// The state before the first byte.
    private(set) var start: Int32 = 0
    /// Whether there were too many states: then no answer counts.
    private(set) var isOverflown = false

    /// A search for `expression`.
    init(_ expression: LineExpression) {
        entry = compile(expression, 0)
        start = number(closure([entry], atBegin: true))
    }

    /// Whether whatever follows, the text contains a match.
    @inline(__always)
    func isAccepting(_ state: Int32) -> Bool { accepting[Int(state)] }

    /// Whether a text that ends here contains a match.
    @inline(__always)
    func acceptsAtEnd(_ state: Int32) -> Bool { acceptingAtEnd[Int(state)] }

    /// The number of states made so far.
    var states: Int { sets.count }

    /// The state behind one more byte.
    @inline(__always)
    func step(_ state: Int32, _ byte: UInt8) -> Int32 {
        let known = moves[Int(state) << 8 | Int(byte)]
        return known >= 0 ? known : make(state, byte)
    }

    /// The state behind more bytes.
    @inline(__always)
    func run(_ start: Int32, _ bytes: UnsafeRawBufferPointer) -> Int32 {
        var state = start
        for byte in bytes { state = step(state, byte) }
        return state
    }

    private func make(_ state: Int32, _ byte: UInt8) -> Int32 {
        // A match behind us is not lost again.
        if accepting[Int(state)] {
            moves[Int(state) << 8 | Int(byte)] = state
            return state
        }
        var reached = [entry]
        for place in sets[Int(state)] {
            if case .bytes(let set, let next) = program[place], set.contains(byte) { reached.append(next) }
        }
        let target = number(closure(reached, atBegin: false))
        moves[Int(state) << 8 | Int(byte)] = target
        return target
    }

    private func number(_ set: [Int]) -> Int32 {
        if let known = numbers[set] { return known }
        guard sets.count < ByteAutomaton.statesMaximum else {
            isOverflown = true
            return start
        }
        let number = Int32(sets.count)
        numbers[set] = number
        sets.append(set)
        let isAccepting = set.contains(0)
        accepting.append(isAccepting)
        acceptingAtEnd.append(isAccepting || closure(set, atBegin: false, atEnd: true).contains(0))
        moves.append(contentsOf: repeatElement(-1, count: 256))
        return number
    }

    /// The steps that can be reached without a byte, rising. At the end of the text its assertions hold too.
    private func closure(_ starts: [Int], atBegin: Bool, atEnd: Bool = false) -> [Int] {
        var seen = Set<Int>()
        var kept: [Int] = []
        var open = starts
        while let place = open.popLast() {
            guard seen.insert(place).inserted else { continue }
            switch program[place] {
            case .split(let left, let right): open += [left, right]
            case .begin(let next): if atBegin { open.append(next) }
            case .end(let next):
                kept.append(place)
                if atEnd { open.append(next) }
            case .bytes, .match: kept.append(place)
            }
        }
        return kept.sorted()
    }

    // MARK: Program

    private func add(_ step: Step) -> Int {
        program.append(step)
        return program.count - 1
    }

    /// The first step of `expression` when `next` follows it.
    private func compile(_ expression: LineExpression, _ next: Int) -> Int {
        switch expression {
        case .nothing: return next
        case .bytes(let set): return add(.bytes(set, next: next))
        case .beyondASCII:
            let last = add(.bytes(ByteAutomaton.continuation, next: next))
            let third = add(.bytes(ByteAutomaton.continuation, next: last))
            let second = add(.bytes(ByteAutomaton.continuation, next: third))
            let two = add(.bytes(ByteSet(0xc2...0xdf as ClosedRange<UInt8>), next: last))
            let three = add(.bytes(ByteSet(0xe0...0xef as ClosedRange<UInt8>), next: third))
            let four = add(.bytes(ByteSet(0xf0...0xf4 as ClosedRange<UInt8>), next: second))
            return add(.split(two, add(.split(three, four))))
        case .sequence(let parts): return parts.reversed().reduce(next) { compile($1, $0) }
        case .anyOf(let parts):
            guard let last = parts.last else { return next }
            return parts.dropLast().reversed().reduce(compile(last, next)) { rest, part in
                let first = compile(part, next)
                return add(.split(first, rest))
            }
        case .repeated(let part, let minimum, let maximum):
            return compileRepeated(part, minimum, maximum, next)
        case .begin: return add(.begin(next: next))
        case .end: return add(.end(next: next))
        }
    }

    private func compileRepeated(_ part: LineExpression, _ minimum: Int, _ maximum: Int?, _ next: Int) -> Int {
        var entry = next
        if let maximum {
            for _ in 0..<max(0, maximum - minimum) { entry = add(.split(compile(part, entry), next)) }
        } else {
            let loop = add(.split(next, next))
            program[loop] = .split(compile(part, loop), next)
            entry = loop
        }
        for _ in 0..<minimum { entry = compile(part, entry) }
        return entry
    }

    private static let continuation = ByteSet(0x80...0xbf as ClosedRange<UInt8>)
}
