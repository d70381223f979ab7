internal import Foundation

/// The module graph: one table in docs/ARCHITECTURE.md, which the manifest and every file must agree with.
enum ImportRules {
    /// The table "Who may import whom": room ↦ rooms.
    static func table(_ page: SourceFile) -> [String: Set<String>] {
        var table: [String: Set<String>] = [:]
        var isInside = false
        for line in page.lines {
            if line.hasPrefix("## ") { isInside = line == "## Who may import whom" }
            let cells = line.split(separator: "|", omittingEmptySubsequences: false).map { quoted($0) }
            guard isInside, cells.count == 4, cells[1].count == 1, let room = cells[1].first else { continue }
            table[room] = Set(cells[2])
        }
        return table
    }

    /// The rooms of the manifest: `room("Name", "Dependency", …)` and the executable.
    static func manifest(_ package: SourceFile, rooms: Set<String>) -> [String: Set<String>] {
        var table: [String: Set<String>] = [:]
        for line in package.lines where line.contains(" room(\"") {
            let names = literals(line)
            guard let room = names.first else { continue }
            table[room] = Set(names.dropFirst()).intersection(rooms)
        }
        let text = package.lines.joined(separator: " ")
        if let start = text.range(of: "name: \"vedette\",             dependencies: [") {
            let rest = text[start.upperBound...].prefix { $0 != "]" }
            table["vedette"] = Set(literals(String(rest))).intersection(rooms)
        }
        return table
    }

    /// Imports of a file that its room may not have.
    static func imports(_ file: SourceFile, table: [String: Set<String>]) -> [Offence] {
        guard let room = file.room, let allowed = table[room] else { return [] }
        var offences: [Offence] = []
        for (index, line) in file.lines.enumerated() {
            let words = line.split(separator: " ")
            guard let position = words.firstIndex(of: "import"), position + 1 < words.count else { continue }
            guard !line.hasPrefix("//"), !line.hasPrefix(" ") else { continue }
            let name = String(words[position + 1])
            if table[name] != nil && !allowed.contains(name) {
                offences.append(Offence(path: file.path, line: index + 1, what: "\(room) may not import \(name)"))
            }
        }
        return offences
    }

    private static func quoted(_ cell: Substring) -> [String] {
        cell.split(separator: "`", omittingEmptySubsequences: false).enumerated()
            .filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }

    private static func literals(_ text: String) -> [String] {
        text.split(separator: "\"", omittingEmptySubsequences: false).enumerated()
            .filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }
}
