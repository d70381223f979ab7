import Glibc
import Telemetry
import TestSupport
import Testing

@testable import Agent

/// How lives end outside of Docker: what the kernel, conmon and systemd say of it.
@Suite struct ExitCodeTests {
    private static let id = String(repeating: "ab01", count: 16)

    private func hub(_ clock: ManualClock) -> EventHub {
        EventHub(wallClock: clock, monotonicClock: clock, wake: {}, lastWords: { _, _ in })
    }

    /// Starts a shell and returns it with a descriptor of it.
    private func shell(_ script: String) throws -> (pid: Int32, descriptor: Int32) {
        var pid: pid_t = 0
        let words = ["sh", "-c", script]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        try #require(posix_spawn(&pid, "/bin/sh", nil, nil, &arguments, environ) == 0)
        return (pid, LinuxCalls.openProcess(pid))
    }

    @Test func theKernelTellsHowAProcessEndedThatIsNoChild() throws {
        for (script, wanted) in [("exit 7", 7), ("kill -9 $$", 137), ("exit 0", 0)] {
            let (pid, descriptor) = try shell(script)
            defer { close(descriptor) }
            var status: Int32 = 0
            #expect(waitpid(pid, &status, 0) == pid)
            guard let code = LinuxCalls.exitCode(ofProcess: descriptor) else {
                // Kernels before 6.15 do not tell.
                let release = HostRoot().text("/proc/sys/kernel/osrelease") ?? ""
                let parts = release.split(separator: ".").prefix(2).compactMap { Int($0.prefix { $0.isNumber }) }
                #expect(parts.count == 2 && (parts[0], parts[1]) < (6, 15), "\(release)")
                continue
            }
            #expect(code == wanted)
        }
        #expect(LinuxCalls.exitCode(ofProcess: 0) == nil)
    }

    @Test func theCodeJoinsTheEndThatWasSeen() throws {
        let clock = ManualClock()
        let hub = hub(clock)
        hub.saw(.exit(code: nil), of: "c", by: .process)
        hub.learned(exitCode: 3, of: "c")
        // Alone it waits for somebody else, though not for long.
        #expect(hub.takeDue(atNanoseconds: clock.nowNanoseconds).isEmpty)
        hub.saw(.exit(code: nil), of: "c", by: .cgroup)
        let incident = try #require(hub.takeDue(atNanoseconds: clock.nowNanoseconds).first)
        #expect(incident.details["exit_code"] == "3")
        #expect(incident.sources == [.process, .cgroup])
        // It is told once; what comes later only confirms.
        hub.saw(.exit(code: 3), of: "c", by: .conmon)
        hub.learned(exitCode: 9, of: "c")
        clock.advance(milliseconds: 1_000)
        #expect(hub.takeDue(atNanoseconds: clock.nowNanoseconds).isEmpty)
    }

    @Test func conmonsCommandLineNamesTheContainerAndWhereCodesAreWritten() throws {
        let words = [
            "/usr/bin/conmon", "--api-version", "1", "-c", Self.id, "-r", "/usr/bin/runc", "-b",
            "/s/\(Self.id)/userdata",
            "-n", "web", "--exit-dir", "/run/libpod/exits", "--exit-command", "/usr/bin/podman", "--exit-dir", "/no",
        ]
        let conmon = try #require(Conmon(commandLine: words))
        #expect(conmon.name == "web")
        #expect(conmon.bundle == "/s/\(Self.id)/userdata")
        #expect(conmon.exitFolder == "/run/libpod/exits")
        #expect(Conmon(commandLine: ["/usr/bin/bash", "-n", "x"]) == nil)
        #expect(Conmon(commandLine: []) == nil)
    }

    @Test func theMonitorIsTheParentOfTheFirstProcess() throws {
        let scratch = ScratchFolder()
        for folder in ["proc", "proc/20", "proc/10"] { scratch.makeFolder(folder) }
        scratch.write("20 (a) b) S 10 20 20 0 -1", to: "proc/20/stat")
        scratch.write("conmon\0-n\0web\0--exit-dir\0/x\0", to: "proc/10/cmdline")
        #expect(Conmon(of: 20, on: HostRoot(scratch.path))?.name == "web")
        scratch.write("sh\0-c\0x\0", to: "proc/10/cmdline")
        #expect(Conmon(of: 20, on: HostRoot(scratch.path)) == nil)
        #expect(Conmon(of: 0, on: HostRoot(scratch.path)) == nil)
    }

    @Test func aFileOfAnExitCodeIsToldOnceALife() throws {
        let (scratch, clock) = (ScratchFolder(), ManualClock())
        scratch.makeFolder("exits")
        let hub = hub(clock)
        let files = ExitFiles(host: HostRoot(scratch.path), hub: hub)
        scratch.write("137", to: "exits/\(Self.id)")
        scratch.write("1", to: "exits/\(Self.id).AB12CD")
        scratch.write("nonsense", to: "exits/\(String(repeating: "f", count: 64))")
        files.read("/exits")
        files.read("/exits")
        clock.advance(milliseconds: 100)
        let incidents = hub.takeDue(atNanoseconds: clock.nowNanoseconds)
        #expect(incidents.map(\.container) == [Self.id])
        #expect(incidents.first?.details["exit_code"] == "137")
        #expect(incidents.first?.sources == [.conmon])
        // The next life of the same container writes it anew.
        utimes("\(scratch.path)/exits/\(Self.id)", [timeval(tv_sec: 5, tv_usec: 0), timeval(tv_sec: 5, tv_usec: 0)])
        files.read("/exits")
        clock.advance(milliseconds: 100)
        #expect(hub.takeDue(atNanoseconds: clock.nowNanoseconds).count == 1)
    }

    @Test func unitsNamesAreEscapedAsSystemdDoes() {
        #expect(SystemdUnits.escaped("ssh.service") == "ssh_2eservice")
        #expect(SystemdUnits.escaped("a-b@1.service") == "a_2db_401_2eservice")
        #expect(SystemdUnits.escaped("1x") == "_31x")
    }
}
