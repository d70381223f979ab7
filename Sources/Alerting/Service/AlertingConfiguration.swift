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
    /// Rule files that could not be used. Nobody knows whether their rules still exist, so their alerts stay as they
    /// are: a mistake in a file must not tell people that the trouble is over.
    package var brokenFiles: Set<String> = []

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

    /// Whether a rule that is in no file may be in one that could not be used.
    func mayHold(rule identity: String) -> Bool { brokenFiles.contains { identity.hasPrefix("\($0);") } }

    func interval(of group: RuleGroup) -> Int64 { group.intervalMilliseconds ?? evaluationIntervalMilliseconds }
}
