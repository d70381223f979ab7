internal import Foundation

/// One text file of the repository.
struct SourceFile: Sendable {
    /// Relative to the repository's root.
    let path: String
    let lines: [String]

    /// A file read from the work tree, or made up by a test of a rule.
    init(path: String, text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    /// The room a source belongs to: the folder below `Sources`; nil elsewhere.
    var room: String? {
        let parts = path.split(separator: "/")
        return parts.count > 2 && parts[0] == "Sources" ? String(parts[1]) : nil
    }
}

/// A place that breaks a rule.
struct Offence: CustomStringConvertible, Equatable {
    let path: String
    /// 1-based; 0 for the whole file.
    let line: Int
    let what: String

    var description: String { "\(path):\(line): \(what)" }
}

/// The work tree as the tests see it.
enum Repository {
    /// The folder that holds `Package.swift`: three folders above this file.
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// All files below `folder` whose names end in `suffix`, in order.
    static func files(below folder: String, suffix: String) -> [SourceFile] {
        let base = root.appendingPathComponent(folder).resolvingSymlinksInPath()
        guard let walker = FileManager.default.enumerator(atPath: base.path) else { return [] }
        let names = walker.compactMap { $0 as? String }.filter { $0.hasSuffix(suffix) }.sorted()
        return names.compactMap { name in
            guard let text = try? String(contentsOf: base.appendingPathComponent(name), encoding: .utf8) else {
                return nil
            }
            return SourceFile(path: "\(folder)/\(name)", text: text)
        }
    }

    /// One file, empty when it does not exist.
    static func file(_ path: String) -> SourceFile {
        let text = try? String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
        return SourceFile(path: path, text: text ?? "")
    }

    /// Every Swift source of the rooms.
    static let sources = files(below: "Sources", suffix: ".swift")
    /// Every Swift source of the tests.
    static let tests = files(below: "Tests", suffix: ".swift")
}
