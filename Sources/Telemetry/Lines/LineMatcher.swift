/// One line filter, compiled: a line passes when any of its alternatives is found, or, negated, none.
package struct LineMatcher: Sendable {
    private enum Alternative: Sendable {
        case text([UInt8])
        case expression(RegularExpression)
        case pattern(LinePattern)
        case address(AddressMatcher)
    }

    private let alternatives: [Alternative]
    private let isNegated: Bool
    /// Texts of which every passing line contains at least one; nil when there are no such texts.
    package let needles: [[UInt8]]?
    /// Whether containing one of the texts is all that the filter asks for.
    package let needlesDecide: Bool

    /// The length of the shortest text.
    package var needleBytesMinimum: Int { needles?.map(\.count).min() ?? 0 }

    /// Compiles a filter; throws when an expression or an address cannot be read.
    package init(_ predicate: LinePredicate) throws {
        isNegated = predicate.isNegated
        var alternatives: [Alternative] = []
        var needles: [[UInt8]?] = []
        for text in predicate.alternatives {
            let (alternative, needle) = try LineMatcher.compile(text, predicate)
            alternatives.append(alternative)
            needles.append(needle.flatMap { $0.isEmpty ? nil : $0 })
        }
        self.alternatives = alternatives
        let known = needles.compactMap { $0 }
        self.needles = !isNegated && !known.isEmpty && known.count == alternatives.count ? known : nil
        needlesDecide = predicate.kind == .contains && !predicate.foldsCase
    }

    private static func compile(_ text: String, _ predicate: LinePredicate) throws -> (Alternative, [UInt8]?) {
        switch predicate.kind {
        case .contains where predicate.foldsCase:
            return (.expression(try RegularExpression(LineMatcher.escaped(text), foldCase: true)), nil)
        case .contains:
            return (.text(Array(text.utf8)), Array(text.utf8))
        case .matchesRegex:
            let needle = predicate.foldsCase ? nil : RequiredLiteral.find(in: text).map { Array($0.utf8) }
            return (.expression(try RegularExpression(text, foldCase: predicate.foldsCase)), needle)
        case .matchesPattern:
            let pattern = LinePattern(text)
            return (.pattern(pattern), pattern.longestText)
        case .containsAddress:
            guard let matcher = AddressMatcher(text) else { throw LineMatcherError.address(text) }
            return (.address(matcher), nil)
        }
    }

    /// `text` as an expression that matches nothing else.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            if "\\.+*?()|[]{}^$".unicodeScalars.contains(scalar) { result += "\\" }
            result.unicodeScalars.append(scalar)
        }
        return result
    }

    /// Whether a line passes.
    package func matches(_ line: UnsafeRawBufferPointer) -> Bool {
        alternatives.contains { alternative in
            switch alternative {
            case .text(let text): line.offset(of: text) != nil
            case .expression(let expression): expression.matches(line)
            case .pattern(let pattern): pattern.matches(line)
            case .address(let matcher): matcher.matches(line)
            }
        } != isNegated
    }
}

/// Why a line predicate cannot be used.
enum LineMatcherError: Error, CustomStringConvertible {
    case address(String)

    var description: String {
        switch self {
        case .address(let text): "ip: “\(text)” is no address, range of addresses or CIDR block"
        }
    }
}
