internal import Telemetry

/// Functions of text: cases, regular expressions, host names, escaping, `printf`.
extension TemplateFunctions {
    static let text: [String: Function] = [
        "title": string { text in .text(title(text)) },
        "toUpper": string { text in .text(text.uppercased()) },
        "toLower": string { text in .text(text.lowercased()) },
        "trimSpace": string { text in .text(trimmed(text)) },
        "match": make(2...2) { (arguments, _) throws(Failure) in
            .boolean(try expression(arguments[0]).matches(try text(arguments[1])))
        },
        "reReplaceAll": make(3...3) { (arguments, _) throws(Failure) in
            let expression = try expression(arguments[0])
            return .text(replacing(expression, in: try text(arguments[2]), with: try text(arguments[1])))
        },
        "stripPort": string { text in .text(splitPort(text)?.host ?? text) },
        "stripDomain": string { text in .text(strippingDomain(text)) },
        "externalURL": make(0...0) { _, context in .text(context.data.externalURL) },
        "pathPrefix": make(0...0) { _, context in .text(path(of: context.data.externalURL)) },
        "graphLink": string { text in .text("/graph?g0.expr=\(queryEscaped(text))&g0.tab=0") },
        "tableLink": string { text in .text("/graph?g0.expr=\(queryEscaped(text))&g0.tab=1") },
        "urlQueryEscape": string { text in .text(queryEscaped(text)) },
        "urlquery": make(many) { arguments, _ in .text(queryEscaped(printed(arguments))) },
        "safeHtml": string { text in .text(text) },
        "html": make(many) { arguments, _ in .text(htmlEscaped(printed(arguments))) },
        "print": make(0...1000) { arguments, _ in .text(printed(arguments)) },
        "println": make(0...1000) { arguments, _ in
            .text(arguments.map(\.described).joined(separator: " ") + "\n")
        },
        "printf": make(many) { (arguments, _) throws(Failure) in
            .text(GoPrintf.text(try text(arguments[0]), Array(arguments.dropFirst())))
        },
    ]

    private static func expression(_ value: TemplateValue) throws(Failure) -> RegularExpression {
        do {
            return try RegularExpression(try text(value))
        } catch let error as RegularExpressionError {
            throw Failure(message: error.description)
        } catch let failure as Failure {
            throw failure
        } catch {
            throw Failure(message: "\(error)")
        }
    }

    /// Go's `Sprint`: a space between two operands that are both no text.
    private static func printed(_ arguments: [TemplateValue]) -> String {
        var result = ""
        var wasText = true
        for (index, argument) in arguments.enumerated() {
            let isText = if case .text = argument { true } else { false }
            if index > 0, !isText, !wasText { result += " " }
            result += argument.described
            wasText = isText
        }
        return result
    }

    /// The first letter of each word in upper case, the others as they are.
    private static func title(_ text: String) -> String {
        var result = ""
        var isInWord = false
        for character in text {
            let continues = character.isLetter || character.isNumber || character == "_" || character == "'"
            result += continues && !isInWord ? character.uppercased() : String(character)
            isInWord = continues
        }
        return result
    }

    private static func trimmed(_ text: String) -> String {
        var rest = text[...]
        while let first = rest.first, first.isWhitespace { rest.removeFirst() }
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return String(rest)
    }

    // MARK: Replacing

