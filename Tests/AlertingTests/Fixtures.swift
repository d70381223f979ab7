import Foundation
import Wire

@testable import Alerting

/// Files of this folder that tests read, and a message each bad one must give: its first line, with FILE for its path.
enum Fixtures {
    /// A file that must be refused.
    struct Bad: Sendable, CustomStringConvertible {
        let name: String
        let text: String
        let expected: String

        var description: String { name }
    }

    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")

    /// All bad files of a folder, by name.
    static func bad(_ folder: String) -> [Bad] {
        let path = Fixtures.folder.appendingPathComponent(folder)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path.path)) ?? []
        return names.filter { $0.hasSuffix(".bad.yml") }.sorted().map { name in
            let text = (try? String(contentsOf: path.appendingPathComponent(name), encoding: .utf8)) ?? ""
            let first = text.prefix { $0 != "\n" }.dropFirst(2)
            return Bad(name: name, text: text, expected: first.replacingOccurrences(of: "FILE", with: name))
        }
    }

    static func text(_ path: String) throws -> String {
        try String(contentsOf: folder.appendingPathComponent(path), encoding: .utf8)
    }

    /// The alerting section of a configuration.
    static func notify(_ text: String) throws -> NotifyConfiguration {
        var root = try YAMLValue.parse(text, file: "vedette.yml")?.mapping()
        return try NotifyConfiguration.read(root?.optional("alerting"))
    }

    /// The one rule group of a text.
    static func group(_ text: String) throws -> RuleGroup {
        let (groups, findings) = RuleFileReader.read(text, file: "rules.yml")
        if let finding = findings.first { throw finding }
        return groups[0]
    }

    /// The one remedy of a text.
    static func remedy(_ text: String) throws -> Remedy {
        let (remedies, findings) = RemedyFileReader.read(text, file: "r.remedy.yml")
        if let finding = findings.first { throw finding }
        return remedies[0]
    }
}
