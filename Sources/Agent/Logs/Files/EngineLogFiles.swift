internal import Telemetry

/// The log files that an engine writes for its containers: Docker's json-file, Podman's k8s-file.
final class EngineLogFiles: FileLogSource {
    private let context: FileLogContext

    init?(_ context: FileLogContext) {
        self.context = context
    }

    /// The registry tells of every change.
    var folders: [String] { [] }

    func logs(_ snapshot: ContainerRegistry.Snapshot) -> [FollowedLog] {
        snapshot.containers.values.compactMap { container in
            guard let path = container.logPath else { return nil }
            let format: any LogFormat = container.logDriver == "k8s-file" ? CRIFormat() : DockerJSONFormat()
            return FollowedLog(
                key: container.id, path: context.host.path(path), format: format,
                labels: LogStream.allCases.map { container.streamLabels(node: context.node, stream: $0.label) },
                writer: container.id, isRunning: container.isRunning)
        }
    }
}
