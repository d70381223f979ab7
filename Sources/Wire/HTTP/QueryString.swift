/// The names and values of a URL's query or of a form body (`application/x-www-form-urlencoded`), in order.
package struct QueryString: Sendable, Equatable {
    /// One name and its value.
    package struct Item: Sendable, Equatable {
        package var name: String
        package var value: String

        /// An item.
        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// Why text is no query.
    package struct Malformed: Error, Equatable, CustomStringConvertible {
        /// Go's words: "invalid URL escape \"%zz\"", or "too many parameters".
        package let description: String
    }

    /// The most items of one query; more are refused.
    package static let itemsMaximum = 10_000

    package var items: [Item]

    /// A query of `items`.
    package init(_ items: [Item] = []) {
        self.items = items
    }

    /// Parses what stands behind "?" or in a form's body. A name without "=" has an empty value.
    package init(parsing text: String) throws(Malformed) {
        items = []
        for piece in text.utf8.split(separator: UInt8(ascii: "&")) {
            guard items.count < QueryString.itemsMaximum else {
                throw Malformed(description: "too many parameters")
            }
            let equals = piece.firstIndex(of: UInt8(ascii: "=")) ?? piece.endIndex
            let name = piece[..<equals]
            let value = equals < piece.endIndex ? piece[piece.index(after: equals)...] : piece[piece.endIndex...]
            items.append(Item(try QueryString.decoded(name), try QueryString.decoded(value)))
        }
    }

    /// Parses a form's body.
    package init(form body: [UInt8]) throws(Malformed) {
        guard let text = String(validating: body, as: UTF8.self) else {
            throw Malformed(description: "form is not UTF-8")
        }
        try self.init(parsing: text)
    }

    /// The first value of `name`, nil when absent.
    package subscript(name: String) -> String? { items.first { $0.name == name }?.value }

    /// All values of `name`, in order, for parameters such as `match[]`.
    package func values(of name: String) -> [String] { items.filter { $0.name == name }.map(\.value) }

    /// The encoded text, without "?".
    package var encoded: String {
        items.map { "\(PercentCoding.encode($0.name))=\(PercentCoding.encode($0.value))" }.joined(separator: "&")
    }

    /// A request target's path, not decoded, and its query.
    package static func split(target: String) throws(Malformed) -> (path: String, query: QueryString) {
        let withoutFragment = target.prefix { $0 != "#" }
        guard let mark = withoutFragment.firstIndex(of: "?") else { return (String(withoutFragment), QueryString()) }
        let query = withoutFragment[withoutFragment.index(after: mark)...]
        return (String(withoutFragment[..<mark]), try QueryString(parsing: String(query)))
    }

    private static func decoded(_ piece: Substring.UTF8View) throws(Malformed) -> String {
        guard let text = PercentCoding.decode(piece, plusIsSpace: true) else {
            let bad = String(decoding: piece.drop { $0 != UInt8(ascii: "%") }.prefix(3), as: UTF8.self)
            throw Malformed(description: "invalid URL escape \"\(bad)\"")
        }
        return text
    }
}
