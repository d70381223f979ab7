/// Rules about what is written above declarations and beside formats.
enum DocumentationRules {
    private static let typeWords: Set<Substring> = ["struct", "class", "enum", "protocol", "actor", "typealias"]
    private static let modifiers: Set<Substring> = [
        "public", "package", "final", "static", "mutating", "indirect", "nonisolated", "convenience", "required",
    ]

    /// The first declaration of a file says the file's job in a doc comment.
    static func firstDeclaration(_ file: SourceFile) -> [Offence] {
        for (index, line) in file.lines.enumerated() {
            if line.isEmpty || line.contains("import ") || line.hasPrefix("#") { continue }
            // A lone comment is a note about the whole file, for example where generated code comes from.
            if line.hasPrefix("//") && !line.hasPrefix("///") { continue }
            if line.hasPrefix("///") { return [] }
            if line.hasPrefix("extension") || line.hasPrefix("@") { continue }
            return [Offence(path: file.path, line: index + 1, what: "the first declaration has no doc comment")]
        }
        return []
    }

    /// Package and public types, functions and initialisers have a doc comment. Members of a declaration that lists a
    /// conformance are witnesses or obvious beside it: the protocol documents them.
    static func declarations(_ file: SourceFile) -> [Offence] {
        var offences: [Offence] = []
        var conforming: [Int] = []
        for (index, line) in file.lines.enumerated() {
            let indent = line.prefix { $0 == " " }.count
            let text = line.dropFirst(indent)
            if text.hasPrefix("}") { conforming.removeAll { $0 >= indent } }
            let words = text.split(separator: " ")
            if text.hasSuffix("{"), opensConformance(words) { conforming.append(indent) }
            guard text.hasPrefix("public ") || text.hasPrefix("package "), !text.hasPrefix("package import") else {
                continue
            }
            guard let kind = words.first(where: { !modifiers.contains($0) }) else { continue }
            let isType = typeWords.contains(kind)
            let isMember = kind == "func" || kind.hasPrefix("init(") || kind.hasPrefix("init?(")
            guard isType || (isMember && !conforming.contains { $0 < indent }) else { continue }
            if !isDocumented(file.lines, before: index) {
                offences.append(Offence(path: file.path, line: index + 1, what: "no doc comment: \(text.prefix(60))"))
            }
        }
        return offences
    }

    private static func opensConformance(_ words: [Substring]) -> Bool {
        guard words.contains(where: { typeWords.contains($0) || $0 == "extension" }) else { return false }
        return words.contains { $0.hasSuffix(":") }
    }

    private static func isDocumented(_ lines: [String], before index: Int) -> Bool {
        var above = index - 1
        while above >= 0, lines[above].drop(while: { $0 == " " }).hasPrefix("@") { above -= 1 }
        return above >= 0 && lines[above].drop(while: { $0 == " " }).hasPrefix("///")
    }

    /// A format page has a layout, a history and golden bytes.
    static func formatPage(_ file: SourceFile) -> [Offence] {
        let text = file.lines.joined(separator: "\n").lowercased()
        var offences: [Offence] = []
        for wanted in ["golden:", "history"] where !text.contains(wanted) {
            offences.append(Offence(path: file.path, line: 0, what: "a format page without “\(wanted)”"))
        }
        return offences
    }
}
