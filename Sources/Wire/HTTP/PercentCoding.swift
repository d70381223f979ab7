internal import Telemetry

/// Percent-encoding of URLs (RFC 3986 section 2).
package enum PercentCoding {
    /// `text` with everything but unreserved characters (letters, digits, `-._~`) encoded: safe as a path segment, as a
    /// name or value of a query, and in a form.
    package static func encode(_ text: String) -> String {
        var result: [UInt8] = []
        for byte in text.utf8 {
            if isUnreserved(byte) {
                result.append(byte)
            } else {
                result.append(UInt8(ascii: "%"))
                result.append(contentsOf: [digit(byte >> 4), digit(byte & 0x0f)])
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// The text that `encoded` stands for; nil where a percent sign has no two digits behind it or the bytes are not
    /// UTF-8. With `plusIsSpace`, as forms and queries have it, "+" is a space.
    package static func decode(_ encoded: Substring.UTF8View, plusIsSpace: Bool) -> String? {
        var bytes: [UInt8] = []
        var index = encoded.startIndex
        while index < encoded.endIndex {
            let byte = encoded[index]
            index = encoded.index(after: index)
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte == UInt8(ascii: "+") && plusIsSpace ? 0x20 : byte)
                continue
            }
            guard index < encoded.endIndex, let high = Hexadecimal.value(of: encoded[index]) else { return nil }
            index = encoded.index(after: index)
            guard index < encoded.endIndex, let low = Hexadecimal.value(of: encoded[index]) else { return nil }
            index = encoded.index(after: index)
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    /// The text that `encoded` stands for, "+" left alone: for path segments.
    package static func decode(_ encoded: String) -> String? { decode(encoded[...].utf8, plusIsSpace: false) }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            true
        default: false
        }
    }

    private static func digit(_ nibble: UInt8) -> UInt8 {
        nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "A") + nibble - 10
    }
}
