internal import Telemetry
internal import Wire

/// Decides whether a command is done. Pure: the command, what is allowed, what was done before and the time go in.
enum CommandDecision {
    /// What to do with a command.
    case perform(any Action, Container)
    case refuse(reason: String, target: String)

    /// The decision about `command`, which is not in `ledger` yet.
    static func decide(
        _ command: AgentCommand, policy: ActionPolicy, ledger: CommandLedger,
        container: (String) -> Container?, atNanoseconds now: Int64
    ) -> CommandDecision {
        let target = ContainerPath.identifier(in: command.target) ?? command.target
        func refuse(_ reason: String) -> CommandDecision { .refuse(reason: reason, target: target) }
        guard now <= command.expiresNanoseconds else { return refuse("it came too late: it was to be begun before") }
        guard let action = Actions.all.first(where: { $0.name == command.action }) else {
            return refuse("this agent knows no action \(QuotedText.quoted(command.action))")
        }
        if let unknown = command.arguments.keys.sorted().first(where: { !action.arguments.contains($0) }) {
            return refuse("\(action.name) has no argument \(QuotedText.quoted(unknown))")
        }
        guard !policy.permissions.isEmpty else { return refuse("nothing is allowed here: the agent observes only") }
        guard let container = container(target) else {
            return refuse("there is no container \(QuotedText.quoted(command.target)) on this host")
        }
        guard let permission = policy.permission(for: action.name, on: container) else {
            return refuse("\(action.name) is not allowed for service \(QuotedText.quoted(container.service))")
        }
        if let reason = ledger.refusal(of: action.name, on: target, under: permission, atNanoseconds: now) {
            return refuse(reason)
        }
        do throws(ActionRefusal) {
            let order = ActionOrder(container: container, arguments: command.arguments, permission: permission)
            return .perform(try action.init(order), container)
        } catch {
            return refuse(error.description)
        }
    }
}
