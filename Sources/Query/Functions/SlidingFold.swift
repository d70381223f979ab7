/// Folds every window of a column in time proportional to the samples, however much the windows overlap.
///
/// Method: two stacks. The front holds folded suffixes of an older part, the back one running fold of the newer part;
/// when the window leaves the front, the back is turned over. Nothing is ever subtracted, so no rounding error
/// outlives the samples it came from.
struct SlidingFold<Folded> {
    private let make: (Double) -> Folded
    private let combine: (Folded, Folded) -> Folded
    private var front: [Folded] = []
    private var frontStart = 0
    private var middle = 0
    private var back: Folded?
    private var backEnd = 0

    init(make: @escaping (Double) -> Folded, combine: @escaping (Folded, Folded) -> Folded) {
        self.make = make
        self.combine = combine
    }

    /// The fold of `values[window]`, which must not be empty; windows must move forward.
    @inline(__always)
    mutating func fold(_ window: Range<Int>, of values: UnsafeBufferPointer<Double>) -> Folded? {
        if window.lowerBound >= middle { turnOver(window, values) }
        while backEnd < window.upperBound {
            let value = make(values[backEnd])
            back = back.map { combine($0, value) } ?? value
            backEnd += 1
        }
        // The front is stored from its end, so that the oldest suffix is last.
        let depth = middle - window.lowerBound
        guard depth > 0 else { return back }
        return back.map { combine(front[depth - 1], $0) } ?? front[depth - 1]
    }

    private mutating func turnOver(_ window: Range<Int>, _ values: UnsafeBufferPointer<Double>) {
        front.removeAll(keepingCapacity: true)
        middle = window.upperBound
        back = nil
        backEnd = middle
        var index = middle
        while index > window.lowerBound {
            index -= 1
            let value = make(values[index])
            front.append(front.last.map { combine(value, $0) } ?? value)
        }
    }
}

extension WindowInput {
    /// Whether windows share so many samples that folding them apart would be wasteful.
    var windowsOverlapMuch: Bool {
        stepCount > 4 && evaluator.times.stepMilliseconds &* 4 <= lengthMilliseconds && windowEnds.stepMilliseconds > 0
    }
}
