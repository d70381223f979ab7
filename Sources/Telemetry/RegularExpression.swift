internal import CRE2

/// Why a regular expression was refused, in the words of Go's `regexp/syntax`, which Prometheus and Loki users know.
public struct RegularExpressionError: Error, Equatable, CustomStringConvertible {
    /// The pattern as it was given.
    public let pattern: String
    /// The reason, for example ``missing closing ): `a(b` ``.
    public let reason: String

    /// "error parsing regexp: missing closing ): `a(b`"
    public var description: String { "error parsing regexp: \(reason)" }
}

/// RE2: linear time whatever the pattern and the text, and the same syntax as Prometheus and Loki.
///
/// Whole matches of patterns without special characters never reach RE2. Thread-safe and cheap to copy: copies share
/// one program.
public struct RegularExpression: Sendable {
    /// The program and its caches may not use more, whatever the pattern.
    public static let programBytesMaximum: Int64 = 8 << 20

    /// The pattern as it was given.
    public let pattern: String
    private let program: Program
    /// The bytes of a pattern that stands for itself.
    private let literal: [UInt8]?

    /// Compiles `pattern`; `(?<name>…)` is taken as `(?P<name>…)`.
    public init(_ pattern: String, foldCase: Bool = false) throws(RegularExpressionError) {
        self.pattern = pattern
        program = try Program(pattern, foldCase: foldCase)
        let special = Set(#"\.+*?()|[]{}^$"#.utf8)
        literal = foldCase || pattern.utf8.contains(where: special.contains) ? nil : Array(pattern.utf8)
    }

    /// Whether the pattern has no special character, so that it matches itself alone.
    public var isLiteral: Bool { literal != nil }

    /// Whether all of `text` matches.
    public func matchesWhole(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { matchesWhole(UnsafeRawBufferPointer($0)) }
    }

    /// Whether all of `bytes` match.
    public func matchesWhole(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let literal else { return program.matches(bytes, anchored: true) }
        return literal.count == bytes.count && literal.elementsEqual(bytes)
    }

    /// Whether some part of `bytes` matches.
    public func matches(_ bytes: UnsafeRawBufferPointer) -> Bool { program.matches(bytes, anchored: false) }

    /// Whether some part of `text` matches.
    public func matches(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { program.matches(UnsafeRawBufferPointer($0), anchored: false) }
    }

    /// The byte ranges of the first match at or after `start`: the whole match, then each group (nil where it took no
    /// part). Nil when nothing matches.
    public func firstMatch(in bytes: UnsafeRawBufferPointer, from start: Int = 0) -> [Range<Int>?]? {
        program.find(bytes, from: start)
    }

    /// The names of the groups, in order; nil for a group without a name.
    public var groupNames: [String?] { program.groupNames }
}

extension RegularExpression {
    /// Owns the compiled RE2, which is immutable and thread-safe once built.
    fileprivate final class Program: @unchecked Sendable {
        private let handle: OpaquePointer

        init(_ pattern: String, foldCase: Bool) throws(RegularExpressionError) {
            let source = Program.goGroupNames(pattern)
            let compiled = source.utf8.withContiguousStorageIfAvailable { bytes in
                bytes.withMemoryRebound(to: CChar.self) {
                    vedette_re2_compile(
                        $0.baseAddress, $0.count, foldCase ? 1 : 0, RegularExpression.programBytesMaximum)
                }
            }
            guard let compiled, let handle = compiled else {
                throw RegularExpressionError(pattern: pattern, reason: "pattern is not contiguous UTF-8")
            }
            if vedette_re2_error(handle) != nil {
                // What the user wrote, not what it was rewritten to.
                let reason = Program.goReason(handle) { pattern.contains("(?P<") ? $0 : Program.original($0) }
                vedette_re2_free(handle)
                throw RegularExpressionError(pattern: pattern, reason: reason)
            }
            self.handle = handle
        }

        deinit {
            vedette_re2_free(handle)
        }

        func matches(_ bytes: UnsafeRawBufferPointer, anchored: Bool) -> Bool {
            let text = bytes.assumingMemoryBound(to: CChar.self)
            return vedette_re2_matches(handle, text.baseAddress, text.count, anchored ? 1 : 0) != 0
        }

        func find(_ bytes: UnsafeRawBufferPointer, from start: Int) -> [Range<Int>?]? {
            let text = bytes.assumingMemoryBound(to: CChar.self)
            let groups = Int(vedette_re2_group_count(handle)) + 1
            return withUnsafeTemporaryAllocation(of: Int.self, capacity: groups * 2) { spans in
                let found = vedette_re2_find(
                    handle, text.baseAddress, text.count, start, spans.baseAddress, Int32(groups))
                guard found != 0 else { return nil }
                return (0..<groups).map { spans[2 * $0] < 0 ? nil : spans[2 * $0]..<spans[2 * $0 + 1] }
            }
        }

        var groupNames: [String?] {
            let count = vedette_re2_group_count(handle)
            guard count > 0 else { return [] }
            return (1...count).map { index in vedette_re2_group_name(handle, index).map { String(cString: $0) } }
        }

        /// Go accepts `(?<name>` since 1.22; Debian's RE2 knows only `(?P<name>`. An escaped or bracketed `(` stays.
        private static func goGroupNames(_ pattern: String) -> String {
            guard pattern.contains("(?<") else { return pattern }
            let source = Array(pattern.utf8)
            var result: [UInt8] = []
            var index = 0
            while index < source.count {
                let start = index
                switch source[index] {
                case UInt8(ascii: "\\"): index = endOfEscape(source, index)
                case UInt8(ascii: "["): index = endOfClass(source, index)
                case UInt8(ascii: "(") where source[index...].starts(with: "(?<".utf8):
                    result += "(?P".utf8
                    index += 2
                    continue
                default: index += 1
                }
                result += source[start..<index]
            }
            return String(decoding: result, as: UTF8.self)
        }

        /// Behind a backslash and what it escapes; `\Q` escapes up to `\E`.
        private static func endOfEscape(_ source: [UInt8], _ start: Int) -> Int {
            guard start + 1 < source.count, source[start + 1] == UInt8(ascii: "Q") else {
                return min(start + 2, source.count)
            }
            var index = start + 2
            while index < source.count, !source[index...].starts(with: "\\E".utf8) { index += 1 }
            return min(index + 2, source.count)
        }

        /// Behind a character class. A bracket right at its start, and those of `[:alpha:]`, do not end it.
        private static func endOfClass(_ source: [UInt8], _ start: Int) -> Int {
            var index = start + 1
            if index < source.count, source[index] == UInt8(ascii: "^") { index += 1 }
            if index < source.count, source[index] == UInt8(ascii: "]") { index += 1 }
            while index < source.count, source[index] != UInt8(ascii: "]") {
                if source[index] == UInt8(ascii: "\\") {
                    index += 2
                } else if source[index...].starts(with: "[:".utf8) {
                    index += 2
                    while index < source.count, !source[index...].starts(with: ":]".utf8) { index += 1 }
                    index += 2
                } else {
                    index += 1
                }
            }
            return min(index + 1, source.count)
        }

        /// A piece of a rewritten pattern as it was before.
        private static func original(_ piece: String) -> String {
            var bytes = Array(piece.utf8)
            var index = 0
            while index < bytes.count {
                if bytes[index...].starts(with: "(?P<".utf8) { bytes.remove(at: index + 2) }
                index += 1
            }
            return String(decoding: bytes, as: UTF8.self)
        }

        /// RE2's code and argument in Go's words.
        private static func goReason(_ handle: OpaquePointer, _ restore: (String) -> String) -> String {
            var argument: UnsafePointer<CChar>?
            var length = 0
            let code = vedette_re2_error_code(handle, &argument, &length)
            let argumentBytes = UnsafeRawBufferPointer(start: argument, count: length)
            let piece = restore(String(decoding: argumentBytes, as: UTF8.self))
            let words =
                switch code {
                case 2: "invalid escape sequence"
                case 3: "invalid character class"
                case 4: "invalid character class range"
                case 5: "missing closing ]"
                case 6: "missing closing )"
                case 7: "unexpected )"
                case 8: "trailing backslash at end of expression"
                case 9: "missing argument to repetition operator"
                case 10: "invalid repeat count"
                case 11: "invalid nested repetition operator"
                case 12: "invalid or unsupported Perl syntax"
                case 13: "invalid UTF-8"
                case 14: "invalid named capture"
                case 15: "expression too large"
                default: vedette_re2_error(handle).map { String(cString: $0) } ?? "internal error"
                }
            return piece.isEmpty ? words : "\(words): `\(piece)`"
        }
    }
}
