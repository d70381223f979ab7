internal import Telemetry

/// The most that any one container of a service took within an interval, over the last five to ten minutes: what it
/// must be given so that it is not throttled or killed. An average over minutes hides exactly that.
///
/// Right-sizing needs these after the fine samples are gone, so they are series of their own, in the slow lane.
struct ServicePeaks {
    /// The most of one window.
    private struct Peak {
        var cores: Double = 0
        var memoryBytes: Double = 0
    }

    private struct Service {
        var current = Peak()
        var previous = Peak()
        /// Containers that ran in this tick.
        var running = 0
        var slots: [TargetSamples.Slot] = []
    }

    private static let metrics: [Metric] = [
        .gauge(
            "service_cpu_peak_cores",
            "The most processors that one container of the service used in one interval, in the last 5 to 10 minutes."),
        .gauge(
            "service_memory_working_set_peak_bytes",
            "The largest working set of one container of the service in the last 5 to 10 minutes."),
        .gauge("service_containers", "Containers of the service that run on this node."),
    ]
    private static let servicesMaximum = 4_096
    private static let windowNanoseconds: Int64 = 300_000_000_000

    let samples: TargetSamples
    private var services: [String: Service] = [:]
    private var windowStart: Int64 = 0
    private var slow = Rhythm(every: HostTarget.slowEvery)

    /// Peaks on `context`'s node.
    init(_ context: CollectionContext, intervalMilliseconds: Int64) {
        let base: [(name: String, value: String)] = [
            ("job", "vedette-agent"), ("instance", context.node), ("node", context.node),
        ]
        samples = TargetSamples.slow(base: base, target: base, intervalMilliseconds: intervalMilliseconds)
    }

    /// Takes what a container took in one interval.
    mutating func add(_ usage: ContainerUsage, of service: String) {
        guard var known = services[service] ?? (services.count < Self.servicesMaximum ? Service() : nil) else { return }
        known.current.cores = max(known.current.cores, usage.cores)
        known.current.memoryBytes = max(known.current.memoryBytes, usage.memoryBytes)
        known.running += 1
        services[service] = known
    }

    /// The tick is over: returns the group to send where that is due.
    mutating func finish(_ tick: Tick) -> SampleGroup? {
        defer { for name in services.keys { services[name]?.running = 0 } }
        if abs(tick.nanoseconds - windowStart) >= Self.windowNanoseconds {
            windowStart = tick.nanoseconds
            for (name, service) in services {
                // Nothing ran of it for two windows.
                if service.current.memoryBytes == 0, service.previous.memoryBytes == 0, service.running == 0 {
                    services[name] = nil
                } else {
                    services[name]?.previous = service.current
                    services[name]?.current = Peak()
                }
            }
        }
        guard slow.isDue(at: tick.number) else { return nil }
        samples.begin(milliseconds: tick.milliseconds)
        for (name, service) in services {
            let slots =
                service.slots.isEmpty ? Self.metrics.map { samples.slot($0, ("service", name)) } : service.slots
            if service.slots.isEmpty { services[name]?.slots = slots }
            samples.set(slots[0], max(service.current.cores, service.previous.cores))
            samples.set(slots[1], max(service.current.memoryBytes, service.previous.memoryBytes))
            samples.set(slots[2], Double(service.running))
        }
        samples.finish()
        return samples.group.values.isEmpty ? nil : samples.group
    }
}

/// What a container took in one interval.
struct ContainerUsage: Equatable, Sendable {
    /// Processors, on average over the interval.
    var cores: Double
    /// The working set at its end.
    var memoryBytes: Double
}
