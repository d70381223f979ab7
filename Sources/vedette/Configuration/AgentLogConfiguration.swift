internal import Agent
internal import Telemetry
internal import Wire

/// The section `agent.logs`: which logs an agent follows beside those of the engine's containers.
enum AgentLogConfiguration {
    /// Reads and checks the section.
    static func settings(_ value: YAMLValue) throws(ConfigurationError) -> LogSettings {
        var settings = LogSettings()
        var mapping = try value.mapping()
        if let folder = mapping.optional("pods") { settings.podFolder = try path(folder, mayBeEmpty: true) }
        if let folder = mapping.optional("mesos") { settings.mesosFolder = try path(folder, mayBeEmpty: true) }
        if let folders = mapping.optional("podman") {
            settings.podmanFolders = []
            for folder in try folders.elements() { settings.podmanFolders.append(try path(folder)) }
        }
        if let journal = mapping.optional("journal") { settings.journal = try scope(journal) }
        if let folder = mapping.optional("journal_folder") { settings.journalFolder = try path(folder) }
        for element in try mapping.elements("files") { settings.files.append(try files(element)) }
        for element in try mapping.elements("syslog") {
            let text = try element.text()
            guard let listener = LogSettings.SyslogListener(text) else {
                throw element.error(
                    "\(text) is no address for syslog messages; wanted is udp://ADDRESS:PORT, tcp://ADDRESS:PORT "
                        + "(a numeric address), unix:///PATH (datagrams) or unix-stream:///PATH")
            }
            settings.syslog.append(listener)
        }
        if let held = mapping.optional("held_bytes") { settings.heldBytesMaximum = UInt64(max(0, try held.byteSize())) }
        try mapping.finish()
        return settings
    }

    private static func path(_ value: YAMLValue, mayBeEmpty: Bool = false) throws(ConfigurationError) -> String {
        let path = try value.text()
        guard path.hasPrefix("/") || (mayBeEmpty && path.isEmpty) else {
            throw value.error("\(path) is no absolute path\(mayBeEmpty ? "; \"\" switches this off" : "")")
        }
        return path
    }

    private static func scope(_ value: YAMLValue) throws(ConfigurationError) -> LogSettings.Journal {
        // YAML 1.1 reads `off` as a truth where it is not quoted; the text is what was written.
        let word = try value.text()
        guard let scope = LogSettings.Journal(rawValue: word == "false" ? "off" : word) else {
            let known = LogSettings.Journal.allCases.map(\.rawValue).joined(separator: ", ")
            throw value.error("journal: \(word) is not known; known are \(known)")
        }
        return scope
    }

    private static func files(_ value: YAMLValue) throws(ConfigurationError) -> LogSettings.Files {
        var mapping = try value.mapping()
        var files = LogSettings.Files(pattern: try path(try mapping.required("path")))
        if let format = mapping.optional("format") {
            files.format = try format.text()
            guard LogSettings.formatNames.contains(files.format) else {
                let known = LogSettings.formatNames.joined(separator: ", ")
                throw format.error("format: \(files.format) is not known; known are \(known)")
            }
        }
        if let labels = mapping.optional("labels") {
            for (name, text) in try labels.textPairs() {
                guard LabelName.isValid(name) else { throw labels.error("\(name) is no name of a label") }
                files.labels[name] = text
            }
        }
        try mapping.finish()
        return files
    }
}
