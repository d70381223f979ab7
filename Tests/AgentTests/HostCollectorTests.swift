import Glibc
import Telemetry
import Testing

@testable import Agent

/// What single host collectors make of what the kernel says, where no golden file shows it.
@Suite struct HostCollectorTests {
    /// node_exporter's expression for devices that are left out, and what falls under it.
    @Test(arguments: [
        ("sda", false), ("sda1", true), ("sdaa1", false), ("vdb", false), ("vdb12", true), ("xvda1", true),
        ("nvme0n1", false), ("nvme0n1p2", true), ("loop7", true), ("ram0", true), ("zram0", true), ("zd0", false),
        ("md0", false), ("dm-3", false), ("fd0", true), ("mmcblk0", false), ("sr0", false),
    ])
    func partitionsAndPseudoDevicesAreLeftOut(_ name: String, _ isIgnored: Bool) {
        let bytes = Array(name.utf8)
        #expect(bytes.withUnsafeBytes { HostDiskCollector.isIgnored($0) } == isIgnored)
    }

    @Test func aClockThatIsNotKeptSaysSo() {
        var raw = [UInt8](repeating: 0, count: 208)
        raw.withUnsafeMutableBytes { bytes in
            bytes.storeBytes(of: Int64(1_500), toByteOffset: 8, as: Int64.self)
            bytes.storeBytes(of: Int64(65_536), toByteOffset: 16, as: Int64.self)
            bytes.storeBytes(of: Int64(16_000_000), toByteOffset: 24, as: Int64.self)
            bytes.storeBytes(of: Int32(0x2000), toByteOffset: 40, as: Int32.self)
            bytes.storeBytes(of: Int64(10_000), toByteOffset: 88, as: Int64.self)
            bytes.storeBytes(of: Int32(37), toByteOffset: 160, as: Int32.self)
        }
        let kept = raw.withUnsafeBytes { ClockDiscipline($0, result: 0).values }
        #expect(kept[0] == 1)
        #expect(kept[1] == 1.5e-6)
        #expect(kept[2] == 1 + 1e-6)
        #expect(kept[3] == 16)
        #expect(kept[7] == 0.01)
        #expect(kept[16] == 37)
        #expect(raw.withUnsafeBytes { ClockDiscipline($0, result: 5).values[0] } == 0)
    }

    @Test func arraysThatRebuildAndThatWaitAreTold() {
        let arrays = RaidArray.parse(
            """
            Personalities : [raid1]
            md3 : active raid1 sdb1[1] sda1[0]
                  100 blocks super 1.2 [2/1] [U_]
                    resync=DELAYED

            md4 : inactive sdc1[0](S)
                  50 blocks super 1.2

            md5 : active (auto-read-only) raid1 sde1[1] sdd1[0]
                  70 blocks super 1.2 [2/2] [UU]
                  [====>......]  check = 20.0% (14/70) finish=1.0min speed=1K/sec
            """)
        #expect(arrays.map(\.name) == ["md3", "md4", "md5"])
        #expect(arrays.map(\.state) == ["resync", "inactive", "check"])
        #expect(arrays.map(\.synced) == [0, 50, 14])
        #expect(arrays.map(\.active) == [1, 0, 2])
        #expect(arrays.map(\.spare) == [0, 1, 0])
    }

    @Test func aRhythmComesRoundByIntervalsAndNotByTicks() {
        var rhythm = Rhythm(every: 15, phase: 4)
        // The second round is early by the phase, the others are not; then come ticks of five intervals.
        let due = [7, 17, 18, 28, 33, 38, 43, 48].filter { rhythm.isDue(at: $0) }
        #expect(due == [7, 18, 33, 48])
    }

