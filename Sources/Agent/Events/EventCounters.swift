internal import Synchronization

/// Counts what happened to each container since it was discovered. Counters outlive the container's cgroup, so the OOM
/// kill a container died of can still be seen; a service's counters outlive its containers.
final class EventCounters: Sendable {
    /// What is counted.
    enum Kind: Int, Sendable, CaseIterable {
        case oomKill
        case exit
        case start

        /// The metric of a container's count.
        var metric: Metric {
            switch self {
            case .oomKill: .counter("container_oom_events_total", "Count of out of memory events observed.")
            case .exit: .counter("container_exit_events_total", "Count of ends of the main process.")
            case .start: .counter("container_restarts_total", "Count of starts after the first one seen.")
            }
        }

        /// The metric of a service's count.
        var serviceMetric: Metric {
            switch self {
            case .oomKill: .counter("service_oom_events_total", "Out of memory events of all containers of a service.")
            case .exit: .counter("service_exit_events_total", "Ends of main processes of all containers of a service.")
            case .start: .counter("service_restarts_total", "Restarts of all containers of a service.")
            }
        }
    }

    private struct State {
        var containers: [String: [UInt64]] = [:]
        var services: [String: [UInt64]] = [:]
    }

    private let state = Mutex(State())

    /// Bounds the memory on a host where containers and services have ever new names.
    private static let namesMaximum = 16_384

    /// All counts at 0.
    init() {}

    /// Goes on where an earlier run ended.
    func restore(_ memory: IncidentMemory) {
        state.withLock { state in
            state.containers = memory.containers.mapValues { Self.whole($0.counts) }
            state.services = memory.services.mapValues { Self.whole($0) }
        }
    }

    /// All counts of a container.
    func counts(of container: String) -> [UInt64] {
        state.withLock { $0.containers[container] ?? [] }
    }

    private static func whole(_ counts: [UInt64]) -> [UInt64] {
        Kind.allCases.map { $0.rawValue < counts.count ? counts[$0.rawValue] : 0 }
    }

    /// Counts one event.
    func add(_ kind: Kind, to container: Container, count: UInt64 = 1) {
        state.withLock { state in
            Self.add(kind, count, to: &state.containers, container.id)
            Self.add(kind, count, to: &state.services, container.service)
        }
    }

    /// Makes a service's counters exist.
    func discover(_ container: Container) {
        state.withLock { state in
            for kind in Kind.allCases { Self.add(kind, 0, to: &state.services, container.service) }
        }
    }

    /// How often it happened to a container.
    func count(_ kind: Kind, of container: String) -> UInt64 {
        state.withLock { $0.containers[container]?[kind.rawValue] ?? 0 }
    }

    /// The counts of all services by name.
    func services() -> [String: [UInt64]] { state.withLock { $0.services } }

    /// Forgets a container that was removed; its service keeps its counts.
    func forget(container: String) {
        state.withLock { _ = $0.containers.removeValue(forKey: container) }
    }

    private static func add(_ kind: Kind, _ count: UInt64, to counts: inout [String: [UInt64]], _ name: String) {
        guard counts.count < namesMaximum || counts[name] != nil else { return }
        counts[name, default: Array(repeating: 0, count: Kind.allCases.count)][kind.rawValue] += count
    }
}
