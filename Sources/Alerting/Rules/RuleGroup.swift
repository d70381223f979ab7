package import Query

/// A group of rules that are evaluated one after the other at one interval, as a rule file describes it.
package struct RuleGroup: Sendable, Hashable {
    /// Unique within its file.
    package var name: String
    /// The path of the file as it was given.
    package var file: String
    /// Nil for the default interval.
    package var intervalMilliseconds: Int64?
    /// The most series or alerts one rule may have, 0 for no limit.
    package var limit: Int
    /// How far behind the time of the evaluation the expressions are evaluated.
    package var queryOffsetMilliseconds: Int64
    package var rules: [Rule]

    /// What the group's state is kept under while rule files come and go.
    package var identity: String { "\(file);\(name)" }
}

/// One rule: an alert, or a recorded series.
package struct Rule: Sendable, Hashable {
    /// What it makes.
    package enum Kind: Sendable, Hashable {
        case alert(AlertSettings)
        /// The name of the series that its answer is recorded under.
        case record
    }

    /// What only alerts have.
    package struct AlertSettings: Sendable, Hashable {
        /// How long the expression must match before the alert fires.
        package var forMilliseconds: Int64
        /// How long it goes on firing after the expression stopped matching.
        package var keepFiringForMilliseconds: Int64
        /// In the order of the file.
        package var annotations: [NamedTemplate]
    }

    /// A label or annotation whose text is a template.
    package struct NamedTemplate: Sendable, Hashable {
        package var name: String
        package var template: Template
    }

    package var kind: Kind
    /// The alert's name, or the recorded series' name.
    package var name: String
    package var expression: String
    /// Group labels and rule labels, the rule's own winning; templates for alerts.
    package var labels: [NamedTemplate]
    /// What the rule's state is kept under: file, group, name and the place among rules of that name, so that editing
    /// the expression, moving the rule or adding others keeps the alerts.
    package var identity: String
    /// Where it stands in its file.
    package var line: Int
}