    @Test func aNetworkNamespaceIsCountedOnce() {
        let owners = NetworkOwners(host: HostRoot("/nowhere"))
        #expect(owners.claims("net:[1]", container: "app", isSandbox: false))
        #expect(!owners.claims("net:[1]", container: "sidecar", isSandbox: false))
        #expect(owners.claims("net:[1]", container: "app", isSandbox: false))
        // The pod's own container takes over, and keeps it.
        #expect(owners.claims("net:[1]", container: "pause", isSandbox: true))
        #expect(!owners.claims("net:[1]", container: "app", isSandbox: false))
        owners.release("net:[1]", container: "app")
        #expect(!owners.claims("net:[1]", container: "app", isSandbox: false))
        owners.release("net:[1]", container: "pause")
        #expect(owners.claims("net:[1]", container: "app", isSandbox: false))
        #expect(owners.claims("net:[2]", container: "other", isSandbox: false))
    }

    @Test func aTextfileIsTakenWholeOrNotAtAll() throws {
        let text = """
            # HELP job_seconds How long.
            # TYPE job_seconds summary
            job_seconds{quantile="0.5"} 1
            job_seconds_sum 2
            plain{node="elsewhere"} +Inf
            """
        let readings = try HostTextfileCollector.readings(Array(text.utf8))
        #expect(readings.map(\.metric.name) == ["job_seconds", "job_seconds_sum", "plain"])
        #expect(readings.map(\.metric.kind) == [.summary, .summary, .unknown])
        #expect(readings.map(\.metric.help) == ["How long.", "How long.", ""])
        #expect(readings[2].labels.map(\.0) == ["exported_node"])
        #expect(readings[2].value == .infinity)
        #expect(throws: TextfileError.self) { try HostTextfileCollector.readings(Array("a 1\nb{ 2\n".utf8)) }
        #expect(throws: TextfileError.self) { try HostTextfileCollector.readings(Array("a 1 1700000000000\n".utf8)) }
    }

    private final class FakeGuest: GuestStatistics {
        var isAnswering = true
        func update() -> Bool { isAnswering }
        func value(_ number: GuestNumber) -> UInt64? {
            switch number {
            case .stolenMilliseconds: 1_500
            case .balloonedMegabytes: 3
            default: nil
            }
        }
    }

    @Test func theBalloonDriversFileIsReadWhereTheToolsAreNotInstalled() throws {
        let scratch = ScratchFolder()
        #expect(VMwareBalloonFile(host: HostRoot(scratch.path)) == nil)
        for folder in ["sys", "sys/kernel", "sys/kernel/debug"] { scratch.makeFolder(folder) }
        scratch.write(
            "target:             1024 pages\ncurrent:             512 pages\nrateSleepAlloc:      2048 pages/sec\n",
            to: "sys/kernel/debug/vmmemctl")
        let balloon = try #require(VMwareBalloonFile(host: HostRoot(scratch.path)))
        #expect(balloon.value(.balloonedMegabytes) == 2)
        #expect(balloon.value(.stolenMilliseconds) == nil)
        unlink("\(scratch.path)/sys/kernel/debug/vmmemctl")
        #expect(!balloon.update())
    }

    @Test func whatAHypervisorTakesIsShown() throws {
        let host = HostRoot("/nowhere")
        let guest = FakeGuest()
        let context = CollectionContext(
            host: host, layout: CgroupLayout(of: host), node: "n", notices: Fixture.quiet, counters: EventCounters(),
            guest: guest)
        let samples = TargetSamples(base: [], target: .empty, intervalMilliseconds: 1_000)
        let collector = try #require(HostGuestCollector(context, samples))
        let tick = Tick(nanoseconds: 0, number: 0)
        collector.collect(tick, into: samples)
        #expect(
            Fixture.text([samples.group]) == [
                "node_vmware_cpu_stolen_seconds_total 1.5", "node_vmware_mem_ballooned_bytes 3145728.0",
            ])
        guest.isAnswering = false
        samples.begin(milliseconds: 1)
        collector.collect(tick, into: samples)
        #expect(samples.group.values.isEmpty)
    }
}
