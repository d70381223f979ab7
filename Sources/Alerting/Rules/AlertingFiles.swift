package import Disk
internal import Query

/// Reads a folder of rule and remedy files: `*.remedy.yml` are remedies, other `*.yml` and `*.yaml` Prometheus rule
/// files.
package enum AlertingFiles {
    /// A larger file is refused.
    package static let fileBytesMaximum = 16 << 20

    /// A file's path and text.
    package struct Source: Sendable, Hashable {
        package var path: String
        package var text: String
        /// Whether the text is what the bytes say; where they are no UTF-8, it is not.
        package var isText = true

        /// A file.
        package init(path: String, text: String) {
            self.path = path
            self.text = text
        }

        /// A file's bytes as they were read.
        package init(path: String, bytes: [UInt8]) {
            self.path = path
            isText = String(validating: bytes, as: UTF8.self) != nil
            text = String(decoding: bytes, as: UTF8.self)
        }
    }

    /// What files hold.
    package struct Content: Sendable {
        package var groups: [RuleGroup] = []
        package var remedies: [Remedy] = []
        /// In the order of files and lines. With an error among them, keep what was in force before.
        package var findings: [RuleFinding] = []
        /// The number of files read.
        package var files = 0

        /// Whether nothing among the findings forbids using it.
        package var isUsable: Bool { !findings.contains { $0.severity == .error } }
        /// The files that have errors.
        package var brokenFiles: Set<String> { Set(findings.filter { $0.severity == .error }.map(\.file)) }
        /// What the files without errors hold: for a start, where there is nothing yet that could be kept.
        package var withoutBrokenFiles: Content {
            let broken = brokenFiles
            var content = self
            content.groups.removeAll { broken.contains($0.file) }
            content.remedies.removeAll { broken.contains($0.file) }
            return content
        }
        /// The number of rules.
        package var ruleCount: Int { groups.reduce(0) { $0 + $1.rules.count } }
    }

    /// Reads texts: what `rules check` tells. Keys of rule files that nobody knows are errors unless they are to be
    /// ignored.
    package static func read(_ sources: [Source], ignoresUnknownFields: Bool = false) -> Content {
        var content = Content()
        var remedyNames: [String: String] = [:]
        for source in sources {
            content.files += 1
            guard source.isText else {
                content.findings.append(
                    finding(.error, file: source.path, "this is not UTF-8 text: write it as UTF-8"))
                continue
            }
            if isRemedyFile(source.path) {
                let (remedies, findings) = RemedyFileReader.read(source.text, file: source.path)
                content.findings += findings
                for remedy in remedies {
                    // What a remedy did is kept under its name, so a name stands for one remedy in all files.
                    if let other = remedyNames.updateValue(source.path, forKey: remedy.name), other != source.path {
                        content.findings.append(
                            finding(.error, remedy, "the remedy is in \(other) too: rename one of them"))
                    }
                }
                content.remedies += remedies
            } else {
                let (groups, findings) = RuleFileReader.read(
                    source.text, file: source.path, ignoresUnknownFields: ignoresUnknownFields)
                content.findings += findings + duplicates(in: groups)
                content.groups += groups
            }
        }
        return content
    }

    /// Whether a rule file is for this product alone, so that its rules may use `logs(…)`.
    static func isOwnRuleFile(_ path: String) -> Bool {
        path.hasSuffix(".vedette.yml") || path.hasSuffix(".vedette.yaml")
    }

    /// The rule and remedy files of a folder, and of the folders within, in the order of their names. Hidden ones are
    /// left out. Throws for what cannot be read. Blocking.
    package static func sources(in folder: String, storage: any FileStorage) throws(StorageError) -> [Source] {
        var sources: [Source] = []
        try gather(folder, storage, depth: 0, &sources)
        return sources
    }

    /// One file; nil when there is none. Throws for what cannot be read. Blocking.
    package static func source(at path: String, storage: any FileStorage) throws(StorageError) -> Source? {
        guard let bytes = try AtomicFile.read(path, in: storage, maximumBytes: fileBytesMaximum) else { return nil }
        return Source(path: path, bytes: bytes)
    }

    private static func gather(
        _ folder: String, _ storage: any FileStorage, depth: Int, _ sources: inout [Source]
    ) throws(StorageError) {
        guard depth < 8 else { return }
        let entries = try storage.list(folder).sorted { $0.name < $1.name }
        for entry in entries where !entry.name.hasPrefix(".") {
            let path = StoragePath.join(folder, entry.name)
            if entry.isFolder {
                try gather(path, storage, depth: depth + 1, &sources)
            } else if entry.name.hasSuffix(".yml") || entry.name.hasSuffix(".yaml") {
                if let source = try source(at: path, storage: storage) { sources.append(source) }
            }
        }
    }

    private static func isRemedyFile(_ path: String) -> Bool {
        path.hasSuffix(".remedy.yml") || path.hasSuffix(".remedy.yaml")
    }

    /// promtool's lint: two rules of a file that would write the same series or raise the same alerts.
    private static func duplicates(in groups: [RuleGroup]) -> [RuleFinding] {
        var lines: [String: Int] = [:]
        var findings: [RuleFinding] = []
        for group in groups {
            for rule in group.rules {
                let labels = rule.labels.map { "\($0.name)=\($0.template.text)" }.sorted().joined(separator: "\u{0}")
                let identity = "\(rule.name)\u{0}\(labels)"
                guard let line = lines[identity] else {
                    lines[identity] = rule.line
                    continue
                }
                findings.append(
                    RuleFinding(
                        severity: .warning, file: group.file, line: rule.line, column: 0, group: group.name,
                        rule: rule.name,
                        message: "the rule in line \(line) has the same name and labels: they may write the same series"
                    ))
            }
        }
        return findings
    }

    private static func finding(
        _ severity: RuleFinding.Severity, file: String, _ message: String
    ) -> RuleFinding {
        RuleFinding(severity: severity, file: file, line: 0, column: 0, group: "", rule: "", message: message)
    }

    private static func finding(
        _ severity: RuleFinding.Severity, _ remedy: Remedy, _ message: String
    ) -> RuleFinding {
        RuleFinding(
            severity: severity, file: remedy.file, line: remedy.line, column: 0, group: "", rule: remedy.name,
            message: message)
    }
}
