internal import Telemetry

/// Lists of `CommandReport` as bytes: what an agent posts about the commands it was given.
package enum CommandReportCodec {
    /// The bytes of `reports`, of which there are at most `AgentProtocol.commandsMaximum`.
    package static func encode(_ reports: [CommandReport]) -> [UInt8] {
        precondition(reports.count <= AgentProtocol.commandsMaximum, "too many reports in one message")
        var writer = ByteWriter()
        writer.put(AgentProtocol.version)
        writer.putVarint(UInt64(reports.count))
        for report in reports {
            var item = ByteWriter()
            item.putText(report.id)
            item.putString(report.outcome.rawValue)
            item.putText(report.reason)
            item.putPrefixed(report.facts.encoded)
            item.putSigned(report.nanoseconds)
            writer.putPrefixed(item.bytes)
        }
        return writer.bytes
    }

    /// The reports of `bytes`. What a newer agent put behind the known fields of one is passed over.
    package static func decode(_ bytes: [UInt8]) throws(AgentProtocolError) -> [CommandReport] {
        try MessageList.read(bytes, itemsMaximum: AgentProtocol.commandsMaximum) { reader throws(ByteError) in
            let id = try reader.text()
            let start = reader.offset
            guard let outcome = CommandReport.Outcome(rawValue: try reader.text()) else {
                throw ByteError(offset: start, reason: "unknown outcome")
            }
            return CommandReport(
                id: id, outcome: outcome, reason: try reader.text(), facts: try reader.boundedLabels(),
                nanoseconds: try reader.signed())
        }
    }
}
