/// How the series of two vectors find each other in a binary operation.
package struct VectorMatching: Hashable, Sendable {
    /// How many series of each side may meet.
    package enum Cardinality: Hashable, Sendable {
        case oneToOne
        case manyToOne
        case oneToMany
        case manyToMany
    }

    package var cardinality: Cardinality = .oneToOne
    /// The labels of `on (…)` or `ignoring (…)`.
    package var labels: [String] = []
    /// Whether `labels` are those that must be equal, rather than those left out.
    package var isOn = false
    /// The labels that `group_left (…)` or `group_right (…)` copies from the "one" side.
    package var included: [String] = []
    /// What stands in for a missing series of the left side.
    package var fillLeft: Double?
    /// What stands in for a missing series of the right side.
    package var fillRight: Double?

    /// One-to-one over all labels.
    package init() {}
}