    /// Go's `ReplaceAllString`: `$1`, `${1}`, `$name` and `${name}` stand for groups, `$$` for a dollar sign.
    static func replacing(
        _ expression: RegularExpression, in text: String, with template: String
    ) -> String {
        let bytes = Array(text.utf8)
        let pieces = ReplacementPiece.pieces(of: template, groupNames: expression.groupNames)
        var result: [UInt8] = []
        bytes.withUnsafeBytes { raw in
            var searched = 0
            var copied = 0
            var previousEnd = -1
            while searched <= raw.count, let groups = expression.firstMatch(in: raw, from: searched) {
                guard let match = groups[0] else { break }
                result += raw[copied..<match.lowerBound]
                // An empty match right behind a match is none, as in Go.
                if !(match.isEmpty && match.upperBound == previousEnd) {
                    for piece in pieces {
                        switch piece {
                        case .literal(let literal): result += literal
                        case .group(let index):
                            if index < groups.count, let range = groups[index] { result += raw[range] }
                        }
                    }
                }
                previousEnd = match.upperBound
                copied = match.upperBound
                searched = match.upperBound
                if match.isEmpty {
                    let next = nextScalar(in: raw, at: searched)
                    result += raw[searched..<next]
                    copied = next
                    searched = next == searched ? raw.count + 1 : next
                }
            }
            if copied < raw.count { result += raw[copied...] }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func nextScalar(in raw: UnsafeRawBufferPointer, at offset: Int) -> Int {
        var next = min(offset + 1, raw.count)
        while next < raw.count, raw[next] & 0xc0 == 0x80 { next += 1 }
        return next
    }

    // MARK: Addresses

    private static func splitPort(_ text: String) -> (host: String, port: String)? {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let host = text[..<colon]
        let port = String(text[text.index(after: colon)...])
        if host.hasPrefix("["), host.hasSuffix("]") { return (String(host.dropFirst().dropLast()), port) }
        return host.contains(":") || host.contains("[") ? nil : (String(host), port)
    }

    private static func strippingDomain(_ text: String) -> String {
        let split = splitPort(text)
        let host = split?.host ?? text
        let isAddress = host.contains(":") || host.split(separator: ".").allSatisfy { Int($0) != nil }
        if isAddress { return text }
        let short = host.prefix { $0 != "." }
        return split.map { "\(short):\($0.port)" } ?? String(short)
    }

    private static func path(of url: String) -> String {
        guard let scheme = url.firstRange(of: "://") else { return url }
        let rest = url[scheme.upperBound...]
        return rest.firstIndex(of: "/").map { String(rest[$0...]) } ?? ""
    }

    // MARK: Escaping

    static func queryEscaped(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            case UInt8(ascii: " "): result += "+"
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                result += "%" + (digits.count < 2 ? "0" : "") + digits
            }
        }
        return result
    }

    private static func htmlEscaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "&#34;"
            case "'": result += "&#39;"
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\0": result += "\u{fffd}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

/// A piece of the text that a match is replaced with.
private enum ReplacementPiece {
    case literal([UInt8])
    case group(Int)

    static func pieces(of template: String, groupNames: [String?]) -> [ReplacementPiece] {
        var pieces: [ReplacementPiece] = []
        var rest = Array(template.utf8)[...]
        let dollar = UInt8(ascii: "$")
        while !rest.isEmpty {
            let literal = rest.prefix { $0 != dollar }
            if !literal.isEmpty { pieces.append(.literal(Array(literal))) }
            rest = rest.dropFirst(literal.count)
            guard !rest.isEmpty else { break }
            rest = rest.dropFirst()
            if rest.first == dollar {
                pieces.append(.literal([dollar]))
                rest = rest.dropFirst()
                continue
            }
            let isBraced = rest.first == UInt8(ascii: "{")
            let body = isBraced ? rest.dropFirst() : rest
            let name = body.prefix { $0.isGroupNameByte }
            let behind = body.dropFirst(name.count)
            guard !name.isEmpty, !isBraced || behind.first == UInt8(ascii: "}") else {
                pieces.append(.literal([dollar]))
                continue
            }
            rest = isBraced ? behind.dropFirst() : behind
            let text = String(decoding: name, as: UTF8.self)
            // A name that no group has stands for nothing, as in Go.
            if let index = Int(text) ?? groupNames.firstIndex(of: text).map({ $0 + 1 }) {
                pieces.append(.group(index))
            }
        }
        return pieces
    }
}

extension UInt8 {
    fileprivate var isGroupNameByte: Bool {
        self == UInt8(ascii: "_") || (self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9"))
            || (self | 0x20 >= UInt8(ascii: "a") && self | 0x20 <= UInt8(ascii: "z"))
    }
}
