/// Writes logfmt: keys without what would end them, values quoted only where they need it, as go-logfmt does.
package struct LogfmtWriter: Sendable {
    /// What was written so far.
    package private(set) var bytes: [UInt8] = []

    /// An empty line.
    package init() {}

    /// Adds `key=value`. Bytes that a key cannot hold become underscores.
    package mutating func pair(_ key: String, _ value: String) {
        if !bytes.isEmpty { bytes.append(0x20) }
        for byte in key.utf8 {
            let isAllowed = byte > 0x20 && byte != UInt8(ascii: "=") && byte != UInt8(ascii: "\"") && byte != 0x7f
            bytes.append(isAllowed ? byte : UInt8(ascii: "_"))
        }
        bytes.append(UInt8(ascii: "="))
        let needsQuotes = value.utf8.contains {
            $0 <= 0x20 || $0 == UInt8(ascii: "=") || $0 == UInt8(ascii: "\"") || $0 == 0x7f
        }
        if needsQuotes {
            var writer = JSONWriter(ByteWriter(adopting: bytes))
            bytes = []
            writer.string(value)
            bytes = writer.bytes
        } else {
            bytes.append(contentsOf: value.utf8)
        }
    }

    /// The line.
    package var text: String { String(decoding: bytes, as: UTF8.self) }
}
