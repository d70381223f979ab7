internal import Query
package import Telemetry
internal import Wire

/// What may be done about an alert by itself, and within which bounds: one entry of a `*.remedy.yml` file
/// (docs/specs/remedy.md).
package struct Remedy: Sendable, Hashable {
    /// How far it may go.
    package enum Mode: String, Sendable, CaseIterable {
        case off
        /// Only records what it would have done.
        case shadow
        /// Asks a person first.
        case approve
        case auto
    }

    /// One step of the ladder.
    struct Rung: Sendable, Hashable {
        /// A name from `Remedies.all`.
        var action: String
        var arguments: [String: String]
    }

    /// At most `count` actions within a window, counted over all that share the scope.
    struct Budget: Sendable, Hashable {
        /// Over what the actions are counted.
        enum Scope: String, Sendable, CaseIterable {
            /// Over all targets of this remedy.
            case rule
            /// Over all remedies, for the service of the target.
            case service
            /// Over everything.
            case cluster
        }

        var scope: Scope
        var count: Int
        var windowMilliseconds: Int64
    }

    /// What happens when an action did not help.
    enum FailurePolicy: String, Sendable, CaseIterable {
        /// The remedy leaves this target alone until a person lets it act again.
        case suspend
        /// The next step of the ladder; behind the last one, suspend.
        case next
    }

    package var name: String
    package var file: String
    /// All must hold; at least one does not match the empty text.
    package var match: [LabelMatcher]
    package var mode: Mode
    var ladder: [Rung]
    /// The least time between two actions on one target.
    var cooldownMilliseconds: Int64
    /// By what the cooldown grows with every action that was not verified.
    var backoffFactor: Double
    var backoffMaximumMilliseconds: Int64
    var budgets: [Budget]
    /// Nothing is done when a larger share of the population is unhealthy at once; nil for no such bound.
    var unhealthyShareMaximum: Double?
    /// Smaller populations have no such bound: one of one is always all.
    var populationMinimum: Int
    /// Expressions, templates allowed; one that answers with anything forbids the action.
    var contraindications: [Template]
    var blackouts: [BlackoutWindow]
    var evidenceLines: Int
    var evidenceWindowMilliseconds: Int64
    /// How long the expression must not match.
    var verifyForMilliseconds: Int64
    /// By when it must have not matched for that long.
    var verifyWithinMilliseconds: Int64
    var onFailure: FailurePolicy
    /// How long a person has for a decision.
    var approvalMilliseconds: Int64
    var line: Int

    /// What its state is kept under.
    package var identity: String { name }

    func matches(_ labels: Labels) -> Bool { match.allSatisfy { $0.matches(labels) } }
}

extension Remedy {
    /// A remedy that does nothing, for a reader to fill; numbers are as in a file that names none.
    init(name: String, file: String, match: [LabelMatcher], line: Int) {
        self.init(
            name: name, file: file, match: match, mode: .shadow, ladder: [], cooldownMilliseconds: 300_000,
            backoffFactor: 2, backoffMaximumMilliseconds: 3_600_000, budgets: [], unhealthyShareMaximum: 0.5,
            populationMinimum: 3, contraindications: [], blackouts: [], evidenceLines: 50,
            evidenceWindowMilliseconds: 300_000, verifyForMilliseconds: 0, verifyWithinMilliseconds: 300_000,
            onFailure: .suspend, approvalMilliseconds: 3_600_000, line: line)
    }
}

/// A time of the week during which nothing is done.
struct BlackoutWindow: Sendable, Hashable {
    /// 0 is Sunday; all days where it is empty.
    var weekdays: Set<Int>
    /// Minutes of the day; an end at or before the start lies on the next day.
    var startMinute: Int
    var endMinute: Int
    /// Minutes that the clock of the window is ahead of UTC.
    var offsetMinutes: Int
    /// As it was written, for messages.
    var text: String

    /// Whether `milliseconds` lies within.
    func contains(_ milliseconds: Int64) -> Bool {
        let minutes = Int((Double(milliseconds) / 60_000).rounded(.down)) + offsetMinutes
        let day = Int((Double(minutes) / 1440).rounded(.down))
        let minute = minutes - day * 1440
        func isOn(_ day: Int) -> Bool {
            weekdays.isEmpty || weekdays.contains(CivilDate(daysSinceEpoch: day).weekday)
        }
        if startMinute < endMinute { return isOn(day) && startMinute <= minute && minute < endMinute }
        return (isOn(day) && minute >= startMinute) || (isOn(day - 1) && minute < endMinute)
    }
}

/// An action a remedy may ask an agent for.
struct RemedyAction: Sendable {
    /// For example `container.restart`; the agent's allow-list knows it under the same name.
    let name: String
    /// The arguments it understands, with the whole numbers each may have.
    let arguments: [String: ClosedRange<Int>]
    /// How long the agent may take from the start to the end.
    let timeoutMilliseconds: Int64
    /// The immutable id of what an alert is about; nil when its labels do not tell.
    let target: @Sendable (Labels) -> String?
}

/// All actions. A new one is an entry here, and a counterpart in the agent.
enum Remedies {
    static let all: [RemedyAction] = [
        RemedyAction(
            name: "container.restart", arguments: [ActionArgument.grace: 0...600], timeoutMilliseconds: 120_000,
            target: { RemedyTarget.container($0) })
    ]

    /// The action of that name.
    static func named(_ name: String) -> RemedyAction? { all.first { $0.name == name } }
}

/// Finds the immutable id of a target in an alert's labels.
enum RemedyTarget {
    /// The id of a container: 64 hexadecimal digits in `container_id`, or in the cgroup path `id`
    /// (`/docker/ID`, `/system.slice/docker-ID.scope`).
    static func container(_ labels: Labels) -> String? {
        for name in ["container_id", "id"] {
            if let text = labels[name], let id = identifier(in: text) { return id }
        }
        return nil
    }

    private static func identifier(in text: String) -> String? {
        var run: [UInt8] = []
        for byte in text.utf8 + [0] {
            let isDigit =
                (byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9"))
                || (byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "f"))
            if isDigit {
                run.append(byte)
            } else {
                if run.count == 64 { return String(decoding: run, as: UTF8.self) }
                run.removeAll()
            }
        }
        return nil
    }
}
