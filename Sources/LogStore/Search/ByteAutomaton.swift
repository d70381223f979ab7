internal import Glibc
internal import Telemetry

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
        case wordBoundary(next: Int)
        case match
    }

    /// What stands before the next byte, as far as it matters to a state: only where it waits for a word boundary.
    private enum Before {
        case begin
        case word
        case other
    }

    private struct Place: Hashable {
        var steps: [Int]
        var before: Before
    }

    /// Beyond this many states the search is left to RE2.
    static let statesMaximum = 1024

    /// The text that is searched for, if it is no more than that: then states count how many of its bytes were met, as
    /// in Knuth, Morris, Pratt 1977, and long texts are left to the C library's search.
    let literal: [UInt8]
    /// For each number of bytes met, how many are met still when the next one is another byte.
    private var fallbacks: [Int32] = []
    private var program: [Step] = [.match]
    private var entry = 0
    private var sets: [Place] = []
    private var numbers: [Place: Int32] = [:]
    /// For each step the last closure that met it.
    private var marks: [Int] = []
    private var closures = 0
    /// Bytes that no step tells apart: from a state they all lead to the same one.
    private var classes = [UInt8](repeating: 0, count: 256)
    private var members: [[UInt8]] = []
    /// 256 per state: one more than the state behind a byte, 0 where it was not asked for yet. Memory that no state
    /// needs is never touched.
    private let moves: UnsafeMutablePointer<Int32>
    /// For each state whether it accepts (1), or accepts when the text ends (2).
    private let flags: UnsafeMutablePointer<UInt8>
    /// The state before the first byte.
    private(set) var start: Int32 = 0
    /// Whether there were too many states: then no answer counts.
    private(set) var isOverflown = false

    /// A search for what a predicate looks for; nil when that cannot be written as an expression.
    static func of(_ predicate: LinePredicate) -> ByteAutomaton? {
        if predicate.kind == .contains, !predicate.foldsCase, predicate.alternatives.count == 1 {
            let text = Array(predicate.alternatives[0].utf8)
            if (1..<statesMaximum).contains(text.count) { return ByteAutomaton(literal: text) }
        }
        return LineExpression.of(predicate).map { ByteAutomaton($0) }
    }

    /// A search for a text of 1 to `statesMaximum` - 1 bytes.
    private init(literal: [UInt8]) {
        self.literal = literal
        (moves, flags) = ByteAutomaton.tables(literal.count + 1)
        statesBound = literal.count + 1
        states = literal.count + 1
        flags.initialize(repeating: 0, count: states)
        flags[literal.count] = 3
        fallbacks = [Int32](repeating: 0, count: literal.count + 1)
        var met = 0
        for index in 1..<max(1, literal.count) {
            while met > 0, literal[index] != literal[met] { met = Int(fallbacks[met]) }
            if literal[index] == literal[met] { met += 1 }
            fallbacks[index + 1] = Int32(met)
        }
    }

    private static func tables(_ states: Int) -> (UnsafeMutablePointer<Int32>, UnsafeMutablePointer<UInt8>) {
        let bytes = states * 256 * MemoryLayout<Int32>.stride
        guard let zeros = calloc(1, bytes) else { preconditionFailure("no memory for an automaton of \(bytes) bytes") }
        return (
            zeros.bindMemory(to: Int32.self, capacity: states * 256), .allocate(capacity: states)
        )
    }

    /// A search for `expression`.
    init(_ expression: LineExpression) {
        literal = []
        (moves, flags) = ByteAutomaton.tables(ByteAutomaton.statesMaximum)
        statesBound = ByteAutomaton.statesMaximum
        entry = compile(expression, 0)
        marks = [Int](repeating: 0, count: program.count)
        classify()
        start = number(closure([entry], atBegin: true), before: .begin)
    }

    deinit {
        free(moves)
        flags.deallocate()
    }

    /// Whether whatever follows, the text contains a match.
    @inline(__always)
    func isAccepting(_ state: Int32) -> Bool { flags[Int(state)] & 1 != 0 }

    /// Whether a text that ends here contains a match.
    @inline(__always)
    func acceptsAtEnd(_ state: Int32) -> Bool { flags[Int(state)] & 2 != 0 }

    /// No state has this number or a larger one.
    let statesBound: Int
    /// The number of states made so far.
    private(set) var states = 0

    /// The state behind one more byte.
    @inline(__always)
    func step(_ state: Int32, _ byte: UInt8) -> Int32 {
        let known = moves[Int(state) << 8 | Int(byte)]
        return known > 0 ? known - 1 : make(state, byte)
    }

    /// The state behind more bytes.
    @inline(__always)
    func run(_ start: Int32, _ bytes: UnsafeRawBufferPointer) -> Int32 {
        if !literal.isEmpty, bytes.count > literal.count * 3 + 32 { return skim(start, bytes) }
        return read(start, bytes)
    }

    /// Of a long text only both ends are read: what was met before counts up to the length of what is searched for.
    private func skim(_ start: Int32, _ bytes: UnsafeRawBufferPointer) -> Int32 {
        let border = literal.count - 1
        let state = read(start, UnsafeRawBufferPointer(rebasing: bytes[..<border]))
        if isAccepting(state) { return state }
        if bytes.offset(of: literal) != nil { return Int32(literal.count) }
        return read(0, UnsafeRawBufferPointer(rebasing: bytes[(bytes.count - border)...]))
    }

    /// The state behind each of several texts.
    func run(_ start: Int32, _ texts: Texts) -> [Int32] {
        texts.bytes.withUnsafeBytes { bytes in
            // Where the text searched for does not occur at all, the ends of the texts decide.
            let isAbsent = !literal.isEmpty && start == 0 && bytes.offset(of: literal) == nil
            var first = 0
            return texts.ends.map { end in
                defer { first = end }
                let from = isAbsent ? max(first, end - literal.count + 1) : first
                return run(start, UnsafeRawBufferPointer(rebasing: bytes[from..<end]))
            }
        }
    }

    @inline(__always)
    private func read(_ start: Int32, _ bytes: UnsafeRawBufferPointer) -> Int32 {
        guard var next = bytes.assumingMemoryBound(to: UInt8.self).baseAddress else { return start }
        let end = next + bytes.count
        let moves = moves
        var state = Int(start)
        while next < end {
            let known = moves[state << 8 | Int(next.pointee)]
            state = known > 0 ? Int(known) - 1 : Int(make(Int32(truncatingIfNeeded: state), next.pointee))
            next += 1
        }
        return Int32(truncatingIfNeeded: state)
    }

    private func make(_ state: Int32, _ byte: UInt8) -> Int32 {
        // A match behind us is not lost again.
        if isAccepting(state) {
            moves[Int(state) << 8 | Int(byte)] = state + 1
            return state
        }
        if !literal.isEmpty {
            var met = Int(state)
            while met > 0, literal[met] != byte { met = Int(fallbacks[met]) }
            if literal[met] == byte { met += 1 }
            moves[Int(state) << 8 | Int(byte)] = Int32(met) + 1
            return Int32(met)
        }
        let isWord = ByteSet.word.contains(byte)
        var reached = [entry]
        for step in steps(of: sets[Int(state)], beforeWord: isWord) {
            switch program[step] {
            case .bytes(let set, let next): if set.contains(byte) { reached.append(next) }
            // Met behind a boundary, which only this byte made one.
            case .match: reached.append(step)
            case .split, .begin, .end, .wordBoundary: break
            }
        }
        let target = number(closure(reached, atBegin: false), before: isWord ? .word : .other)
        for other in members[Int(classes[Int(byte)])] { moves[Int(state) << 8 | Int(other)] = target + 1 }
        return target
    }

    /// The steps of a state, with those behind a word boundary if the next byte makes one.
    private func steps(of place: Place, beforeWord isWord: Bool) -> [Int] {
        guard (place.before == .word) != isWord, waits(place.steps) else { return place.steps }
        return closure(place.steps, atBegin: place.before == .begin, isBoundary: true)
    }

    private func waits(_ steps: [Int]) -> Bool {
        steps.contains { if case .wordBoundary = program[$0] { true } else { false } }
    }

    private func classify() {
        var distinct = Set([ByteSet.word])
        for case .bytes(let set, _) in program { distinct.insert(set) }
        var count = 1
        for set in distinct {
            var renamed: [Int: UInt8] = [:]
            for byte in 0..<256 {
                let key = Int(classes[byte]) << 1 | (set.contains(UInt8(byte)) ? 1 : 0)
                let name = renamed[key] ?? UInt8(renamed.count)
                renamed[key] = name
                classes[byte] = name
            }
            count = renamed.count
        }
        members = [[UInt8]](repeating: [], count: count)
        for byte in 0..<256 { members[Int(classes[byte])].append(UInt8(byte)) }
    }

    private func number(_ steps: [Int], before: Before) -> Int32 {
        let set = Place(steps: steps, before: waits(steps) ? before : .other)
        if let known = numbers[set] { return known }
        guard sets.count < ByteAutomaton.statesMaximum else {
            isOverflown = true
            return start
        }
        let number = Int32(sets.count)
        numbers[set] = number
        sets.append(set)
        states = sets.count
        let isAccepting = steps.contains(0)
        let atEnd = closure(steps, atBegin: before == .begin, atEnd: true, isBoundary: set.before == .word)
        let acceptsAtEnd = isAccepting || atEnd.contains(0)
        flags[Int(number)] = (isAccepting ? 1 : 0) | (acceptsAtEnd ? 2 : 0)
        return number
    }

    /// The steps that can be reached without a byte, rising. At the end of the text its assertions hold too, and at a
    /// boundary those of words.
    private func closure(
        _ starts: [Int], atBegin: Bool, atEnd: Bool = false, isBoundary: Bool = false
    ) -> [Int] {
        closures += 1
        var kept: [Int] = []
        var open = starts
        while let place = open.popLast() {
            if marks[place] == closures { continue }
            marks[place] = closures
            switch program[place] {
            case .split(let left, let right): open += [left, right]
            case .begin(let next): if atBegin { open.append(next) }
            case .end(let next):
                kept.append(place)
                if atEnd { open.append(next) }
            case .wordBoundary(let next):
                kept.append(place)
                if isBoundary { open.append(next) }
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
        case .wordBoundary: return add(.wordBoundary(next: next))
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
