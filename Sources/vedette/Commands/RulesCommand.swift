internal import Alerting
internal import ArgumentParser
internal import Telemetry

/// `vedette rules`: what is watched.
struct RulesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rules",
        abstract: "Rules: check files, list what runs.",
        subcommands: [RulesCheckCommand.self, RulesListCommand.self])
}

/// Which checks beyond errors `vedette rules check` makes, in promtool's words.
enum RuleLint: String, ExpressibleByArgument, CaseIterable {
    case all
    case duplicateRules = "duplicate-rules"
    case none
}

/// `vedette rules check`: rule files and remedies, without a server.
struct RulesCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check rule files (*.yml) and remedies (*.remedy.yml), each with file, line, column and what to do.",
        discussion: "Exit status: 0 when all is well, 1 for errors, 3 for warnings with --lint-fatal.")

    /// promtool's status for "only the linter complains".
    private static let lintStatus: Int32 = 3

    @Argument(help: "Files, or folders of them; none reads a rule file from standard input.")
    var paths: [String] = []

    @Option(name: .long, help: "What to warn of beside errors: all, duplicate-rules or none.")
    var lint: RuleLint = .duplicateRules

    @Flag(name: .long, help: "Fail with status 3 when there are warnings.")
    var lintFatal = false

    @Flag(name: .long, help: "Pass over keys of rule files that Prometheus does not know, as other tools add them.")
    var ignoreUnknownFields = false

    @Option(name: [.short, .long], help: "How to print the answer: table or json.")
    var output: OutputFormat = .table

    func run() throws {
        var content =
            paths.isEmpty
            ? RuleFiles.standardInput(ignoresUnknownFields: ignoreUnknownFields)
            : try RuleFiles.examine(paths, ignoresUnknownFields: ignoreUnknownFields)
        if lint == .none { content.findings.removeAll { $0.severity == .warning } }
        let errors = content.findings.count { $0.severity == .error }
        let warnings = content.findings.count - errors
        if output == .json {
            Terminal.write(json(content))
        } else {
            for finding in content.findings { Terminal.write("\(finding.severity.rawValue): \(finding)\n") }
            Terminal.write(
                "\(content.files) files: \(content.ruleCount) rules in \(content.groups.count) groups, "
                    + "\(content.remedies.count) remedies, \(errors) errors, \(warnings) warnings\n")
        }
        if errors > 0 { throw ExitCode(1) }
        if lintFatal, warnings > 0 { throw ExitCode(RulesCheckCommand.lintStatus) }
    }

    private func json(_ content: AlertingFiles.Content) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("files", content.files)
        writer.member("rules", content.ruleCount)
        writer.member("remedies", content.remedies.count)
        writer.key("findings")
        writer.beginArray()
        for finding in content.findings {
            writer.beginObject()
            writer.member("severity", finding.severity.rawValue)
            writer.member("text", finding.description)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.bytes + [UInt8(ascii: "\n")]
    }
}

/// `vedette rules list`: the rules of a running server.
struct RulesListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the rules that run.")

    @OptionGroup var client: ClientOptions

    func run() async throws {
        let data = try await ServerClient(client).data("/api/v1/rules")
        if client.output == .json {
            Terminal.write(data.encoded + [UInt8(ascii: "\n")])
            return
        }
        var table = TextTable(["group", "rule", "type", "state", "health", "query", "error"])
        for group in data["groups"]?.elements ?? [] {
            for rule in group["rules"]?.elements ?? [] {
                table.append([
                    group["name"]?.text ?? "", rule["name"]?.text ?? "", rule["type"]?.text ?? "",
                    rule["state"]?.text ?? "", rule["health"]?.text ?? "", rule["query"]?.text ?? "",
                    rule["lastError"]?.text ?? "",
                ])
            }
        }
        Terminal.write(table.isEmpty ? "no rules\n" : table.render())
    }
}
