internal import Foundation

/// The golden lines of a page in docs/formats: `golden: <what> -> <hexadecimal digits>`. A test encodes what the page names
/// and compares, so that neither the page nor the code can change alone.
package struct GoldenPage: Sendable {
    /// Why a page could not be used.
    package struct Missing: Error, CustomStringConvertible {
        package let description: String
    }

    /// The page's golden bytes by what they are.
    package let bytes: [String: [UInt8]]

    /// Reads docs/formats/`name`.md of this work tree.
    package init(_ name: String) throws {
        let root = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let page = root.appendingPathComponent("docs/formats/\(name).md")
        try self.init(text: String(contentsOf: page, encoding: .utf8))
    }

    /// Reads the lines of `text`; throws where a line that begins with "golden:" has another shape.
    package init(text: String) throws {
        var bytes: [String: [UInt8]] = [:]
        for line in text.split(separator: "\n") {
            let trimmed = line.trimmingCharacters(in: .whitespaces)
            guard trimmed.hasPrefix("golden:") else { continue }
            guard let arrow = trimmed.range(of: " -> ", options: .backwards),
                let value = GoldenPage.bytes(trimmed[arrow.upperBound...])
            else { throw Missing(description: "not a golden line: \(trimmed)") }
            let what = trimmed[..<arrow.lowerBound].dropFirst("golden:".count).trimmingCharacters(in: .whitespaces)
            bytes[what] = value
        }
        self.bytes = bytes
    }

    /// The bytes of one line; throws when the page has no such line.
    package func callAsFunction(_ what: String) throws -> [UInt8] {
        guard let found = bytes[what] else {
            throw Missing(description: "the page has no golden line for “\(what)”, only \(bytes.keys.sorted())")
        }
        return found
    }

    private static func bytes(_ digits: Substring) -> [UInt8]? {
        var bytes: [UInt8] = []
        var rest = digits.filter { $0 != " " && $0 != "`" }[...]
        while !rest.isEmpty {
            guard rest.count >= 2, let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        return bytes
    }
}
