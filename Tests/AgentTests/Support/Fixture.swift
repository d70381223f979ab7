import Glibc
import Telemetry

@testable import Agent

/// A folder shaped like a host's root, kept beside the tests.
enum Fixture {
    /// The folder of fixtures.
    static let folder: String = {
        var path = #filePath
        while !path.isEmpty, !path.hasSuffix("/AgentTests") { path.removeLast() }
        return path + "/Fixtures"
    }()

    /// The root of the repository.
    static let repository: String = folder.split(separator: "/Tests/AgentTests")[0].description

    /// The host in a fixture.
    static func host(_ name: String) -> HostRoot { HostRoot("\(folder)/\(name)") }

    /// A notice sink that keeps nothing.
    static let quiet = Notices { _ in }

    /// What collectors of a fixture share; every file system has the same sizes.
    static func context(_ name: String, counters: EventCounters = EventCounters()) -> CollectionContext {
        let host = host(name)
        return CollectionContext(
            host: host, layout: CgroupLayout(of: host), node: "node-a", notices: quiet, counters: counters,
            statistics: { _ in
                FilesystemStatistics(
                    sizeBytes: 1000, freeBytes: 500, availableBytes: 400, files: 100, filesFree: 50)
            }, modifiedSeconds: { _ in 1_795_450_000 }, textfileFolder: "/var/lib/prometheus/node-exporter")
    }

    /// The containers that a fixture's cgroups and engine files show.
    static func containers(_ name: String) -> [Container] {
        let host = host(name)
        let registry = ContainerRegistry()
        let files = DockerFiles(host: host, notices: quiet).containers(in: "/var/lib/docker") ?? []
        registry.setFiles(files, atNanoseconds: 0)
        registry.setGroups(CgroupScanner(host: host, layout: CgroupLayout(of: host)).scan().groups, atNanoseconds: 0)
        return registry.snapshot.containers.values.sorted { $0.id < $1.id }
    }

    /// What was set, one line per sample, ordered.
    static func text(_ groups: [SampleGroup]) -> [String] {
        groups.flatMap { group in
            group.values.indices.map { index in
                "\(group.series[Int(group.seriesIndexes[index])].labels) \(group.values[index])"
            }
        }.sorted()
    }

    /// The lines of a text file of the fixtures, empty when it is not there.
    static func lines(_ path: String) -> [String] {
        let text = HostRoot(folder).text("/" + path, limit: 8 << 20) ?? ""
        return text.split(separator: "\n").map(String.init)
    }
}

/// A folder that is removed at the end of its test.
final class ScratchFolder {
    let path: String

    init() {
        var template = Array("/tmp/vedette-agent-test-XXXXXX".utf8CString)
        path = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp/vedette-agent-test"
    }

    deinit { Self.remove(path) }

    /// Writes a file.
    func write(_ text: String, to name: String) {
        guard let file = fopen("\(path)/\(name)", "w") else { return }
        let bytes = Array(text.utf8)
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
    }

    /// Adds to a file.
    func append(_ text: String, to name: String) {
        guard let file = fopen("\(path)/\(name)", "a") else { return }
        fputs(text, file)
        fclose(file)
    }

    /// Makes a folder.
    func makeFolder(_ name: String) { mkdir("\(path)/\(name)", 0o755) }

    private static func remove(_ path: String) {
        for name in HostRoot().names(path) ?? [] {
            let child = "\(path)/\(name)"
            if unlink(child) != 0 { remove(child) }
        }
        rmdir(path)
    }
}
