package import Telemetry

/// What changed between two spans of time, by the shapes of lines: which appeared, vanished, became more or fewer,
/// the most remarkable first. Shapes are counted exactly, so that nothing here is a guess but the threshold.
package struct PatternDifference: Sendable {
    /// One shape's part in the change.
    package struct Change: Sendable {
        /// How it changed.
        package enum Kind: String, Sendable {
            case new
            case vanished
            case more
            case fewer
        }

        package var kind: Kind
        package var pattern: String
        package var severity: Severity
        package var linesBefore: Int
        package var linesNow: Int
        /// How many standard deviations the count lies off what the baseline lets expect.
        package var score: Double
        package var example: String
    }

    /// One shape of one span.
    package struct Count: Sendable {
        package var pattern: String
        package var severity: Severity
        package var lines: Int
        package var example: String

        /// A count.
        package init(pattern: String, severity: Severity, lines: Int, example: String) {
            self.pattern = pattern
            self.severity = severity
            self.lines = lines
            self.example = example
        }
    }

    /// Smaller deviations are what counts do by themselves.
    private static let scoreMinimum = 4.0
    /// Smaller factors are no news.
    private static let factorMinimum = 2.0

    /// The changes, the most remarkable first.
    package let changes: [Change]

    /// Compares the counts of two spans; `secondsBefore` and `secondsNow` are their lengths.
    package init(before: [Count], secondsBefore: Double, now: [Count], secondsNow: Double) {
        var earlier: [String: Count] = [:]
        for count in before { earlier[count.pattern] = count }
        var later: [String: Count] = [:]
        for count in now { later[count.pattern] = count }
        let scale = secondsNow / max(secondsBefore, 1e-9)
        var changes: [Change] = []
        for pattern in Set(earlier.keys).union(later.keys) {
            let (old, new) = (earlier[pattern], later[pattern])
            guard let either = new ?? old else { continue }
            let expected = Double(old?.lines ?? 0) * scale
            let observed = Double(new?.lines ?? 0)
            // Counts of independent lines have about equal spread on this scale (Anscombe 1948).
            let score = 2 * ((observed + 0.375).squareRoot() - (expected + 0.375).squareRoot())
            let kind: Change.Kind
            if old == nil {
                kind = .new
            } else if new == nil {
                guard -score >= PatternDifference.scoreMinimum else { continue }
                kind = .vanished
            } else {
                let factor = max(observed, expected) / max(min(observed, expected), 1e-9)
                guard score.magnitude >= PatternDifference.scoreMinimum, factor >= PatternDifference.factorMinimum
                else { continue }
                kind = score > 0 ? .more : .fewer
            }
            changes.append(
                Change(
                    kind: kind, pattern: pattern, severity: either.severity, linesBefore: old?.lines ?? 0,
                    linesNow: new?.lines ?? 0, score: score, example: either.example))
        }
        self.changes = changes.sorted { left, right in
            let (a, b) = (left.weight, right.weight)
            return a == b ? left.pattern < right.pattern : a > b
        }
    }
}

extension PatternDifference.Change {
    /// What a reader wants to see first: errors before the rest, what is new before what only became more, and what
    /// vanished last.
    fileprivate var weight: Double {
        let level: Double = severity >= .error ? 8 : severity == .warn ? 3 : 1
        let novelty: Double =
            switch kind {
            case .new: 4
            case .more: 2
            case .vanished, .fewer: 1
            }
        return level * novelty * score.magnitude
    }
}
