internal import Telemetry

/// What was asked for to settle lines of a block; the costliest of it counts.
enum Evidence: Int {
    /// Static texts alone.
    case templates = 0
    /// What descriptions say of numbers: bounds, lengths, forms.
    case numbers = 1
    case dictionaries = 2
    /// Single values.
    case values = 3

    /// Something more was asked for.
    @inline(__always)
    mutating func rise(to other: Evidence) {
        if other.rawValue > rawValue { self = other }
    }

    /// Where a block counts that was ruled out by it; nil when its values were looked at.
    var skipped: WritableKeyPath<SkippedBlocks, Int>? {
        switch self {
        case .templates: \.templates
        case .numbers: \.numbers
        case .dictionaries: \.dictionaries
        case .values: nil
        }
    }
}
