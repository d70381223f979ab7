internal import Telemetry

/// Functions of text.
extension LineTemplateFunctions {
    static let text: [String: Function] = [
        "__line__": make(0...0) { _, context in .text(context.line?.string ?? "") },
        "lower": texts(1) { .text($0[0].lowercased()) },
        "ToLower": texts(1) { .text($0[0].lowercased()) },
        "upper": texts(1) { .text($0[0].uppercased()) },
        "ToUpper": texts(1) { .text($0[0].uppercased()) },
        "title": texts(1) { .text(titled($0[0])) },
        "Replace": make(4...4) { (arguments, _) throws(Failure) in
            let count = integer(arguments[3])
            return .text(
                replaced(
                    try TemplateFunctions.text(arguments[0]), try TemplateFunctions.text(arguments[1]),
                    try TemplateFunctions.text(arguments[2]), count < 0 ? .max : Int(clamping: count)))
        },
        "replace": texts(3) { .text(replaced($0[2], $0[0], $0[1], .max)) },
        "Trim": texts(2) { .text(trimmed($0[0], $0[1])) },
        "trimAll": texts(2) { .text(trimmed($0[1], $0[0])) },
        "TrimLeft": texts(2) { .text(trimmed($0[0], $0[1], right: false)) },
        "TrimRight": texts(2) { .text(trimmed($0[0], $0[1], left: false)) },
        "TrimPrefix": texts(2) { .text(withoutPrefix($0[0], $0[1])) },
        "trimPrefix": texts(2) { .text(withoutPrefix($0[1], $0[0])) },
        "TrimSuffix": texts(2) { .text(withoutSuffix($0[0], $0[1])) },
        "trimSuffix": texts(2) { .text(withoutSuffix($0[1], $0[0])) },
        "TrimSpace": texts(1) { .text(trimmed($0[0])) },
        "trim": texts(1) { .text(trimmed($0[0])) },
        "hasPrefix": texts(2) { .boolean($0[1].utf8.starts(with: $0[0].utf8)) },
        "hasSuffix": texts(2) { .boolean($0[1].utf8.reversed().starts(with: $0[0].utf8.reversed())) },
        "contains": texts(2) { .boolean($0[0].isEmpty || $0[1].contains($0[0])) },
        "indent": make(2...2) { (arguments, _) throws(Failure) in
            .text(indented(try TemplateFunctions.text(arguments[1]), try width(arguments[0])))
        },
        "nindent": make(2...2) { (arguments, _) throws(Failure) in
            .text("\n" + indented(try TemplateFunctions.text(arguments[1]), try width(arguments[0])))
        },
        "repeat": make(2...2) { (arguments, _) throws(Failure) in
            let text = try TemplateFunctions.text(arguments[1])
            let count = try width(arguments[0])
            guard count * text.utf8.count <= TemplateEvaluator.outputBytesMaximum else {
                throw Failure(message: "the text grows over \(TemplateEvaluator.outputBytesMaximum) bytes")
            }
            return .text(String(repeating: text, count: count))
        },
        "trunc": make(2...2) { (arguments, _) throws(Failure) in
            .text(truncated(try TemplateFunctions.text(arguments[1]), integer(arguments[0])))
        },
        "substr": make(3...3) { (arguments, _) throws(Failure) in
            .text(part(try TemplateFunctions.text(arguments[2]), integer(arguments[0]), integer(arguments[1])))
        },
        "alignLeft": make(2...2) { (arguments, _) throws(Failure) in
            let text = try TemplateFunctions.text(arguments[1])
            if integer(arguments[0]) < 0 { return .text(text) }
            return .text(aligned(text, try width(arguments[0]), isLeft: true))
        },
        "alignRight": make(2...2) { (arguments, _) throws(Failure) in
            let text = try TemplateFunctions.text(arguments[1])
            if integer(arguments[0]) < 0 { return .text(text) }
            return .text(aligned(text, try width(arguments[0]), isLeft: false))
        },
        "regexReplaceAll": texts(3) { (texts) throws(Failure) in
            .text(TemplateFunctions.replacing(try expression(texts[0]), in: texts[1], with: texts[2]))
        },
        "regexReplaceAllLiteral": texts(3) { (texts) throws(Failure) in
            let literal = replaced(texts[2], "$", "$$", .max)
            return .text(TemplateFunctions.replacing(try expression(texts[0]), in: texts[1], with: literal))
        },
        "count": texts(2) { (texts) throws(Failure) in .integer(matches(try expression(texts[0]), in: texts[1])) },
        "default": make(2...2) { arguments, _ in arguments[1].isTrue ? arguments[1] : arguments[0] },
    ]

