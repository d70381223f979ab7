internal import Foundation

/// Rules that look at lines: sizes, forbidden calls, words.
enum TextRules {
    static let lineLengthMaximum = 120
    static let fileLinesMaximum = 600
    static let functionLinesMaximum = 70

    /// Lines over 120 characters and files over 600 lines.
    static func sizes(_ file: SourceFile) -> [Offence] {
        var offences: [Offence] = []
        if file.lines.count > fileLinesMaximum {
            offences.append(Offence(path: file.path, line: 0, what: "\(file.lines.count) lines, the wall is 600"))
        }
        for (index, line) in file.lines.enumerated() where line.count > lineLengthMaximum {
            // A literal that a test compares with is not broken up.
            let text = line.drop { $0 == " " || $0 == "=" || $0 == "#" }
            if file.path.hasPrefix("Tests/"), text.hasPrefix("\"") || text.hasPrefix("{\"") { continue }
            offences.append(Offence(path: file.path, line: index + 1, what: "\(line.count) columns, 120 is the limit"))
        }
        return offences
    }

    /// Functions over 70 lines, from the line of `func` or `init` to the brace that closes at its indentation.
    static func functionLengths(_ file: SourceFile) -> [Offence] {
        var offences: [Offence] = []
        var open: (start: Int, indent: Int)?
        for (index, line) in file.lines.enumerated() {
            let indent = line.prefix { $0 == " " }.count
            if let current = open, indent == current.indent, line.dropFirst(indent).hasPrefix("}") {
                let length = index - current.start + 1
                if length > functionLinesMaximum {
                    let what = "function of \(length) lines, 70 is the limit"
                    offences.append(Offence(path: file.path, line: current.start + 1, what: what))
                }
                open = nil
            }
            if open == nil, startsFunction(line.dropFirst(indent)), !line.hasSuffix("}") {
                open = (index, indent)
            }
        }
        return offences
    }

    private static func startsFunction(_ text: Substring) -> Bool {
        let modifiers: Set<Substring> = [
            "public", "package", "private", "fileprivate", "internal", "static", "mutating", "override", "final",
            "nonisolated", "consuming", "borrowing", "convenience", "required", "@inlinable", "@discardableResult",
        ]
        for word in text.split(separator: " ") {
            if word == "func" || word.hasPrefix("init(") || word.hasPrefix("init<") || word.hasPrefix("init?(") {
                return true
            }
            if !modifiers.contains(word) { return false }
        }
        return false
    }

    /// A pattern that must not occur, where it may all the same, and what to use instead.
    struct Ban: Sendable {
        let pattern: String
        let allowed: [String]
        let instead: String
    }

    static let bans: [Ban] = [
        Ban(pattern: #"\btry!"#, allowed: [], instead: "handle the error or let it through"),
        Ban(pattern: #"\bas!"#, allowed: [], instead: "as? with an error"),
        Ban(pattern: #"\bfatalError\("#, allowed: [], instead: "a typed error, or precondition for our own bugs"),
        Ban(pattern: #"(^|[^.\w])print\("#, allowed: ["Sources/vedette/"], instead: "only the product prints"),
        Ban(pattern: #"\bDate\(\)|\bDate\.now\b"#, allowed: [], instead: "the clock ports"),
        Ban(
            pattern: #"\bclock_gettime\(|\bgettimeofday\(|\btime\(nil\)|ContinuousClock\("#,
            allowed: ["Sources/Telemetry/SystemClocks.swift"], instead: "the clock ports"),
        Ban(pattern: #"\b(TODO|FIXME|XXX|HACK)\b"#, allowed: [], instead: "do it, or an issue"),
        Ban(
            pattern: #"\b(struct|class|enum|protocol) \w*(Utility|Utilities|Helper|Helpers|Common|Manager)\b"#,
            allowed: [], instead: "a name that says what it is"),
        Ban(
            pattern: #"\bThread\.sleep|\busleep\(|[^.\w]sleep\("#,
            allowed: ["Sources/Disk/System/DedicatedThread.swift"], instead: "wait for what you wait for"),
    ]

    /// Forbidden calls and words. Comments count for words only.
    static func forbidden(_ file: SourceFile, bans: [Ban] = bans) -> [Offence] {
        var offences: [Offence] = []
        for ban in bans where !ban.allowed.contains(where: { file.path.hasPrefix($0) }) {
            guard let expression = try? NSRegularExpression(pattern: ban.pattern) else { continue }
            for (index, line) in file.lines.enumerated() {
                let trimmed = line.drop { $0 == " " }
                if trimmed.hasPrefix("//"), !ban.pattern.contains("TODO") { continue }
                let range = NSRange(line.startIndex..., in: line)
                if expression.firstMatch(in: line, range: range) != nil {
                    let what = "\(trimmed.prefix(60)): forbidden, use \(ban.instead)"
                    offences.append(Offence(path: file.path, line: index + 1, what: what))
                }
            }
        }
        return offences
    }
}
