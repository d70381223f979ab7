internal import Telemetry

/// The protocol's limits on text, labels and counts, so that no reader forgets one.
extension ByteReader {
    /// The first byte of a message; throws where this side does not read that version.
    mutating func version() throws(ByteError) {
        let version = try byte()
        guard version == AgentProtocol.version else {
            throw ByteError(offset: 0, reason: AgentProtocolError.versionReason)
        }
    }

    /// Short text.
    mutating func text() throws(ByteError) -> String {
        let start = offset
        let text = try string()
        guard text.utf8.count <= AgentProtocol.textBytesMaximum else {
            throw ByteError(offset: start, reason: "text is longer than \(AgentProtocol.textBytesMaximum) bytes")
        }
        return text
    }

    /// Labels within their limit.
    mutating func boundedLabels() throws(ByteError) -> Labels {
        let start = offset
        let labels = try labels()
        guard labels.encoded.count <= AgentProtocol.labelBytesMaximum else {
            throw ByteError(offset: start, reason: "labels are longer than \(AgentProtocol.labelBytesMaximum) bytes")
        }
        return labels
    }

    /// A number of items of which each takes at least one byte.
    mutating func itemCount(_ what: String) throws(ByteError) -> Int {
        try count(upTo: min(remaining, AgentProtocol.itemsMaximum), what)
    }

    /// A byte that is 0 or 1.
    mutating func flag() throws(ByteError) -> Bool {
        let start = offset
        let byte = try byte()
        guard byte <= 1 else { throw ByteError(offset: start, reason: "flag is neither 0 nor 1") }
        return byte == 1
    }

    /// A count that fits an `Int`.
    mutating func quantity(_ what: String) throws(ByteError) -> Int { try count(upTo: Int.max, what) }
}

extension ByteWriter {
    /// Appends 0 or 1.
    mutating func putFlag(_ flag: Bool) { put(flag ? 1 : 0) }

    /// Appends text, cut at a character so that it stays within the protocol's limit.
    mutating func putText(_ text: String) {
        guard text.utf8.count > AgentProtocol.textBytesMaximum else { return putString(text) }
        var length = 0
        let kept = text.prefix { character in
            length += character.utf8.count
            return length <= AgentProtocol.textBytesMaximum
        }
        putString(String(kept))
    }
}
