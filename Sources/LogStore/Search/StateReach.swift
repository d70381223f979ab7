internal import Telemetry

/// Where an automaton can stand behind a column's value, by what is known of the column without its values: which bytes
/// they have and how long they are. Small sets of states; what could be more is not followed.
final class StateReach {
    let automaton: ByteAutomaton
    private let known = StateMap()
    private var knownSets: [[Int32]?] = []
    private var knownTimes: [TimeKey: [Int32]?] = [:]
    private let staticMoves = StateMap(capacity: 4096)
    private var tableOwner: ObjectIdentifier?

    private struct TimeKey: Hashable {
        var state: Int32
        var form: TimestampForm
    }

    /// More states than this are not followed one by one.
    static let statesMaximum = 24

    init(_ automaton: ByteAutomaton) {
        self.automaton = automaton
    }

    deinit {
        known.deallocate()
        staticMoves.deallocate()
    }

    /// Begins with another part's templates.
    func use(_ owner: ObjectIdentifier) {
        if tableOwner == owner { return }
        tableOwner = owner
        staticMoves.removeAll()
    }

    /// The state behind a static text of a block's templates.
    @inline(__always)
    func state(_ state: Int32, behind node: Int, of block: OpenBlock) -> Int32 {
        staticMoves[node, state] ?? read(state, node, block)
    }

    private func read(_ state: Int32, _ node: Int, _ block: OpenBlock) -> Int32 {
        let range = block.table.textRange(node)
        let target = block.table.texts.withUnsafeBytes {
            automaton.run(state, UnsafeRawBufferPointer(rebasing: $0[range]))
        }
        staticMoves.set(node, state, target)
        return target
    }

    /// The states behind a value of this extent; nil when there are too many.
    func states(behind state: Int32, _ extent: ValueExtent) -> [Int32]? {
        if automaton.isAccepting(state) { return [state] }
        if let found = known[extent.code, state] { return knownSets[Int(found)] }
        let result: [Int32]? =
            switch extent.alphabet {
            case .addresses: states(behind: state, [(.digits, 1, 3), (.dot, 1, 1)], repeated: 4)
            case .decimals:
                states(
                    behind: state,
                    [(.signedDigits, 1, extent.shortest), (.dot, 1, 1), (.digits, 0, extent.longest)], repeated: 1)
            default: follow(state, extent.alphabet.bytes, extent.shortest, extent.longest)
            }
        known.set(extent.code, state, Int32(knownSets.count))
        knownSets.append(result)
        return result
    }

    /// The states behind runs of bytes one after another, all of that so many times but for the last run of the last
    /// time where there are several.
    private func states(
        behind state: Int32, _ runs: [(bytes: ByteSet, shortest: Int, longest: Int)], repeated times: Int
    ) -> [Int32]? {
        var current: [Int32] = [state]
        for round in 0..<times {
            for run in times > 1 && round == times - 1 ? runs.dropLast() : runs[...] {
                var next = StateSet()
                for state in current {
                    guard let behind = follow(state, run.bytes, run.shortest, run.longest) else { return nil }
                    for target in behind where !next.insert(target, maximum: StateReach.statesMaximum) { return nil }
                }
                current = next.states
            }
        }
        return current
    }

    private func follow(_ state: Int32, _ set: ByteSet, _ shortest: Int, _ longest: Int) -> [Int32]? {
        if automaton.isAccepting(state) { return [state] }
        let bytes = set.bytes
        var reached = StateSet()
        if shortest == 0 { _ = reached.insert(state, maximum: StateReach.statesMaximum) }
        var current: [Int32] = [state]
        for length in 1...max(1, min(longest, 4096)) {
            var next = StateSet()
            for state in current {
                for byte in bytes
                where !next.insert(automaton.step(state, byte), maximum: StateReach.statesMaximum) { return nil }
            }
            let isNew = !next.states.allSatisfy { reached.states.contains($0) }
            if length >= shortest, !reached.insert(next.states) { return nil }
            let sorted = next.states.sorted()
            let isSettled = sorted == current || (length > shortest && !isNew)
            current = sorted
            // Once all lengths count and nothing new came, nothing new will come.
            if isSettled { break }
        }
        return reached.insert(current) ? reached.states.sorted() : nil
    }

    /// The states behind a point in time; nil when there are too many.
    func states(behind state: Int32, form: TimestampForm) -> [Int32]? {
        let key = TimeKey(state: state, form: form)
        if let found = knownTimes[key] { return found }
        let result = states(behind: state, places: form.places)
        knownTimes[key] = result
        return result
    }

    /// The states behind one byte of each of `sets` in a row; nil when there are too many.
    private func states(behind state: Int32, places sets: [ByteSet]) -> [Int32]? {
        var current = StateSet([state])
        for set in sets {
            var next = StateSet()
            let bytes = set.bytes
            for state in current.states {
                if automaton.isAccepting(state) {
                    if !next.insert([state]) { return nil }
                } else {
                    for byte in bytes
                    where !next.insert(automaton.step(state, byte), maximum: StateReach.statesMaximum) { return nil }
                }
            }
            current = next
        }
        return current.states.sorted()
    }
}

extension StateSet {
    /// These states, few of them.
    fileprivate init(_ few: [Int32]) {
        self.init()
        _ = insert(few)
    }

    /// Adds states; false when there are too many to follow.
    fileprivate mutating func insert(_ more: [Int32]) -> Bool {
        for state in more where !insert(state, maximum: StateReach.statesMaximum) { return false }
        return true
    }
}
