internal import Glibc

/// What a VMware host takes from this guest: processor time, memory by balloon and swap, and the limits it set. Slow
/// lane; only where open-vm-tools is installed.
///
/// Linux shows no steal on VMware, so a noisy host is invisible in /proc/stat; the guest library of the tools tells.
/// Names mirror windows_exporter's `windows_vmware_*`.
final class HostGuestCollector: Collector {
    private static let mebibyte = 1_048_576.0
    private static let metrics: [(GuestNumber, Metric, scale: Double)] = [
        (
            .stolenMilliseconds,
            .counter(
                "node_vmware_cpu_stolen_seconds_total",
                "Time that the virtual machine was runnable but not scheduled to run."), 1e-3
        ),
        (
            .usedMilliseconds,
            .counter(
                "node_vmware_cpu_time_seconds_total", "Time during which the virtual machine has been using the CPU."),
            1e-3
        ),
        (
            .processorLimitMegahertz,
            .gauge(
                "node_vmware_cpu_limit_mhz", "The maximum processing power available to the virtual machine."), 1
        ),
        (
            .processorReservationMegahertz,
            .gauge(
                "node_vmware_cpu_reservation_mhz", "The minimum processing power available to the virtual machine."), 1
        ),
        (
            .hostProcessorMegahertz,
            .gauge(
                "node_vmware_host_processor_speed_mhz", "Host processor speed."), 1
        ),
        (
            .balloonedMegabytes,
            .gauge(
                "node_vmware_mem_ballooned_bytes", "Memory reclaimed from this guest via ballooning."), mebibyte
        ),
        (
            .swappedMegabytes,
            .gauge(
                "node_vmware_mem_swapped_bytes", "Memory reclaimed from this guest by host swapping."), mebibyte
        ),
        (
            .memoryLimitMegabytes,
            .gauge(
                "node_vmware_mem_limit_bytes", "The maximum memory available to this virtual machine."), mebibyte
        ),
        (
            .memoryReservationMegabytes,
            .gauge(
                "node_vmware_mem_reservation_bytes", "The minimum memory available to this virtual machine."), mebibyte
        ),
        (
            .memoryUsedMegabytes,
            .gauge(
                "node_vmware_mem_used_bytes", "The estimated amount of host memory used for this guest."), mebibyte
        ),
    ]

    private let guest: any GuestStatistics
    private let slots: [TargetSamples.Slot]

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        guard let guest = context.guest else { return nil }
        self.guest = guest
        slots = Self.metrics.map { samples.slot($0.1) }
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        guard guest.update() else { return }
        for (slot, (number, _, scale)) in zip(slots, Self.metrics) {
            if let value = guest.value(number) { samples.set(slot, Double(value) * scale) }
        }
    }
}

/// A number that a hypervisor tells its guest.
enum GuestNumber: String, CaseIterable {
    case stolenMilliseconds = "VMGuestLib_GetCpuStolenMs"
    case usedMilliseconds = "VMGuestLib_GetCpuUsedMs"
    case processorLimitMegahertz = "VMGuestLib_GetCpuLimitMHz"
    case processorReservationMegahertz = "VMGuestLib_GetCpuReservationMHz"
    case hostProcessorMegahertz = "VMGuestLib_GetHostProcessorSpeed"
    case balloonedMegabytes = "VMGuestLib_GetMemBalloonedMB"
    case swappedMegabytes = "VMGuestLib_GetMemSwappedMB"
    case memoryLimitMegabytes = "VMGuestLib_GetMemLimitMB"
    case memoryReservationMegabytes = "VMGuestLib_GetMemReservationMB"
    case memoryUsedMegabytes = "VMGuestLib_GetMemUsedMB"

    /// The library writes 64 bits for times and 32 for everything else.
    var isWide: Bool { self == .stolenMilliseconds || self == .usedMilliseconds }
}

/// Port: what the hypervisor tells this machine about itself.
protocol GuestStatistics: AnyObject {
    /// Fetches the numbers of this moment; false when the hypervisor does not answer.
    func update() -> Bool
    /// A number as it was fetched last; nil where the hypervisor does not tell it.
    func value(_ number: GuestNumber) -> UInt64?
}

/// The guest library of open-vm-tools (`vmGuestLib.h`), opened where it is installed and the machine is VMware's.
final class VMwareGuestLibrary: GuestStatistics {
    private typealias Open = @convention(c) (UnsafeMutablePointer<UnsafeMutableRawPointer?>) -> Int32
    private typealias Call = @convention(c) (UnsafeMutableRawPointer?) -> Int32
    private typealias Get = @convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer) -> Int32

    private let handle: UnsafeMutableRawPointer?
    private let updateCall: Call
    private let closeCall: Call
    private let getters: [GuestNumber: Get]

    /// Nil, and said why, where the numbers cannot be had on a machine of VMware's.
    init?(host: HostRoot, notices: Notices) {
        func reason(_ text: String) {
            notices.say(.information, about: "guest", "what VMware takes from this guest is not seen: \(text)")
        }
        let maker = host.text("/sys/class/dmi/id/sys_vendor") ?? ""
        guard host.isMachine, maker.hasPrefix("VMware") else { return nil }
        guard let library = dlopen("libguestlib.so.0", RTLD_NOW) else {
            reason("libguestlib.so.0 of open-vm-tools is not installed")
            return nil
        }
        func find<Function>(_ name: String, as type: Function.Type) -> Function? {
            dlsym(library, name).map { unsafeBitCast($0, to: type) }
        }
        guard let open = find("VMGuestLib_OpenHandle", as: Open.self),
            let update = find("VMGuestLib_UpdateInfo", as: Call.self),
            let close = find("VMGuestLib_CloseHandle", as: Call.self)
        else {
            reason("libguestlib.so.0 is not the one that is known")
            return nil
        }
        var handle: UnsafeMutableRawPointer?
        guard open(&handle) == 0 else {
            reason("the hypervisor does not answer its guest library")
            return nil
        }
        self.handle = handle
        updateCall = update
        closeCall = close
        var getters: [GuestNumber: Get] = [:]
        for number in GuestNumber.allCases { getters[number] = find(number.rawValue, as: Get.self) }
        self.getters = getters
    }

    deinit { _ = closeCall(handle) }

    func update() -> Bool { updateCall(handle) == 0 }

    func value(_ number: GuestNumber) -> UInt64? {
        guard let get = getters[number] else { return nil }
        var value: UInt64 = 0
        guard get(handle, &value) == 0 else { return nil }
        return number.isWide ? value : value & 0xffff_ffff
    }
}
