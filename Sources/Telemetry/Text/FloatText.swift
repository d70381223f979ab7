internal import Glibc

/// Doubles as text, digit for digit as Go's `strconv` writes and reads them, which is what Prometheus and Loki do.
package enum FloatText {
    /// The shortest digits that read back as `value`, without an exponent (`strconv.FormatFloat(v, 'f', -1, 64)`):
    /// how PromQL prints values, "100000000000000000000", "0.000001", "+Inf", "NaN".
    package static func plain(_ value: Double) -> String {
        var bytes: [UInt8] = []
        appendPlain(value, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The shortest digits, with an exponent where it is below -4 or at least 6 (`'g', -1`): the text format of
    /// `/metrics`.
    package static func general(_ value: Double) -> String {
        var bytes: [UInt8] = []
        appendGeneral(value, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The shortest digits, always with an exponent (`'e', -1`): "1e+00", "5.123e-05", "+Inf".
    package static func exponential(_ value: Double) -> String {
        var bytes: [UInt8] = []
        if value.isFinite { Digits(value).appendWithExponent(to: &bytes) } else { _ = appendSpecial(value, to: &bytes) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// How Prometheus' HTTP API prints a value: plain, but with an exponent below 1e-6 and from 1e21 on.
    package static func appendAnswer(_ value: Double, to target: inout [UInt8]) {
        let magnitude = value.magnitude
        if value.isFinite, magnitude != 0, magnitude < 1e-6 || magnitude >= 1e21 {
            let digits = Digits(value)
            digits.appendWithExponent(to: &target)
        } else {
            appendPlain(value, to: &target)
        }
    }

    /// Appends `plain(value)`.
    package static func appendPlain(_ value: Double, to target: inout [UInt8]) {
        if appendSpecial(value, to: &target) || appendDescription(value, to: &target) { return }
        Digits(value).appendPlain(to: &target)
    }

    /// Appends `general(value)`.
    package static func appendGeneral(_ value: Double, to target: inout [UInt8]) {
        if value.magnitude < 1e6 || !value.isFinite, appendSpecial(value, to: &target) { return }
        let digits = Digits(value)
        if digits.exponent < -4 || digits.exponent >= 6 {
            digits.appendWithExponent(to: &target)
        } else {
            digits.appendPlain(to: &target)
        }
    }

    /// `printf`'s `%.<precision>f`, `e` or `g` as Go prints them; `verb` is one of these three letters.
    package static func formatted(_ value: Double, verb: Character, precision: Int) -> String {
        var special: [UInt8] = []
        if !value.isFinite, appendSpecial(value, to: &special) { return String(decoding: special, as: UTF8.self) }
        let format = "%.\(min(max(precision, 0), 400))\(verb == "e" || verb == "g" ? verb : "f")"
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1024) { buffer in
            let length = withVaList([value]) { vsnprintf(buffer.baseAddress, buffer.count, format, $0) }
            let written = buffer[..<min(Int(length), buffer.count - 1)]
            return String(decoding: written.lazy.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }

    /// The value of decimal or hexadecimal text, "Inf", "+inf", "-Infinity" or "NaN" in any case; nil for other text.
    /// A number too large for a double is nil too, as it is an error in Go.
    package static func parse(_ text: String) -> Double? {
        var text = text
        return text.withUTF8 { parse(UnsafeRawBufferPointer($0)) }
    }

    /// The value of `bytes`, see `parse(_: String)`.
    package static func parse(_ bytes: UnsafeRawBufferPointer) -> Double? {
        if let exact = exactDecimal(bytes) { return exact }
        guard let first = bytes.first, first > 0x20, first < 0x7f, bytes.count <= 4096 else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        guard !text.contains("("), let value = Double(text) else { return nil }
        if value.isInfinite {
            let hasDigit = bytes.contains { $0 &- UInt8(ascii: "0") < 10 }
            return hasDigit ? nil : value
        }
        if value.isNaN { return text.lowercased() == "nan" ? .nan : nil }
        return value
    }

    /// Up to 15 digits and a power of ten up to 22 are exact in one operation (Clinger 1990); nil for all other text.
    private static func exactDecimal(_ bytes: UnsafeRawBufferPointer) -> Double? {
        var index = 0
        let isNegative = bytes.first == UInt8(ascii: "-")
        if isNegative { index = 1 }
        var mantissa: UInt64 = 0
        var digits = 0
        var fraction = 0
        var hasPoint = false
        while index < bytes.count {
            let byte = bytes[index]
            let digit = byte &- UInt8(ascii: "0")
            if digit < 10 {
                mantissa = mantissa * 10 + UInt64(digit)
                digits += 1
                fraction += hasPoint ? 1 : 0
                if digits > 15 { return nil }
            } else if byte == UInt8(ascii: "."), !hasPoint {
                hasPoint = true
            } else {
                return nil
            }
            index += 1
        }
        guard digits > 0 else { return nil }
        let value = Double(mantissa) / powersOfTen[fraction]
        return isNegative ? -value : value
    }

    private static let powersOfTen: [Double] = [
        1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
    ]

    private static func appendSpecial(_ value: Double, to target: inout [UInt8]) -> Bool {
        if value.isNaN {
            target.append(contentsOf: "NaN".utf8)
        } else if value.isInfinite {
            target.append(contentsOf: (value < 0 ? "-Inf" : "+Inf").utf8)
        } else if value.magnitude < 1e15, value == value.rounded(.towardZero), value != 0 || value.sign == .plus {
            // Whole numbers are most of what is printed.
            if value < 0 { target.append(UInt8(ascii: "-")) }
            IntegerText.append(UInt64(value.magnitude), to: &target)
        } else {
            return appendDecimal(value, to: &target)
        }
        return true
    }

    /// Appends Swift's own description, which is the shortest that reads back; false where that has an exponent.
    private static func appendDescription(_ value: Double, to target: inout [UInt8]) -> Bool {
        let start = target.count
        var sink = DescriptionSink(bytes: [])
        swap(&sink.bytes, &target)
        value.write(to: &sink)
        swap(&sink.bytes, &target)
        let end = target.count
        if target[start...].contains(UInt8(ascii: "e")) {
            target.removeLast(end - start)
            return false
        }
        // Whole numbers come with a decimal that is 0.
        let hasDecimal = target[end - 1] != UInt8(ascii: "0") || target[end - 2] != UInt8(ascii: ".")
        if !hasDecimal { target.removeLast(2) }
        return true
    }

    /// Takes a description without a string in between.
    private struct DescriptionSink: TextOutputStream {
        var bytes: [UInt8]

        mutating func write(_ text: String) { bytes.append(contentsOf: text.utf8) }

        /// What the standard library calls for text that is ASCII; `write` where it does not.
        mutating func _writeASCII(_ text: UnsafeBufferPointer<UInt8>) { bytes.append(contentsOf: text) }
    }

    /// Appends a value that has at most four decimals and fifteen digits; false for another. Among so few digits only
    /// one text reads back as the value, so the first that does is the shortest.
    private static func appendDecimal(_ value: Double, to target: inout [UInt8]) -> Bool {
        let magnitude = value.magnitude
        guard magnitude < 1e10, magnitude >= 1e-4 else { return false }
        for decimals in 1...4 {
            let power = powersOfTen[decimals]
            let scaled = (magnitude * power).rounded()
            guard scaled / power == magnitude else { continue }
            let (whole, fraction) = UInt64(scaled).quotientAndRemainder(dividingBy: UInt64(power))
            if value < 0 { target.append(UInt8(ascii: "-")) }
            IntegerText.append(whole, to: &target)
            target.append(UInt8(ascii: "."))
            var unit = UInt64(power) / 10
            while unit > 0 {
                target.append(UInt8(ascii: "0") + UInt8(fraction / unit % 10))
                unit /= 10
            }
            return true
        }
        return false
    }
}

extension FloatText {
    /// The shortest decimal digits of a finite double: value = 0.d1 d2 d3… * 10^(exponent + 1), sign apart.
    private struct Digits {
        var isNegative: Bool
        var digits: [UInt8] = []
        /// The power of ten of the first digit.
        var exponent = 0

        /// Takes the digits from Swift's own description, which is the shortest that reads back.
        init(_ value: Double) {
            isNegative = value.sign == .minus
            var point: Int?
            var power = 0
            var text = value.magnitude.description
            text.withUTF8 { bytes in
                for (index, byte) in bytes.enumerated() {
                    if byte == UInt8(ascii: ".") {
                        point = digits.count
                    } else if byte | 0x20 == UInt8(ascii: "e") {
                        let tail = UnsafeBufferPointer(rebasing: bytes[(index + 1)...])
                        power = Int(IntegerText.parse(UnsafeRawBufferPointer(tail)) ?? 0)
                        break
                    } else {
                        digits.append(byte)
                    }
                }
            }
            exponent = (point ?? digits.count) - 1 + power
            let leading = digits.prefix { $0 == UInt8(ascii: "0") }.count
            digits.removeFirst(leading)
            exponent -= leading
            while digits.last == UInt8(ascii: "0") { digits.removeLast() }
            if digits.isEmpty {
                digits = [UInt8(ascii: "0")]
                exponent = 0
            }
        }

        func appendPlain(to target: inout [UInt8]) {
            let zero = UInt8(ascii: "0")
            if isNegative { target.append(UInt8(ascii: "-")) }
            if exponent < 0 {
                target.append(contentsOf: [zero, UInt8(ascii: ".")])
                target.append(contentsOf: repeatElement(zero, count: -exponent - 1))
                target.append(contentsOf: digits)
                return
            }
            let whole = exponent + 1
            target.append(contentsOf: digits.prefix(whole))
            target.append(contentsOf: repeatElement(zero, count: max(0, whole - digits.count)))
            if digits.count > whole {
                target.append(UInt8(ascii: "."))
                target.append(contentsOf: digits.dropFirst(whole))
            }
        }

        func appendWithExponent(to target: inout [UInt8]) {
            if isNegative { target.append(UInt8(ascii: "-")) }
            target.append(digits[0])
            if digits.count > 1 {
                target.append(UInt8(ascii: "."))
                target.append(contentsOf: digits.dropFirst())
            }
            target.append(UInt8(ascii: "e"))
            target.append(exponent < 0 ? UInt8(ascii: "-") : UInt8(ascii: "+"))
            let magnitude = exponent.magnitude
            if magnitude < 10 { target.append(UInt8(ascii: "0")) }
            target.append(contentsOf: String(magnitude).utf8)
        }
    }
}
