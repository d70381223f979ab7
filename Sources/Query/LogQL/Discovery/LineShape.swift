internal import Telemetry

/// The shape of a line: its words, with `<_>` for those that change from line to line, as `|>` matches it.
///
/// A word that holds a digit changes (numbers, times, addresses, identifiers); the rest is what the program's author
/// wrote. Neighbouring changes become one, so that a shape is a valid pattern. Purely by the line itself: counts by
/// shape are exact, and two ranges of time have the same shapes.
package enum LineShape {
    /// What stands behind this many bytes is one change.
    private static let bytesMaximum = 1_024
    private static let change = Array("<_>".utf8)

    /// The shape of `line`.
    package static func pattern(of line: some Collection<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(min(line.count, bytesMaximum))
        var word: [UInt8] = []
        var isChanging = false
        var endsWithChange = false
        func close() {
            if isChanging {
                if !endsWithChange { result += change }
                endsWithChange = true
            } else if !word.isEmpty {
                result += word
                endsWithChange = false
            }
            word.removeAll(keepingCapacity: true)
            isChanging = false
        }
        for byte in line.prefix(bytesMaximum) {
            if isWordByte(byte) || isChanging && joinsNumbers(byte) {
                if byte &- UInt8(ascii: "0") < 10 { isChanging = true }
                word.append(byte)
            } else {
                close()
                result.append(byte)
                endsWithChange = false
            }
        }
        close()
        if line.count > bytesMaximum, !endsWithChange { result += change }
        return result
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 0x80...:
            true
        default: false
        }
    }

    /// What stands within numbers, times, addresses and identifiers: `12:30:01.5`, `10.0.0.7:80`, `7f9c-x2`. In
    /// front of the first digit it separates, so that `api-7f9c` is still an api.
    private static func joinsNumbers(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: ":"), UInt8(ascii: "+"), UInt8(ascii: "%"): true
        default: false
        }
    }
}