    private static func expression(_ pattern: String) throws(Failure) -> RegularExpression {
        do throws(RegularExpressionError) {
            return try RegularExpression(pattern)
        } catch {
            throw Failure(message: error.description)
        }
    }

    private static func matches(_ expression: RegularExpression, in text: String) -> Int64 {
        var text = text
        return text.withUTF8 { bytes in
            let raw = UnsafeRawBufferPointer(bytes)
            var count: Int64 = 0
            var position = 0
            while position <= raw.count, let match = expression.firstMatch(in: raw, from: position)?[0] {
                count += 1
                position = match.isEmpty ? match.upperBound + 1 : match.upperBound
            }
            return count
        }
    }

    /// A count that a text may be as wide as.
    private static func width(_ value: TemplateValue) throws(Failure) -> Int {
        let number = integer(value)
        guard number >= 0, number <= TemplateEvaluator.outputBytesMaximum else {
            throw Failure(message: "\(number) is no width")
        }
        return Int(number)
    }

    private static func titled(_ text: String) -> String {
        var result = ""
        var isInWord = false
        for character in text {
            let continues = character.isLetter || character.isNumber || character == "_" || character == "'"
            result += continues && !isInWord ? character.uppercased() : String(character)
            isInWord = continues
        }
        return result
    }

    /// The first `count` occurrences of `old` replaced; an empty one stands between all characters, as in Go.
    private static func replaced(_ text: String, _ old: String, _ new: String, _ count: Int) -> String {
        var result = ""
        var left = count
        if old.isEmpty {
            for character in text.unicodeScalars {
                if left > 0 { result += new }
                left -= 1
                result.unicodeScalars.append(character)
            }
            return left > 0 ? result + new : result
        }
        var rest = text[...]
        while left > 0, let range = rest.firstRange(of: old) {
            result += rest[..<range.lowerBound] + new
            rest = rest[range.upperBound...]
            left -= 1
        }
        return result + rest
    }

    private static func trimmed(_ text: String, _ set: String, left: Bool = true, right: Bool = true) -> String {
        let set = Set(set.unicodeScalars)
        var rest = text.unicodeScalars[...]
        while left, let first = rest.first, set.contains(first) { rest.removeFirst() }
        while right, let last = rest.last, set.contains(last) { rest.removeLast() }
        return String(rest)
    }

    private static func trimmed(_ text: String) -> String {
        var rest = text.unicodeScalars[...]
        while let first = rest.first, first.properties.isWhitespace { rest.removeFirst() }
        while let last = rest.last, last.properties.isWhitespace { rest.removeLast() }
        return String(rest)
    }

    private static func withoutPrefix(_ text: String, _ prefix: String) -> String {
        text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : text
    }

    private static func withoutSuffix(_ text: String, _ suffix: String) -> String {
        text.hasSuffix(suffix) ? String(text.dropLast(suffix.count)) : text
    }

    private static func indented(_ text: String, _ width: Int) -> String {
        let blanks = String(repeating: " ", count: width)
        return blanks + replaced(text, "\n", "\n" + blanks, .max)
    }

    /// The first `count` characters, or the last ones where it is negative.
    private static func truncated(_ text: String, _ count: Int64) -> String {
        let scalars = text.unicodeScalars
        let wanted = Int(clamping: count.magnitude)
        guard wanted < scalars.count else { return text }
        return String(String.UnicodeScalarView(count < 0 ? scalars.suffix(wanted) : scalars.prefix(wanted)))
    }

    /// The characters from `start` to before `end`; a negative start is the beginning, a bad end the end.
    private static func part(_ text: String, _ start: Int64, _ end: Int64) -> String {
        let scalars = Array(text.unicodeScalars)
        let lower = min(max(0, Int(clamping: start)), scalars.count)
        let upper = end < 0 || end > scalars.count ? scalars.count : Int(end)
        guard lower < upper else { return "" }
        return String(String.UnicodeScalarView(scalars[lower..<upper]))
    }

    /// Cut or filled with blanks to `width` characters.
    private static func aligned(_ text: String, _ width: Int, isLeft: Bool) -> String {
        let scalars = text.unicodeScalars
        let blanks = String(repeating: " ", count: max(0, width - scalars.count))
        if isLeft { return String(String.UnicodeScalarView(scalars.prefix(width))) + blanks }
        return blanks + String(String.UnicodeScalarView(scalars.suffix(width)))
    }
}
