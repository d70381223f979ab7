/// Where an automaton stands in each of several lines: in one state as long as that is the same for all.
struct RowStates {
    /// One per line; empty when all are in the same state.
    private(set) var single: [Int32]
    /// The states that occur.
    private(set) var distinct: [Int32]
    let count: Int

    /// All in one state.
    init(count: Int, state: Int32) {
        self.count = count
        single = []
        distinct = [state]
    }

    /// These states, all of them below `bound`.
    init(_ states: [Int32], below bound: Int) {
        count = states.count
        single = states
        distinct = []
        withUnsafeTemporaryAllocation(of: Bool.self, capacity: bound) { isSeen in
            isSeen.initialize(repeating: false)
            for state in states where !isSeen[Int(state)] {
                isSeen[Int(state)] = true
                distinct.append(state)
            }
        }
        if distinct.count == 1 { single = [] }
    }

    /// The state of all lines; nil when there are several.
    var uniform: Int32? { distinct.count == 1 ? distinct[0] : nil }

    /// The state of one line.
    @inline(__always)
    subscript(index: Int) -> Int32 { single.isEmpty ? distinct[0] : single[index] }

    /// The states with each one of `from` replaced by the one at its place of `targets`. `bound` is above all of them.
    func moved(to targets: [Int32], _ from: [Int32], below bound: Int) -> RowStates {
        if targets.allSatisfy({ $0 == targets[0] }) { return RowStates(count: count, state: targets[0]) }
        if targets == from { return self }
        if let state = uniform {
            return RowStates(count: count, state: from.firstIndex(of: state).map { targets[$0] } ?? state)
        }
        return withUnsafeTemporaryAllocation(of: Int32.self, capacity: bound) { target in
            for (state, next) in zip(from, targets) { target[Int(state)] = next }
            return RowStates(single.map { target[Int($0)] }, below: bound)
        }
    }

    /// Some of the lines: those at `places`, which rise.
    func keeping(_ places: some Collection<Int>, below bound: Int) -> RowStates {
        if single.isEmpty { return RowStates(count: places.count, state: distinct[0]) }
        return RowStates(places.map { single[$0] }, below: bound)
    }
}
