internal import Telemetry

/// Where an automaton can stand behind a column's value, by what is known of the column without its values: which bytes
/// they have and how long they are. Small sets of states; what could be more is not followed.
final class StateReach {
    let automaton: ByteAutomaton
    private var known: [Key: [Int32]?] = [:]
    private var knownTimes: [TimeKey: [Int32]?] = [:]
    private var staticMoves: [UInt64: Int32] = [:]
    private var tableOwner: ObjectIdentifier?

    private struct Key: Hashable {
        var state: Int32
        var bytes: ByteSet
        var shortest: Int
        var longest: Int
    }

    private struct TimeKey: Hashable {
        var state: Int32
        var form: TimestampForm
    }

    /// More states than this are not followed one by one.
    static let statesMaximum = 24

    init(_ automaton: ByteAutomaton) {
        self.automaton = automaton
    }

    /// Begins with another part's templates.
    func use(_ owner: ObjectIdentifier) {
        if tableOwner == owner { return }
        tableOwner = owner
        staticMoves.removeAll(keepingCapacity: true)
    }

    /// The state behind a static text.
    func state(_ state: Int32, behind node: Int, of table: TemplateTable) -> Int32 {
        if automaton.isAccepting(state) { return state }
        let key = UInt64(UInt32(bitPattern: state)) << 32 | UInt64(UInt32(truncatingIfNeeded: node))
        if let found = staticMoves[key] { return found }
        let range = table.textRange(node)
        let target = table.texts.withUnsafeBytes {
            automaton.run(state, UnsafeRawBufferPointer(rebasing: $0[range]))
        }
        staticMoves[key] = target
        return target
    }

    /// The states behind a text of `shortest` to `longest` bytes of `bytes`; nil when there are too many.
    func states(behind state: Int32, bytes: ByteSet, shortest: Int, longest: Int) -> [Int32]? {
        if automaton.isAccepting(state) { return [state] }
        let key = Key(state: state, bytes: bytes, shortest: shortest, longest: min(longest, 64))
        if let found = known[key] { return found }
        let result = follow(state, bytes.bytes, shortest, longest)
        known[key] = result
        return result
    }

    private func follow(_ state: Int32, _ bytes: [UInt8], _ shortest: Int, _ longest: Int) -> [Int32]? {
        var reached: Set<Int32> = shortest == 0 ? [state] : []
        var current: Set<Int32> = [state]
        for length in 1...max(1, min(longest, 4096)) {
            var next = Set<Int32>()
            for state in current {
                for byte in bytes { next.insert(automaton.step(state, byte)) }
                if next.count > StateReach.statesMaximum { return nil }
            }
            let isNew = !next.isSubset(of: reached)
            if length >= shortest { reached.formUnion(next) }
            if reached.count > StateReach.statesMaximum { return nil }
            let isSettled = next == current || (length > shortest && !isNew)
            current = next
            // Once all lengths count and nothing new came, nothing new will come.
            if isSettled { break }
        }
        reached.formUnion(current)
        return reached.count > StateReach.statesMaximum ? nil : reached.sorted()
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
        var current: Set<Int32> = [state]
        for set in sets {
            var next = Set<Int32>()
            let bytes = set.bytes
            for state in current {
                if automaton.isAccepting(state) {
                    next.insert(state)
                } else {
                    for byte in bytes { next.insert(automaton.step(state, byte)) }
                }
            }
            if next.count > StateReach.statesMaximum { return nil }
            current = next
        }
        return current.sorted()
    }
}
