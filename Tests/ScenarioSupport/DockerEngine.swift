internal import Foundation
internal import Glibc

/// A Docker daemon of the test's own: its own data, its own socket, ended with everything it started.
package final class DockerEngine: Sendable {
    /// Why no daemon can run here; nil when one can.
    package static var reasonForAbsence: String? {
        guard getuid() == 0 else { return "needs root to start a Docker daemon" }
        guard ChildProcess.find("dockerd") != nil else { return "dockerd is not in PATH" }
        guard FileManager.default.fileExists(atPath: "/sys/fs/cgroup") else { return "no cgroups here" }
        return nil
    }

    /// The one image there is: busybox.
    package static let image = "bb:1"

    private let scratch: ScratchFolder
    private let daemon: ChildProcess
    /// The value of DOCKER_HOST.
    package let host: String
    /// The socket's path.
    package let socketPath: String

    /// Starts the daemon and imports the image.
    package static func start() async throws -> DockerEngine {
        let engine = try DockerEngine()
        let isUp = await eventually(seconds: 30) { (try? engine.docker("version"))?.status == 0 }
        guard isUp else { throw ScenarioError("dockerd did not come up:\n\(engine.daemon.output.suffix(2_000))") }
        try engine.importImage()
        return engine
    }

    private init() throws {
        scratch = try ScratchFolder("docker")
        socketPath = scratch.file("d.sock")
        host = "unix://\(socketPath)"
        let arguments = [
            "--iptables=false", "--ip6tables=false", "--bridge=none",
            "--data-root", scratch.file("data"), "--exec-root", scratch.file("exec"),
            "--pidfile", scratch.file("docker.pid"), "-H", host, "--log-driver", "json-file",
        ]
        daemon = try ChildProcess("dockerd", arguments, logPath: scratch.file("dockerd.log"))
    }

    package var pid: Int32 { daemon.pid }

    /// The daemon's data folder.
    package var dataRoot: String { scratch.file("data") }

    /// Runs the docker command line against this daemon.
    @discardableResult
    package func docker(_ arguments: String...) throws -> (status: Int32, output: String) {
        try ChildProcess.run("docker", arguments, environment: ["DOCKER_HOST": host])
    }

    /// Starts a container of the busybox image in the background and returns its id.
    package func runContainer(
        name: String, memoryMegabytes: Int? = nil, options: [String] = [], script: String
    ) throws -> String {
        var arguments = ["run", "-d", "--name", name, "--network", "none"]
        if let memoryMegabytes {
            arguments += ["-m", "\(memoryMegabytes)m", "--memory-swap", "\(memoryMegabytes)m"]
        }
        arguments += options + [DockerEngine.image, "sh", "-c", script]
        let (status, output) = try ChildProcess.run("docker", arguments, environment: ["DOCKER_HOST": host])
        guard status == 0 else { throw ScenarioError("docker run \(name): \(output)") }
        return output.split(separator: "\n").last.map(String.init) ?? ""
    }

    /// One field of `docker inspect`, by Go template.
    package func inspect(_ name: String, _ template: String) throws -> String {
        try docker("inspect", "-f", template, name).output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Removes all containers, ends the daemon, and cleans what it leaves behind.
    package func stop() async {
        daemon.signal(SIGCONT)
        if let names = try? docker("ps", "-aq").output.split(separator: "\n").map(String.init), !names.isEmpty {
            _ = try? ChildProcess.run("docker", ["rm", "-f"] + names, environment: ["DOCKER_HOST": host])
        }
        await daemon.stop()
        _ = try? ChildProcess.run("sh", ["-c", "umount \(scratch.path)/exec/netns/* 2>/dev/null; true"])
        scratch.remove()
    }

    private func importImage() throws {
        guard let busybox = ChildProcess.find("busybox") else { throw ScenarioError("busybox is not in PATH") }
        let root = scratch.file("rootfs")
        let make = """
            set -e; r=\(root); mkdir -p $r/bin $r/dev $r/etc $r/proc $r/sys $r/tmp $r/var $r/root
            cp \(busybox) $r/bin/busybox
            for a in $($r/bin/busybox --list | grep -v '^busybox$'); do ln -sf busybox $r/bin/$a; done
            printf 'root:x:0:0::/root:/bin/sh\\n' > $r/etc/passwd
            tar -C $r -cf \(root).tar .
            docker import -c 'CMD ["/bin/sh"]' \(root).tar \(DockerEngine.image)
            """
        let (status, output) = try ChildProcess.run("sh", ["-c", make], environment: ["DOCKER_HOST": host])
        guard status == 0 else { throw ScenarioError("the busybox image could not be made: \(output)") }
    }
}
