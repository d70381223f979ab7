internal import Telemetry

/// A log file that is followed, whoever writes it.
struct FollowedLog: Sendable {
    /// Stable over restarts of the agent: the container's id, or the path. Positions are kept under it.
    var key: String
    /// The path as this process reaches it.
    var path: String
    var format: any LogFormat
    /// The labels of its streams, by `LogStream`.
    var labels: [Labels]
    /// Whose last words it holds: the id of its container, or the uid of its pod; nil for neither.
    var writer: String?
    /// Whether more may come. Only what was running and is not any more has last words.
    var isRunning: Bool

    /// A log.
    init(
        key: String, path: String, format: any LogFormat, labels: [Labels], writer: String? = nil,
        isRunning: Bool = true
    ) {
        self.key = key
        self.path = path
        self.format = format
        self.labels = labels
        self.writer = writer
        self.isRunning = isRunning
    }
}

/// What is remembered of a log beside how far it was read, so that a descriptor of it in the service manager's keeping
/// can be read to its end when nobody lists the log any more.
struct LogDescription: Equatable {
    var path: String
    /// The format's name.
    var format: String
    var labels: [Labels]

    /// A description.
    init(path: String, format: String, labels: [Labels]) {
        (self.path, self.format, self.labels) = (path, format, labels)
    }

    /// What is to be remembered of a log.
    init(_ log: FollowedLog) {
        self.init(path: log.path, format: type(of: log.format).name, labels: log.labels)
    }
}

/// Port: knows which log files of one kind there are on the host. A kind is one type and one line in
/// `FileLogSources.all`. Belongs to the tail thread.
protocol FileLogSource: AnyObject {
    /// Nil when it is switched off.
    init?(_ context: FileLogContext)

    /// The logs there are now. Called when a container changed, when one of `folders` did, and every half minute.
    func logs(_ snapshot: ContainerRegistry.Snapshot) -> [FollowedLog]

    /// The folders whose changes mean that `logs` should be asked again, as the last call found them; host paths.
    var folders: [String] { get }
}

/// What sources of log files are made from.
struct FileLogContext {
    var host: HostRoot
    var node: String
    var settings: LogSettings
    var notices: Notices
}

/// The kinds of log files.
enum FileLogSources {
    /// The only place a kind is listed.
    static var all: [any FileLogSource.Type] {
        [EngineLogFiles.self, PodLogFiles.self, PodmanLogFiles.self, MesosLogFiles.self, PlainLogFiles.self]
    }
}
