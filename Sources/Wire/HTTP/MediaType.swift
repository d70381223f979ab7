/// A Content-Type: type and subtype in lower case, and parameters (RFC 9110 section 8.3.1).
package struct MediaType: Sendable, Equatable {
    /// "application/json"
    package var name: String
    /// Names in lower case; values without their quotes.
    package var parameters: [QueryString.Item]

    /// Parses a field's value; nil where there is no "type/subtype".
    package init?(parsing text: String) {
        let pieces = MediaType.pieces(of: text, separator: ";")
        guard let first = pieces.first else { return nil }
        let name = first.lowercased()
        let halves = name.split(separator: "/", omittingEmptySubsequences: false)
        guard halves.count == 2, halves.allSatisfy({ !$0.isEmpty && !$0.contains(" ") }) else { return nil }
        self.name = name
        parameters = pieces.dropFirst().compactMap { piece in
            guard let equals = piece.firstIndex(of: "=") else { return nil }
            let value = piece[piece.index(after: equals)...]
            return QueryString.Item(MediaType.trimmed(piece[..<equals]).lowercased(), MediaType.unquoted(value))
        }
    }

    /// The value of a parameter, for example `charset`.
    package subscript(parameter: String) -> String? { parameters.first { $0.name == parameter }?.value }

    /// Whether a reader that sends the Accept field `accept` wants `name`; absent or unreadable fields want everything.
    package static func isAccepted(_ name: String, by accept: String?) -> Bool {
        guard let accept, !accept.isEmpty else { return true }
        let wanted = pieces(of: accept, separator: ",").compactMap { MediaType(parsing: $0) }
        guard !wanted.isEmpty else { return true }
        let family = name.prefix { $0 != "/" } + "/*"
        return wanted.contains { ($0.name == name || $0.name == family || $0.name == "*/*") && $0["q"] != "0" }
    }

    /// Splits at separators outside quotes and trims white space.
    private static func pieces(of text: String, separator: Character) -> [String] {
        var pieces: [String] = []
        var piece = ""
        var isQuoted = false
        var isEscaped = false
        for character in text {
            if character == separator, !isQuoted {
                pieces.append(trimmed(piece[...]))
                piece = ""
                continue
            }
            if character == "\"", !isEscaped { isQuoted.toggle() }
            isEscaped = isQuoted && character == "\\" && !isEscaped
            piece.append(character)
        }
        pieces.append(trimmed(piece[...]))
        return pieces.filter { !$0.isEmpty }
    }

    private static func trimmed(_ text: Substring) -> String {
        let front = text.drop { $0 == " " || $0 == "\t" }
        guard let last = front.lastIndex(where: { $0 != " " && $0 != "\t" }) else { return "" }
        return String(front[...last])
    }

    private static func unquoted(_ text: Substring) -> String {
        let text = trimmed(text)
        guard text.count >= 2, text.hasPrefix("\""), text.hasSuffix("\"") else { return text }
        var result = ""
        var isEscaped = false
        for character in text.dropFirst().dropLast() {
            if character == "\\", !isEscaped {
                isEscaped = true
                continue
            }
            result.append(character)
            isEscaped = false
        }
        return result
    }
}
