/// Where an alert stands. Ordered by strength.
package enum AlertState: UInt8, Sendable, CaseIterable, Comparable {
    /// Resolved, or never active.
    case inactive = 0
    /// The expression matches, for less than `for`.
    case pending = 1
    case firing = 2

    /// As in the API and in the label `alertstate`.
    package var name: String {
        switch self {
        case .inactive: "inactive"
        case .pending: "pending"
        case .firing: "firing"
        }
    }

    package static func < (left: AlertState, right: AlertState) -> Bool { left.rawValue < right.rawValue }
}
