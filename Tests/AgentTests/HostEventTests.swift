import Glibc
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import Agent

/// Pressure, failed units and kernel warnings become events and counters.
@Suite struct HostEventTests {
    private final class Told {
        var events: [HostEvent] = []
        var groups: [SampleGroup] = []
    }

    private static func hostEvents(
        _ host: HostRoot, _ loop: ReadyLoop, _ clock: ManualClock, _ told: Told
    ) -> HostEvents {
        let context = CollectionContext(
            host: host, layout: CgroupLayout(of: host), node: "n", notices: Fixture.quiet, counters: EventCounters())
        return HostEvents(
            context, loop: loop, wallClock: clock, monotonicClock: clock, intervalMilliseconds: 1_000,
            tell: { told.events += $0 }, deliver: { told.groups.append($0) })
    }

    @Test(arguments: [
        ("3,1,5,-;INFO: task jbd2/sda1-8:412 blocked for more than 120 seconds.", KernelWarning.hungTask),
        (
            "2,1,5,-;EXT4-fs error (device sda1): ext4_lookup:1785: inode #2: comm ls: iget: checksum invalid",
            .fileSystem
        ),
        ("3,1,5,-;blk_update_request: I/O error, dev sda, sector 2048", .inputOutput),
        ("4,1,5,-;nf_conntrack: nf_conntrack: table full, dropping packet", .connectionTracking),
        ("0,1,5,-;watchdog: BUG: soft lockup - CPU#1 stuck for 22s!", .lockup),
        ("0,1,5,-;mce: [Hardware Error]: Machine check events logged", .hardware),
    ])
    func warningsOfTheKernelAreKnownByTheirWords(_ record: String, _ kind: KernelWarning) {
        #expect(KernelWarning.find(in: record[...])?.kind == kind)
    }

    @Test(arguments: [
        "6,1,5,-;XFS (sda1): Mounting V5 Filesystem", "12,1,5,-;somebody writes I/O error", "", "3,1",
        "3,1,5,-;all well",
    ])
    func otherRecordsAreNoWarnings(_ record: String) {
        #expect(KernelWarning.find(in: record[...]) == nil)
    }

    @Test func aWarningIsToldOnceAMinuteAndCountedAlways() throws {
        let (told, clock) = (Told(), ManualClock())
        let loop = try #require(ReadyLoop())
        let events = Self.hostEvents(HostRoot("/nowhere"), loop, clock, told)
        let record: Substring = "3,1,5,-;blk_update_request: I/O error, dev sda, sector 2048"
        for _ in 0..<5 { events.take(kernelRecord: record) }
        #expect(told.events.map(\.kind) == [.kernelWarning])
        #expect(told.groups.count == 1)
        clock.advance(milliseconds: 61_000)
        events.take(kernelRecord: record)
        #expect(told.events.last?.details["count"] == "5")
        let text = Fixture.text([try #require(events.collect(Tick(nanoseconds: 1, number: 1)))])
        #expect(
            text.contains {
                $0.contains("node_kernel_warnings_total") && $0.contains("input_output") && $0.hasSuffix(" 6.0")
            })
        #expect(text.contains { $0.contains("hung_task") && $0.hasSuffix(" 0.0") })
    }

    @Test(.enabled(if: access("/proc/pressure/cpu", W_OK) == 0, "the kernel has no pressure stall information"))
    func theKernelTellsOfPressureOnTheProcessors() throws {
        let fired = Mutex(0)
        let loop = try #require(ReadyLoop())
        let trigger = PressureTrigger(.cpu, path: "/proc/pressure/cpu", loop: loop) { fired.withLock { $0 += 1 } }
        guard trigger != nil else {
            Swift.print("skipped: the kernel gives no trigger here (\(String(cString: strerror(errno))))")
            return
        }
        // More threads than processors: somebody always waits.
        let stop = Atomic(false)
        let threads = (0..<16).compactMap { _ in
            AgentThread(name: "busy") { while !stop.load(ordering: .relaxed) {} }
        }
        #expect(threads.count == 16)
        let clock = SystemMonotonicClock()
        let start = clock.nowNanoseconds
        while fired.withLock({ $0 }) == 0, clock.nowNanoseconds - start < 6_000_000_000 { loop.wait(milliseconds: 100) }
        stop.store(true, ordering: .relaxed)
        #expect(fired.withLock { $0 } > 0)
        withExtendedLifetime(trigger) {}
    }
}
