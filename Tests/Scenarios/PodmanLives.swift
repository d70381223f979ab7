internal import Foundation
internal import Glibc
internal import ScenarioSupport
internal import Testing

/// Containers of a real Podman, of which nobody is asked: known by their cgroups and files, their ends told with the
/// exit code by the kernel and by what conmon writes down, also when they live for a tenth of a second.
@Suite(.serialized) struct PodmanLives {
    private static let count = 5
    private static let reason: String? = {
        if geteuid() != 0 { return "containers of root are made by root" }
        for tool in ["podman", "runc", "conmon", "busybox"] where ChildProcess.find(tool) == nil {
            return "\(tool) is not in PATH"
        }
        return nil
    }()

    /// A Podman with a store of its own.
    private struct Engine {
        let scratch: ScratchFolder

        @discardableResult
        func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
            // conmon keeps every descriptor it is given for as long as the container lives: it gets a file in place of
            // our pipe, and none of those by which Foundation notices a child's end.
            let output = scratch.file("podman.out")
            let ended = try ChildProcess.run(
                "bash",
                [
                    "-c",
                    #"out=$1; shift; for f in /proc/$$/fd/*; do f=${f##*/}; [ $f -gt 2 ] && eval "exec $f>&-"; done; "#
                        + #"exec podman "$@" >"$out" 2>&1 </dev/null"#,
                    "sh", output, "--root",
                    scratch.file("root"), "--runroot", scratch.file("run"), "--storage-driver", "overlay",
                    "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", "runc",
                ] + arguments)
            return (ended.status, (try? String(contentsOfFile: output, encoding: .utf8)) ?? "")
        }

        func importImage() throws {
            let make = """
                set -e; r=\(scratch.file("rootfs")); mkdir -p $r/bin $r/dev $r/etc $r/proc $r/sys $r/tmp
                cp $(command -v busybox) $r/bin/busybox
                for a in $($r/bin/busybox --list | grep -v '^busybox$'); do ln -sf busybox $r/bin/$a; done
                printf 'root:x:0:0::/root:/bin/sh\\n' > $r/etc/passwd
                tar -C $r -cf $r.tar .
                """
            let made = try ChildProcess.run("sh", ["-c", make])
            guard made.status == 0 else { throw ScenarioError(made.output) }
            let imported = try run(["import", "-c", "CMD [\"/bin/sh\"]", scratch.file("rootfs.tar"), "bb:1"])
            guard imported.status == 0 else { throw ScenarioError("podman import: \(imported.output)") }
        }

        /// Starts a container in the background.
        func start(_ name: String, _ script: String) throws {
            let started = try run([
                "run", "-d", "--name", name, "--network", "none", "--memory", "64m", "--memory-swap", "64m",
                "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=512:512", "bb:1", "sh", "-c", script,
            ])
            guard started.status == 0 else { throw ScenarioError("podman run \(name): \(started.output)") }
        }

        func remove() {
            _ = try? run(["rm", "-f", "-a", "-t", "0"])
            _ = try? ChildProcess.run(
                "sh", ["-c", "umount \(scratch.file("root"))/overlay \(scratch.file("root")) 2>/dev/null; true"])
            scratch.remove()
        }
    }

    @Test(.enabled(if: reason == nil, "\(reason ?? "")"))
    func everyEndIsToldWithItsCodeAndWhatItTook() async throws {
        let engine = Engine(scratch: try ScratchFolder("podman"))
        defer { engine.remove() }
        try engine.importImage()
        let vedette = try await VedetteProcess(
            dataFolder: engine.scratch.file("data"), arguments: ["--docker", "unix:///none.sock"])
        do {
            for number in 1...Self.count {
                // Some megabytes of text, then the end.
                try engine.start(
                    "short-\(number)", "x=$(head -c 8000000 /dev/zero | tr '\\000' x); sleep 0.1; exit \(number + 1)")
            }
            for number in 1...Self.count { try await expectEnd("short-\(number)", code: "\(number + 1)", vedette) }
        } catch {
            Issue.record("\(error)\n\(vedette.process.output.suffix(4_000))")
        }
        await vedette.stop()
    }

    private func expectEnd(_ name: String, code: String, _ vedette: VedetteProcess) async throws {
        let query = "{source=\"vedette\"} | event=\"exit\" |= \"container \(name) ended\""
        await expectSoon("the end of \(name) is told", seconds: 20) { try await !vedette.lines(query).isEmpty }
        let lines = try await vedette.lines(query)
        #expect(lines.count == 1, "\(lines)")
        let details = try JSONTree(lines.first ?? "{}")["details"]
        #expect(details["exit_code"].string == code, "\(lines)")
        #expect(details["memory_peak_bytes"].number > 1_000_000, "\(lines)")
    }
}
