package import Telemetry
internal import Wire

/// Matchers as Alertmanager's configuration and the silence API write them: `severity="page"`, `name=~web.*`,
/// `{a="b", c!="d"}`.
package enum MatcherText {
    /// The matchers in one text; throws a sentence that says what is wrong.
    package static func matchers(_ text: String) throws(MatcherTextError) -> [LabelMatcher] {
        var rest = Substring(text).trimmedSpaces
        if rest.hasPrefix("{") {
            guard rest.hasSuffix("}") else { throw MatcherTextError("\(text): the brace is not closed") }
            rest = rest.dropFirst().dropLast().trimmedSpaces
        }
        var result: [LabelMatcher] = []
        while !rest.isEmpty {
            result.append(try matcher(&rest, of: text))
            rest = rest.trimmedSpaces
            guard rest.hasPrefix(",") else { break }
            rest = rest.dropFirst().trimmedSpaces
        }
        guard rest.isEmpty else { throw MatcherTextError("\(text): a comma belongs before \"\(rest)\"") }
        return result
    }

    private static func matcher(_ rest: inout Substring, of text: String) throws(MatcherTextError) -> LabelMatcher {
        let name = try word(&rest, of: text) { !"=!~, \t".contains($0) }
        rest = rest.trimmedSpaces
        let operations: [LabelMatcher.Operation] = [.matchesRegex, .notMatchesRegex, .notEqual, .equal]
        guard !name.isEmpty, let operation = operations.first(where: { rest.hasPrefix($0.rawValue) }) else {
            throw MatcherTextError("\(text): write label=\"value\", with one of = != =~ !~ between them")
        }
        rest = rest.dropFirst(operation.rawValue.count).trimmedSpaces
        let value = try word(&rest, of: text) { $0 != "," }
        do throws(RegularExpressionError) {
            return try LabelMatcher(name, operation, value)
        } catch {
            throw MatcherTextError("\(text): \(error.description)")
        }
    }

    /// A quoted text, or characters as long as they may belong to a bare one.
    private static func word(
        _ rest: inout Substring, of text: String, _ isBare: (Character) -> Bool
    ) throws(MatcherTextError) -> String {
        guard rest.hasPrefix("\"") else {
            let bare = rest.prefix { isBare($0) }
            rest = rest.dropFirst(bare.count)
            return String(bare.trimmedSpaces)
        }
        rest.removeFirst()
        var result = ""
        while let character = rest.popFirst() {
            switch character {
            case "\"": return result
            case "\\":
                switch rest.popFirst() {
                case "n": result += "\n"
                case "t": result += "\t"
                case let next? where next == "\"" || next == "\\": result.append(next)
                case let next?: result += "\\\(next)"
                case nil: break
                }
            default: result.append(character)
            }
        }
        throw MatcherTextError("\(text): the quote is not closed")
    }
}

/// Why a text is no matcher.
package struct MatcherTextError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The text and what is wrong with it.
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}

extension Substring {
    fileprivate var trimmedSpaces: Substring {
        var rest = self
        while let first = rest.first, first.isWhitespace { rest.removeFirst() }
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return rest
    }
}

extension YAMLValue {
    /// The matchers of a list of texts, each with its own place in complaints.
    func matcherList() throws(ConfigurationError) -> [LabelMatcher] {
        var result: [LabelMatcher] = []
        let elements = (try? self.elements()) ?? [self]
        for element in elements {
            do throws(MatcherTextError) {
                result += try MatcherText.matchers((try? element.text()) ?? "")
            } catch {
                throw element.error(error.description)
            }
        }
        return result
    }
}
