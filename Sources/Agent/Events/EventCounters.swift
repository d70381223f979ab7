internal import Synchronization

/// Counts what happened to each container since it was discovered. Counters outlive the container's cgroup, so the OOM
/// kill a container died of can still be seen; a service's counters outlive its containers.
///
/// A count is taken first and published once it is on disk (`IncidentKeeper`): a value that was sent and is lower after
/// a crash would be taken for a reset, and everything counted before would count twice.
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

    /// All counts at one moment, by container and by service.
    struct Counts: Sendable, Equatable {
        var containers: [String: [UInt64]] = [:]
        var services: [String: [UInt64]] = [:]
    }

    private struct State {
        var taken = Counts()
        var published = Counts()
    }

    private let state = Mutex(State())

    /// Bounds the memory on a host where containers and services have ever new names.
    private static let namesMaximum = 16_384

    /// All counts at 0.
    init() {}

    /// Goes on where an earlier run ended.
    func restore(_ memory: IncidentMemory) {
        state.withLock { state in
            state.taken.containers = memory.containers.mapValues { Self.whole($0.counts) }
            state.taken.services = memory.services.mapValues { Self.whole($0) }
            state.published = state.taken
        }
    }

    /// What is counted, published or not: for writing it down.
    var taken: Counts { state.withLock { $0.taken } }

    /// `counts` are on disk: from now on they are what is sent.
    func publish(_ counts: Counts) { state.withLock { $0.published = counts } }

    private static func whole(_ counts: [UInt64]) -> [UInt64] {
        Kind.allCases.map { $0.rawValue < counts.count ? counts[$0.rawValue] : 0 }
    }

    /// Counts one event; it shows once it is published.
    func add(_ kind: Kind, to container: Container, count: UInt64 = 1) {
        state.withLock { state in
            Self.add(kind, count, to: &state.taken.containers, container.id)
            Self.add(kind, count, to: &state.taken.services, container.service)
        }
    }

    /// Makes a service's counters exist.
    func discover(_ container: Container) {
        state.withLock { state in
            for kind in Kind.allCases {
                Self.add(kind, 0, to: &state.taken.services, container.service)
                Self.add(kind, 0, to: &state.published.services, container.service)
            }
        }
    }

    /// How often it happened to a container, as published.
    func count(_ kind: Kind, of container: String) -> UInt64 {
        state.withLock { $0.published.containers[container]?[kind.rawValue] ?? 0 }
    }

    /// The published counts of all services by name.
    func services() -> [String: [UInt64]] { state.withLock { $0.published.services } }

    /// Forgets a container that was removed; its service keeps its counts.
    func forget(container: String) {
        state.withLock { state in
            state.taken.containers[container] = nil
            state.published.containers[container] = nil
        }
    }

    private static func add(_ kind: Kind, _ count: UInt64, to counts: inout [String: [UInt64]], _ name: String) {
        guard counts.count < namesMaximum || counts[name] != nil else { return }
        counts[name, default: Array(repeating: 0, count: Kind.allCases.count)][kind.rawValue] += count
    }
}
