internal import Glibc

/// How well the host's clock is kept: adjtimex(2), the clock source, the time zone. Slow lane.
final class HostClockCollector: Collector {
    private static let sources = "/sys/devices/system/clocksource"
    /// The fields of `struct timex` in the order in which they are set below.
    private static let gauges: [(name: String, help: String)] = [
        ("sync_status", "Is clock synchronized to a reliable server (1 = yes, 0 = no)."),
        ("offset_seconds", "Time offset in between local system and reference clock."),
        ("frequency_adjustment_ratio", "Local clock frequency adjustment."),
        ("maxerror_seconds", "Maximum error in seconds."), ("estimated_error_seconds", "Estimated error in seconds."),
        ("status", "Value of the status array bits."), ("loop_time_constant", "Phase-locked loop time constant."),
        ("tick_seconds", "Seconds between clock ticks."), ("pps_frequency_hertz", "Pulse per second frequency."),
        ("pps_jitter_seconds", "Pulse per second jitter."),
        ("pps_shift_seconds", "Pulse per second interval duration."),
        ("pps_stability_hertz", "Pulse per second stability, average of recent frequency changes."),
        ("pps_jitter_total", "Pulse per second count of jitter limit exceeded events."),
        ("pps_calibration_total", "Pulse per second count of calibration intervals."),
        ("pps_error_total", "Pulse per second count of calibration errors."),
        ("pps_stability_exceeded_total", "Pulse per second count of stability limit exceeded events."),
        ("tai_offset_seconds", "International Atomic Time (TAI) offset."),
    ]
    private static let zone = Metric.gauge("node_time_zone_offset_seconds", "System time zone offset in seconds.")
    private static let available = Metric.gauge(
        "node_time_clocksource_available_info", "Available clocksources read from '\(sources)'.")
    private static let current = Metric.gauge(
        "node_time_clocksource_current_info", "Current clocksource read from '\(sources)'.")

    private let context: CollectionContext
    private let slots: [TargetSamples.Slot]

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        self.context = context
        // A fixture has no clock.
        slots =
            !context.host.isMachine
            ? []
            : Self.gauges.map { name, help in
                let full = "node_timex_\(name)"
                return samples.slot(name.hasSuffix("_total") ? .counter(full, help) : .gauge(full, help))
            }
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        collectSources(samples)
        guard context.host.isMachine else { return }
        if let discipline = LinuxCalls.clockDiscipline() {
            for (slot, value) in zip(slots, discipline.values) { samples.set(slot, value) }
        }
        var seconds = time_t(tick.nanoseconds / 1_000_000_000)
        var local = tm()
        guard localtime_r(&seconds, &local) != nil else { return }
        let name = local.tm_zone.map { String(cString: $0) } ?? ""
        samples.set(samples.slot(Self.zone, ("time_zone", name)), Double(local.tm_gmtoff))
    }

    private func collectSources(_ samples: TargetSamples) {
        for folder in context.host.folderNames(Self.sources) ?? [] where folder.hasPrefix("clocksource") {
            let device = ("device", String(folder.dropFirst("clocksource".count)))
            let list = context.line("\(Self.sources)/\(folder)/available_clocksource") ?? ""
            for name in list.split(separator: " ") {
                samples.set(samples.slot(Self.available, device, ("clocksource", String(name))), 1 as Double)
            }
            if let name = context.line("\(Self.sources)/\(folder)/current_clocksource"), !name.isEmpty {
                samples.set(samples.slot(Self.current, device, ("clocksource", name)), 1 as Double)
            }
        }
    }
}

/// What the kernel's clock discipline says, as `struct timex` has it.
struct ClockDiscipline: Equatable {
    /// In the order of `HostClockCollector.gauges`.
    var values: [Double]

    /// Reads a `struct timex` of a 64-bit Linux; `result` is what the call returned.
    init(_ raw: UnsafeRawBufferPointer, result: Int32) {
        func word(_ offset: Int) -> Double { Double(raw.load(fromByteOffset: offset, as: Int64.self)) }
        func half(_ offset: Int) -> Int32 { raw.load(fromByteOffset: offset, as: Int32.self) }
        let status = half(40)
        // STA_NANO: offset and jitter are in nanoseconds.
        let unit = status & 0x2000 != 0 ? 1e9 : 1e6
        // Frequencies have 16 fractional bits, and are in parts per million.
        let frequencyUnit = 1e6 * 65_536
        values = [
            // TIME_ERROR
            result == 5 ? 0 : 1, word(8) / unit, 1 + word(16) / frequencyUnit, word(24) / 1e6, word(32) / 1e6,
            Double(status), word(48), word(88) / 1e6, word(96) / frequencyUnit, word(104) / unit, Double(half(112)),
            word(120) / frequencyUnit, word(128), word(136), word(144), word(152), Double(half(160)),
        ]
    }
}
