internal import Disk

/// A page of docs/formats with its lines `golden: <what> -> <hex>`, which the code must write and read back.
package struct GoldenPage: Sendable {
    private let lines: [String: [UInt8]]
    private let path: String

    /// Why a page does not serve.
    package struct Fault: Error, CustomStringConvertible {
        package let description: String
    }

    /// Reads docs/formats/`name`, with or without its ".md", found from this file's place in the repository.
    package init(_ name: String) throws {
        let root = StoragePath.parent(of: StoragePath.parent(of: StoragePath.parent(of: #filePath)))
        path = StoragePath.join(root, "docs/formats/\(name)\(name.hasSuffix(".md") ? "" : ".md")")
        guard let bytes = try AtomicFile.read(path, in: SystemStorage(), maximumBytes: 1 << 20) else {
            throw Fault(description: "there is no \(path)")
        }
        var lines: [String: [UInt8]] = [:]
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") where line.hasPrefix("golden: ") {
            let parts = line.dropFirst("golden: ".count).split(separator: " -> ", maxSplits: 1)
            guard parts.count == 2, let bytes = Self.bytes(hexadecimal: parts[1]) else {
                throw Fault(description: "\(path): no golden line: \(line)")
            }
            lines[String(parts[0])] = bytes
        }
        self.lines = lines
    }

    /// What the lines are about, in no order.
    package var names: [String] { Array(lines.keys) }

    /// The bytes of the line about `name`.
    package func bytes(of name: String) throws -> [UInt8] {
        guard let bytes = lines[name] else { throw Fault(description: "\(path) has no golden line about \(name)") }
        return bytes
    }

    /// The bytes of the line about `name`: `page("the header")` reads like a sentence.
    package func callAsFunction(_ name: String) throws -> [UInt8] { try bytes(of: name) }

    /// Bytes from digits, spaces left out; nil when they are not pairs of digits.
    package static func bytes(hexadecimal text: some StringProtocol) -> [UInt8]? {
        let digits = text.filter { $0 != " " }.compactMap(\.hexDigitValue)
        guard digits.count == text.count(where: { $0 != " " }), digits.count.isMultiple(of: 2) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}
