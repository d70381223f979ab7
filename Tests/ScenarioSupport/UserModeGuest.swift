internal import Foundation
internal import Glibc
internal import Synchronization

/// A user-mode Linux guest with its data on a block image, whose power can be cut.
package final class UserModeGuest {
    /// What one boot said before its power was cut.
    package struct Run: Sendable {
        package var report: LoadReport
        package var console: String
    }

    /// Why no guest can run here; nil when one can.
    package static var reasonForAbsence: String? {
        guard getuid() == 0 else { return "needs root for the guest's image" }
        for program in ["linux.uml", "busybox", "mkfs.ext4", "e2fsck"] where ChildProcess.find(program) == nil {
            return "\(program) is not in PATH"
        }
        guard FileManager.default.fileExists(atPath: Loader.path) else { return "\(Loader.path) is not built" }
        return nil
    }

    private let scratch: ScratchFolder

    /// Makes the guest's root folder and an empty image.
    package init() throws {
        scratch = try ScratchFolder("guest")
        guard let busybox = ChildProcess.find("busybox") else { throw ScenarioError("busybox is not in PATH") }
        let root = scratch.file("root")
        let make = """
            set -e; r=\(root); mkdir -p $r/bin $r/dev $r/proc $r/sys $r/tmp $r/data
            cp \(busybox) $r/bin/busybox
            for a in $($r/bin/busybox --list | grep -v '^busybox$'); do ln -sf busybox $r/bin/$a; done
            for p in \(VedetteProcess.binary) \(Loader.path); do
              cp $p $r/bin/
              for l in $(ldd $p | grep -o '/[^ ]*'); do mkdir -p $r$(dirname $l); cp -L $l $r$l; done
            done
            truncate -s 512M \(scratch.file("disk.img")); mkfs.ext4 -q -F \(scratch.file("disk.img"))
            """
        let (status, output) = try ChildProcess.run("sh", ["-c", make])
        guard status == 0 else { throw ScenarioError("the guest could not be made: \(output)") }
    }

    /// Removes it.
    package func remove() { scratch.remove() }

    /// Repairs the file system, boots, and cuts the power some time after the first acknowledgement of this boot.
    package func boot(run: Int, cutAfterMilliseconds: UInt64) async throws -> Run {
        let check = try ChildProcess.run("e2fsck", ["-fy", scratch.file("disk.img")])
        guard check.status < 4 else { throw ScenarioError("e2fsck: \(check.output)") }
        let guest = try start(
            """
            vedette server --data /data/vedette --listen 127.0.0.1:9797 --memory 400MiB > /tmp/server.log 2>&1 &
            vedette-loader http://127.0.0.1:9797 \(run) || { cat /tmp/server.log; }
            sleep 100
            """, console: "console.\(run)")
        let isLoading = await eventually(seconds: 60) { !guest.isRunning || guest.output.contains("ack ") }
        try await Task.sleep(nanoseconds: cutAfterMilliseconds * 1_000_000)
        // The guest's other processes are of its group; none may go on writing.
        guard await guest.killGroup() else { throw ScenarioError("processes of the guest outlived their power") }
        let console = guest.output
        let remark = isLoading ? "" : "\n(no acknowledgement within 60 s)"
        return Run(report: LoadReport(console), console: console + remark)
    }

    /// Boots, lets the guest do `script` and end by itself, and returns what it printed. Throws when it takes longer.
    package func play(_ script: String, seconds: Double) async throws -> String {
        let guest = try start(script + "\npoweroff -f\n", console: "console")
        let isOver = await eventually(seconds: seconds) { !guest.isRunning }
        guard await guest.killGroup() else { throw ScenarioError("processes of the guest outlived it") }
        guard isOver else { throw ScenarioError("the guest is not through after \(seconds) s:\n\(guest.output)") }
        return guest.output
    }

    /// Boots with the usual mounts, the image on /data and cgroup v2, and does `script`.
    private func start(_ script: String, console: String) throws -> ChildProcess {
        let preparation = """
            #!/bin/sh
            export PATH=/bin
            mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t tmpfs tmpfs /tmp
            mount -t devtmpfs dev /dev 2>/dev/null
            [ -e /dev/ubda ] || mknod /dev/ubda b 98 0
            [ -e /dev/kmsg ] || mknod /dev/kmsg c 1 11
            mount -t ext4 /dev/ubda /data || echo "the image cannot be mounted"
            mount -t cgroup2 cgroup2 /sys/fs/cgroup || echo "there is no cgroup v2"
            ifconfig lo 127.0.0.1 up

            """
        try scratch.write("root/play.sh", preparation + script)
        chmod(scratch.file("root/play.sh"), 0o755)
        return try ChildProcess(
            "linux.uml",
            [
                "mem=768M", "root=/dev/root", "rootfstype=hostfs", "rootflags=\(scratch.file("root"))", "rw",
                "init=/play.sh", "ubd0=\(scratch.file("disk.img"))", "con=null", "con0=null,fd:1", "ssl=null", "quiet",
            ],
            logPath: scratch.file(console), folder: scratch.path)
    }
}
