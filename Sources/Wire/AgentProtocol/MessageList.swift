internal import Telemetry

/// A version byte, a count and length-prefixed items: the shape of command lists and report lists.
enum MessageList {
    /// Reads every item with `item`, which may leave the end of its item unread.
    static func read<Item>(
        _ bytes: [UInt8], itemsMaximum: Int, _ item: (inout ByteReader) throws(ByteError) -> Item
    ) throws(AgentProtocolError) -> [Item] {
        let result = bytes.withUnsafeBytes { raw in
            Result { () throws(AgentProtocolError) in
                do throws(ByteError) {
                    return try items(raw, itemsMaximum, item)
                } catch {
                    throw AgentProtocolError(error, in: raw)
                }
            }
        }
        return try result.get()
    }

    private static func items<Item>(
        _ raw: UnsafeRawBufferPointer, _ itemsMaximum: Int, _ item: (inout ByteReader) throws(ByteError) -> Item
    ) throws(ByteError) -> [Item] {
        var reader = ByteReader(raw)
        try reader.version()
        var items: [Item] = []
        for _ in 0..<(try reader.count(upTo: min(reader.remaining, itemsMaximum), "items")) {
            var part = ByteReader(try reader.prefixed())
            items.append(try item(&part))
        }
        guard reader.isAtEnd else { throw ByteError(offset: reader.offset, reason: "message goes on behind its items") }
        return items
    }
}
