internal import ArgumentParser
internal import Telemetry

/// `vedette alerts`: what is wrong now.
struct AlertsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alerts",
        abstract: "List pending and firing alerts.")

    @OptionGroup var client: ClientOptions

    func run() async throws {
        let data = try await ServerClient(client).data("/api/v1/alerts")
        if client.output == .json {
            Terminal.write(data.encoded + [UInt8(ascii: "\n")])
            return
        }
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
