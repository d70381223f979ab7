internal import Telemetry

/// What an engine that does not answer has written about its containers: `containers/<id>/config.v2.json`.
struct DockerFiles {
    let host: HostRoot
    let notices: Notices

    /// The most containers read; a folder with more is not one of an engine's.
    private static let containersMaximum = 10_000

    /// The containers in an engine's data folder; nil when it cannot be read.
    func containers(in dataRoot: String) -> [Container]? {
        let folder = "\(dataRoot)/containers"
        guard let names = host.folderNames(folder) else {
            notices.say(
                .information, about: folder,
                "\(folder) cannot be read: while the engine does not answer, containers are known by their id alone")
            return nil
        }
        notices.settle(folder)
        return names.prefix(Self.containersMaximum).compactMap { name in
            guard ContainerPath.identifier(in: name) == name else { return nil }
            return container(name, in: dataRoot)
        }
    }

    /// One container in an engine's data folder; nil when there is no whole file about it.
    func container(_ id: String, in dataRoot: String) -> Container? {
        let folder = "\(dataRoot)/containers/\(id)"
        guard let bytes = host.bytes("\(folder)/config.v2.json", limit: 4 << 20),
            let json = try? JSONValue(parsing: bytes)
        else { return nil }
        let hostBytes = host.bytes("\(folder)/hostconfig.json", limit: 4 << 20)
        let hostConfiguration = hostBytes.flatMap { try? JSONValue(parsing: $0) }
        return Container(engine: json, hostConfiguration: hostConfiguration)
    }
}
