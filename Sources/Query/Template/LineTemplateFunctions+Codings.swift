internal import Telemetry

/// Functions that read and write encodings: Base64, URLs, JSON.
extension LineTemplateFunctions {
    static let codings: [String: Function] = [
        "b64enc": texts(1) { .text(encoded(Array($0[0].utf8))) },
        // Missing padding is made up for, and an error stands in the text, as in Loki.
        "b64dec": texts(1) { texts in
            let rest = texts[0].utf8.count % 4
            let text = texts[0] + (rest > 1 ? String(repeating: "=", count: 4 - rest) : "")
            guard let bytes = decoded(text) else {
                let place = text.utf8.enumerated().first { !alphabet.contains($0.element) }?.offset ?? text.utf8.count
                return .text("illegal base64 data at input byte \(place)")
            }
            return .text(String(decoding: bytes, as: UTF8.self))
        },
        "urlencode": texts(1) { .text(TemplateFunctions.queryEscaped($0[0])) },
        "urldecode": texts(1) { (texts) throws(Failure) in
            guard let text = unescaped(texts[0]) else { throw Failure(message: "invalid URL escape") }
            return .text(text)
        },
        "fromJson": texts(1) { (texts) throws(Failure) in
            do throws(ByteError) {
                return value(of: try JSONValue(parsing: texts[0]))
            } catch {
                return .nothing
            }
        },
    ]

    private static func value(of json: JSONValue) -> TemplateValue {
        switch json {
        case .null: .nothing
        case .boolean(let flag): .boolean(flag)
        // Go reads every number as a float.
        case .integer(let number): .float(Double(number))
        case .number(let number): .float(number)
        case .string(let text): .text(text)
        case .array(let elements): .list(elements.map(value))
        case .object(let members):
            .object(Dictionary(members.map { ($0.key, value(of: $0.value)) }) { _, last in last })
        }
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    private static func encoded(_ bytes: [UInt8]) -> String {
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            let group = bytes[index..<min(index + 3, bytes.count)]
            let number = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
            for place in 0..<4 {
                let letter = alphabet[Int(number >> UInt32(18 - 6 * place) & 63)]
                result.append(place <= group.count ? letter : UInt8(ascii: "="))
            }
            index += 3
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func decoded(_ text: String) -> [UInt8]? {
        let letters = Array(text.utf8.filter { $0 != 0x0a && $0 != 0x0d })
        guard letters.count.isMultiple(of: 4) else { return nil }
        var result: [UInt8] = []
        for start in stride(from: 0, to: letters.count, by: 4) {
            let padding = letters[start..<start + 4].reversed().prefix { $0 == UInt8(ascii: "=") }.count
            guard padding <= 2, padding == 0 || start + 4 == letters.count else { return nil }
            var number: UInt32 = 0
            for place in 0..<4 {
                if place >= 4 - padding {
                    number <<= 6
                    continue
                }
                guard let value = alphabet.firstIndex(of: letters[start + place]) else { return nil }
                number = number << 6 | UInt32(value)
            }
            let bytes = [UInt8(truncatingIfNeeded: number >> 16), UInt8(truncatingIfNeeded: number >> 8)]
            result += (bytes + [UInt8(truncatingIfNeeded: number)]).prefix(3 - padding)
        }
        return result
    }

    private static func unescaped(_ text: String) -> String? {
        var result: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): result.append(0x20)
            case UInt8(ascii: "%"):
                guard let high = rest.popFirst().flatMap({ Hexadecimal.value(of: $0) }),
                    let low = rest.popFirst().flatMap({ Hexadecimal.value(of: $0) })
                else { return nil }
                result.append(high << 4 | low)
            default: result.append(byte)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
