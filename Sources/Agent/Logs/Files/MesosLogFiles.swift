internal import Telemetry

/// What Mesos' tasks write into their sandboxes:
/// `slaves/<agent>/frameworks/<framework>/executors/<executor>/runs/<container>/{stdout,stderr}`.
final class MesosLogFiles: FileLogSource {
    private let context: FileLogContext
    private let root: String
    private(set) var folders: [String] = []

    init?(_ context: FileLogContext) {
        self.context = context
        root = "\(context.settings.mesosFolder)/slaves"
        guard !context.settings.mesosFolder.isEmpty else { return nil }
    }

    func logs(_ snapshot: ContainerRegistry.Snapshot) -> [FollowedLog] {
        let host = context.host
        var logs: [FollowedLog] = []
        folders = [host.path(root)]
        for agent in list(root) {
            for framework in list("\(root)/\(agent)/frameworks") {
                let executors = "\(root)/\(agent)/frameworks/\(framework)/executors"
                for executor in list(executors) {
                    // `latest` is a link to one of the others.
                    for run in list("\(executors)/\(executor)/runs") where run != "latest" {
                        let sandbox = "\(executors)/\(executor)/runs/\(run)"
                        logs += LogStream.allCases.map { stream in
                            FollowedLog(
                                key: "\(sandbox)/\(stream.label)", path: host.path("\(sandbox)/\(stream.label)"),
                                format: PlainFormat(), labels: labels(framework, executor, run, stream), writer: run)
                        }
                    }
                }
            }
        }
        return logs
    }

    /// The folders in a folder, which is watched from now on.
    private func list(_ folder: String) -> [String] {
        guard let names = context.host.folderNames(folder) else { return [] }
        folders.append(context.host.path(folder))
        return names
    }

    private func labels(_ framework: String, _ executor: String, _ run: String, _ stream: LogStream) -> [Labels] {
        let labels = Labels([
            "source": "mesos", "framework": framework, "executor": executor, "container": run,
            "service": Self.service(executor), "node": context.node, "stream": stream.label,
        ])
        return [labels, labels]
    }

    /// Marathon names a task `group_app.instance-<uuid>._app.1` or `group_app.<uuid>`; what is in front of the first
    /// dot stays the same over restarts.
    static func service(_ executor: String) -> String {
        let dot = executor.firstIndex(of: ".") ?? executor.endIndex
        return dot == executor.startIndex ? executor : String(executor[..<dot])
    }
}
