/// Where an automaton stands in each of several lines: in one state as long as that is the same for all.
struct RowStates {
    private(set) var uniform: Int32?
    private(set) var single: [Int32] = []
    let count: Int

    /// All in one state.
    init(count: Int, state: Int32) {
        self.count = count
        uniform = state
    }

    /// These states.
    init(_ states: [Int32]) {
        count = states.count
        single = states
        settle()
    }

    /// The state of one line.
    @inline(__always)
    subscript(index: Int) -> Int32 { uniform ?? single[index] }

    /// The states that occur.
    func distinct() -> [Int32] {
        if let uniform { return [uniform] }
        var seen: [Int32] = []
        for state in single where seen.last != state && !seen.contains(state) { seen.append(state) }
        return seen
    }

    /// Replaces each state by another.
    mutating func map(_ body: (Int32) -> Int32) {
        if let state = uniform {
            uniform = body(state)
            return
        }
        var from: [Int32] = []
        var to: [Int32] = []
        var last: (Int32, Int32)?
        for index in single.indices {
            let state = single[index]
            if let last, last.0 == state {
                single[index] = last.1
                continue
            }
            var place = from.firstIndex(of: state)
            if place == nil {
                place = from.count
                from.append(state)
                to.append(body(state))
            }
            let target = to[place ?? 0]
            last = (state, target)
            single[index] = target
        }
        settle()
    }

    /// Sets all states.
    mutating func set(_ states: [Int32]) {
        uniform = nil
        single = states
        settle()
    }

    private mutating func settle() {
        guard let first = single.first, single.allSatisfy({ $0 == first }) else { return }
        uniform = first
        single = []
    }
}
