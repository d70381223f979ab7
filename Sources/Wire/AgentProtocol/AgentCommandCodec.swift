internal import Telemetry

/// Lists of `AgentCommand` as bytes: the body of the answer to an agent that asks for commands.
package enum AgentCommandCodec {
    /// The bytes of `commands`, of which there are at most `AgentProtocol.commandsMaximum`.
    package static func encode(_ commands: [AgentCommand]) -> [UInt8] {
        precondition(commands.count <= AgentProtocol.commandsMaximum, "too many commands in one message")
        var writer = ByteWriter()
        writer.put(AgentProtocol.version)
        writer.putVarint(UInt64(commands.count))
        for command in commands {
            var item = ByteWriter()
            item.putText(command.id)
            item.putText(command.action)
            item.putText(command.target)
            item.putVarint(UInt64(command.arguments.count))
            for (name, value) in command.arguments.sorted(by: { $0.key < $1.key }) {
                item.putText(name)
                item.putText(value)
            }
            item.putSigned(command.expiresNanoseconds)
            item.putPrefixed(command.justification.encoded)
            writer.putPrefixed(item.bytes)
        }
        return writer.bytes
    }

    /// The commands of `bytes`. What a newer server put behind the known fields of one is passed over.
    package static func decode(_ bytes: [UInt8]) throws(AgentProtocolError) -> [AgentCommand] {
        try MessageList.read(bytes, itemsMaximum: AgentProtocol.commandsMaximum) { reader throws(ByteError) in
            let id = try reader.text()
            let action = try reader.text()
            let target = try reader.text()
            var arguments: [String: String] = [:]
            for _ in 0..<(try reader.count(upTo: min(reader.remaining, 256), "arguments")) {
                let name = try reader.text()
                arguments[name] = try reader.text()
            }
            return AgentCommand(
                id: id, action: action, target: target, arguments: arguments,
                expiresNanoseconds: try reader.signed(), justification: try reader.boundedLabels())
        }
    }
}
