internal import ArgumentParser
internal import Telemetry

/// `vedette alerts`: what is wrong now.
struct AlertsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alerts",
        abstract: "List pending and firing alerts, and messages about them that did not arrive.")

    @OptionGroup var client: ClientOptions

    func run() async throws {
        let server = try ServerClient(client)
        let data = try await server.data("/api/v1/alerts")
        let messages = try await server.data("/api/v1/notifications")["notifications"]?.elements ?? []
        let undelivered = messages.filter(AlertsCommand.isUndelivered)
        if client.output == .json {
            let both = (data.members ?? []) + [JSONValue.Member("undelivered", .array(undelivered))]
            Terminal.write(JSONValue.object(both).encoded + [UInt8(ascii: "\n")])
            return
        }
        write(alerts: data)
        write(undelivered: undelivered)
    }

    /// A message that was tried and did not arrive, or was given up. One that was never tried is on its way.
    private static func isUndelivered(_ message: JSONValue) -> Bool {
        switch message["state"]?.text {
        case "dead": true
        case "queued": message["attempts"]?.elements?.isEmpty == false
        default: false
        }
    }

    private func write(undelivered: [JSONValue]) {
        guard !undelivered.isEmpty else { return }
        var table = TextTable(["not told", "about", "since", "attempts", "next", "last answer"])
        for message in undelivered {
            let attempts = message["attempts"]?.elements ?? []
            let forgotten: Int64 = if case .integer(let count)? = message["attemptsForgotten"] { count } else { 0 }
            let about = message["alerts"]?.elements?.compactMap { $0["alertname"]?.text } ?? []
            let isDead = message["state"]?.text == "dead"
            table.append([
                "\(message["receiver"]?.text ?? "")/\(message["integration"]?.text ?? "")",
                "\(Set(about).sorted().joined(separator: ", ")) \(message["status"]?.text ?? "")",
                message["createdAt"]?.text ?? "", String(Int64(attempts.count) + forgotten),
                isDead ? "given up" : message["nextAttemptAt"]?.text ?? "now", attempts.last?["detail"]?.text ?? "",
            ])
        }
        Terminal.write("\n" + table.render())
    }

    private func write(alerts data: JSONValue) {
        var table = TextTable(["state", "since", "alert", "labels", "summary"])
        let now = SystemWallClock().nowNanoseconds
        for alert in data["alerts"]?.elements ?? [] {
            let labels = alert["labels"]?.members ?? []
            let name = labels.first { $0.key == "alertname" }?.value.text ?? ""
            let since = alert["activeAt"]?.text.flatMap { Timestamps.nanoseconds(rfc3339: $0) }
            let age = since.map { Durations.prometheus(milliseconds: max(0, (now - $0) / 1_000_000_000 * 1_000)) } ?? ""
            let shown = labels.filter { $0.key != "alertname" && $0.key != "id" }
                .map { "\($0.key)=\($0.value.text ?? "")" }.joined(separator: " ")
            table.append([alert["state"]?.text ?? "", age, name, shown, alert["annotations"]?["summary"]?.text ?? ""])
        }
        Terminal.write(table.isEmpty ? "no alerts\n" : table.render())
    }
}
