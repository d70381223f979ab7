/// What alerting works by: rules, remedies, receivers, and what is set for all of them. Replaced as a whole by a
/// reload.
package struct AlertingConfiguration: Sendable {
    package var groups: [RuleGroup]
    package var remedies: [Remedy]
    package var notify: NotifyConfiguration
    /// For groups that set none.
    package var evaluationIntervalMilliseconds: Int64
    /// The labels of this installation, for templates.
    package var externalLabels: [String: String]
    /// Where people reach this installation, for messages.
    package var externalURL: String

    /// A configuration; the defaults are Prometheus' with nothing to do.
    package init(
        groups: [RuleGroup] = [], remedies: [Remedy] = [], notify: NotifyConfiguration = .none,
        evaluationIntervalMilliseconds: Int64 = 15_000, externalLabels: [String: String] = [:], externalURL: String = ""
    ) {
        self.groups = groups
        self.remedies = remedies
        self.notify = notify
        self.evaluationIntervalMilliseconds = evaluationIntervalMilliseconds
        self.externalLabels = externalLabels
        self.externalURL = externalURL
    }

    func interval(of group: RuleGroup) -> Int64 { group.intervalMilliseconds ?? evaluationIntervalMilliseconds }
}
