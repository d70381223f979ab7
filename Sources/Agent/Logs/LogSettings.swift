/// Which logs an agent follows beside those of the engine's containers.
package struct LogSettings: Sendable, Equatable {
    /// Text files, by pattern.
    package struct Files: Sendable, Equatable {
        /// As the shell's: `*`, `?`, `[…]`.
        package var pattern: String
        /// The name of a format: `plain`, `cri`, `docker`.
        package var format: String
        /// Added to every line's labels, and win over the agent's own.
        package var labels: [String: String]

        /// Files that match `pattern`.
        package init(pattern: String, format: String = PlainFormat.name, labels: [String: String] = [:]) {
            self.pattern = pattern
            self.format = format
            self.labels = labels
        }
    }

    /// What is read of the system's journal.
    package enum Journal: String, Sendable, CaseIterable {
        /// Nothing.
        case off
        /// The lines of containers that log there, as soon as there is such a container.
        case containers
        /// Everything.
        case all
    }

    /// Where syslog messages are taken.
    package struct SyslogListener: Sendable, Equatable {
        /// How messages come.
        package enum Transport: Sendable, Equatable {
            case udp(host: String, port: UInt16)
            case tcp(host: String, port: UInt16)
            /// Datagrams, as `/dev/log` has them.
            case unix(path: String)
            /// A stream, framed as over TCP.
            case unixStream(path: String)
        }

        package var transport: Transport

        /// A listener.
        package init(_ transport: Transport) {
            self.transport = transport
        }

        /// Reads `udp://127.0.0.1:514`, `tcp://[::1]:601`, `unix:///run/vedette/syslog`,
        /// `unix-stream:///run/vedette/syslog`; nil for anything else.
        package init?(_ text: String) {
            if text.hasPrefix("unix:///") {
                self.init(.unix(path: String(text.dropFirst("unix://".count))))
                return
            }
            if text.hasPrefix("unix-stream:///") {
                self.init(.unixStream(path: String(text.dropFirst("unix-stream://".count))))
                return
            }
            let isDatagram = text.hasPrefix("udp://")
            guard isDatagram || text.hasPrefix("tcp://") else { return nil }
            let address = text.dropFirst("udp://".count)
            guard let colon = address.lastIndex(of: ":"), let port = UInt16(address[address.index(after: colon)...])
            else { return nil }
            var host = String(address[..<colon])
            if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
            guard !host.isEmpty, port > 0 else { return nil }
            self.init(isDatagram ? .udp(host: host, port: port) : .tcp(host: host, port: port))
        }
    }

    /// Where kubelets keep the logs of pods; nothing is read where it is not there.
    package var podFolder = "/var/log/pods"
    /// Podman's stores; nothing is read where they are not there.
    package var podmanFolders = ["/var/lib/containers/storage"]
    /// Mesos' work folder; nothing is read where it is not there.
    package var mesosFolder = "/var/lib/mesos"
    package var files: [Files] = []
    package var journal = Journal.containers
    /// A folder of journal files instead of the system's own; nil for that.
    package var journalFolder: String?
    package var syslog: [SyslogListener] = []
    /// What deleted files that are still held may take on the disk, all together.
    package var heldBytesMaximum: UInt64 = 1 << 30

    /// The defaults.
    package init() {}

    /// The names of the formats that a file may have.
    package static var formatNames: [String] { LogFormats.all.map { $0.name } }
}
