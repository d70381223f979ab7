internal import Alerting
internal import Crypto
internal import Telemetry
internal import Wire

/// What a request for `/api/v1/rules` wants to see, and a page of it.
struct RuleListing: Sendable {
    /// Groups in the order of the files, and the token of the first one that found no room.
    struct Page: Sendable {
        var groups: [RuleGroupStatus]
        var nextToken: String?
    }

    private let kind: RuleStatus.Kind?
    private let names: Set<String>
    private let groupNames: Set<String>
    private let files: Set<String>
    private let matcherSets: [[LabelMatcher]]
    private let groupsMaximum: Int?
    private let startToken: String?
    /// Whether the alerts of each rule are left out.
    let excludesAlerts: Bool

    /// Reads `type`, `rule_name[]`, `rule_group[]`, `file[]`, `match[]`, `exclude_alerts`, `group_limit` and
    /// `group_next_token`; errors are Prometheus'.
    init(_ parameters: RequestParameters) throws(APIFailure) {
        names = Set(parameters.all("rule_name[]"))
        groupNames = Set(parameters.all("rule_group[]"))
        files = Set(parameters.all("file[]"))
        matcherSets = try parameters.matcherSets()
        let type = parameters["type"]?.lowercased()
        switch type {
        case nil: kind = nil
        case "alert"?: kind = .alerting
        case "record"?: kind = .recording
        case let type?: throw .invalid("type", "not supported value \(QuotedText.quoted(type))")
        }
        excludesAlerts = try RuleListing.truth(parameters, "exclude_alerts")
        startToken = parameters["group_next_token"]
        guard let limit = parameters["group_limit"] else {
            groupsMaximum = nil
            guard startToken == nil else {
                throw .invalid(
                    "group_next_token", "group_limit needs to be present in order to paginate over the groups")
            }
            return
        }
        guard let maximum = Int32(limit) else {
            throw .invalid(
                "group_limit",
                "group_limit needs to be a valid number: strconv.ParseInt: parsing \(QuotedText.quoted(limit)): "
                    + "invalid syntax")
        }
        guard maximum > 0 else { throw .invalid("group_limit", "group_limit needs to be greater than 0") }
        groupsMaximum = Int(maximum)
    }

    private static func truth(_ parameters: RequestParameters, _ name: String) throws(APIFailure) -> Bool {
        guard let text = parameters[name]?.lowercased() else { return false }
        switch text {
        case "1", "t", "true": return true
        case "0", "f", "false": return false
        default:
            throw .invalid(
                name,
                "error converting \(name): strconv.ParseBool: parsing \(QuotedText.quoted(text)): invalid syntax")
        }
    }

    /// The groups that have a wanted rule, from the start token on.
    func page(of all: [RuleGroupStatus]) throws(APIFailure) -> Page {
        var page = Page(groups: [], nextToken: nil)
        var hasStarted = startToken == nil
        for var group in all {
            let token = RuleListing.token(of: group)
            hasStarted = hasStarted || token == startToken
            guard hasStarted, groupNames.isEmpty || groupNames.contains(group.name),
                files.isEmpty || files.contains(group.file)
            else { continue }
            group.rules = group.rules.filter(isWanted)
            if group.rules.isEmpty { continue }
            if page.groups.count == groupsMaximum {
                page.nextToken = token
                break
            }
            page.groups.append(group)
        }
        guard hasStarted else {
            throw .invalid(
                "group_next_token", "invalid group_next_token '\(startToken ?? "")'. were rule groups changed?")
        }
        return page
    }

    private func isWanted(_ rule: RuleStatus) -> Bool {
        (kind == nil || kind == rule.kind) && (names.isEmpty || names.contains(rule.name))
            && (matcherSets.isEmpty || matcherSets.contains { isMatched(rule.labels, by: $0) })
    }

    /// Of labels with a template in them, the template itself is looked at.
    private func isMatched(_ labels: [String: String], by matchers: [LabelMatcher]) -> Bool {
        matchers.allSatisfy { $0.matches(labels[$0.name] ?? "") }
    }

    private static func token(of group: RuleGroupStatus) -> String {
        Hexadecimal.text(Array(SHA256.hash(data: Array("\(group.file);\(group.name)".utf8))))
    }
}
