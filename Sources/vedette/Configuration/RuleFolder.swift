internal import Alerting
internal import Disk

/// A folder of rule files and remedies: `*.remedy.yml` are remedies, all other `*.yml` and `*.yaml` are rules.
enum RuleFolder {
    /// The most bytes one file may have.
    static let fileBytesMaximum = 16 << 20

    /// What the files of a folder say, and everything that is wrong with them.
    struct Content {
        var groups: [RuleGroup] = []
        var remedies: [Remedy] = []
        var findings: [RuleFinding] = []
        var files: [String] = []
    }

    /// Reads a folder (nothing for nil). Throws every error found, one a line, so that all can be mended at once.
    static func read(_ folder: String?) throws -> Content {
        guard let folder else { return Content() }
        let content = try examine([folder])
        let errors = content.findings.filter { $0.severity == .error }
        guard errors.isEmpty else {
            throw CommandFailure(errors.map(\.description).joined(separator: "\n"))
        }
        return content
    }

    /// Reads files and folders and collects findings instead of throwing them. Throws only for what cannot be read.
    static func examine(_ paths: [String]) throws -> Content {
        let storage = SystemStorage()
        var content = Content()
        for path in paths {
            let files: [String]
            do {
                files = try storage.list(path).filter { !$0.isFolder && isRuleFile($0.name) }.map {
                    "\(path)/\($0.name)"
                }
            } catch {
                // Not a folder: a file then, which says so itself if it cannot be read.
                files = [path]
            }
            for file in files { try examine(file, storage, &content) }
        }
        return content
    }

    private static func isRuleFile(_ name: String) -> Bool {
        !name.hasPrefix(".") && (name.hasSuffix(".yml") || name.hasSuffix(".yaml"))
    }

    private static func examine(_ path: String, _ storage: SystemStorage, _ content: inout Content) throws {
        let bytes: [UInt8]?
        do {
            bytes = try AtomicFile.read(path, in: storage, maximumBytes: fileBytesMaximum)
        } catch {
            throw CommandFailure("the rule file cannot be read: \(error)")
        }
        guard let bytes else { throw CommandFailure("there is no rule file or folder \(path)") }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure("\(path) is not UTF-8 text")
        }
        content.files.append(path)
        if path.hasSuffix(".remedy.yml") || path.hasSuffix(".remedy.yaml") {
            let (remedies, findings) = RemedyFileReader.read(text, file: path)
            content.remedies += remedies
            content.findings += findings
        } else {
            let (groups, findings) = RuleFileReader.read(text, file: path)
            content.groups += groups
            content.findings += findings
        }
    }
}
