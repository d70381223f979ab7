import Disk
import Telemetry
import TestSupport
import Wire

@testable import Alerting

/// One trouble from the first sample to the verified restart, on a disk that may crash at any operation. The service's
/// loops are not run: each of their steps is taken by hand, so that a seed always gives the same story.
struct AlertingStory {
    static let target = RemedySamples.target
    static let labels = Labels([
        "__name__": "container_oom_events_total", "id": "/docker/\(target)", "name": "web", "node": "n1",
    ])

    static let rules = """
        groups:
          - name: containers
            interval: 1s
            rules:
              - alert: OOM
                expr: increase(container_oom_events_total[6s]) > 0
                labels: {severity: critical}
                annotations: {summary: '{{ $labels.name }} was killed'}
        """

    static let notify = """
        alerting:
          route: {receiver: chat, group_wait: 2s, group_interval: 1s, repeat_interval: 1h}
          receivers: [{name: chat, webhook_configs: [{url: "http://chat.example/hook"}]}]
        """

    static let remedies = """
        remedies:
          - name: restart
            match: {alertname: OOM}
            action: container.restart
            mode: auto
            cooldown: 1s
            verify: {within: 60s}
        """

    static func configuration() throws -> AlertingConfiguration {
        AlertingConfiguration(
            groups: [try Fixtures.group(rules)], remedies: [try Fixtures.remedy(remedies)],
            notify: try Fixtures.notify(notify), evaluationIntervalMilliseconds: 1000)
    }

    let world: AlertingWorld
    /// Commands the agent did, by id: an agent never does one id twice.
    private(set) var done: [String: Int] = [:]
    /// Commands the agent was handed, in order.
    private(set) var handed: [String] = []

    init(world: AlertingWorld) {
        self.world = world
    }

    /// Opens the service on a disk, as a start of the process does.
    func open(_ storage: any FileStorage) throws -> (service: AlertingService, journal: AlertingJournal) {
        let ports = world.ports(storage: storage)
        try storage.makeFolder(ports.folder)
        let (journal, state, _) = try AlertingJournal.open(
            storage: storage, folder: ports.folder, driving: .manual)
        let audit = try AuditLog(path: "alerting/audit.log", in: storage, anchor: state.auditHead)
        let service = AlertingService(
            ports: ports, configuration: try AlertingStory.configuration(), journal: journal, state: state,
            auditLog: audit)
        journal.drive()
        return (service, journal)
    }

    /// One second: a sample, an evaluation, and everything that follows from it.
    mutating func second(
        _ service: AlertingService, _ journal: AlertingJournal, oomCount: Double, isWoken: Bool = false
    ) async throws {
        world.clock.advance(milliseconds: 1000)
        let now = world.clock.nowNanoseconds / 1_000_000
        world.add(AlertingStory.labels, [Sample(milliseconds: now, value: oomCount)])
        let group = try AlertingStory.configuration().groups[0]
        let woken = isWoken ? Set(group.rules.map(\.identity)) : []
        await service.evaluate(AlertingService.Job(group: group, time: now, woken: woken))
        journal.drive()
        for _ in 0..<3 {
            await service.deliverOnce()
            journal.drive()
            await service.actOnce()
            journal.drive()
            _ = await service.recordOnce()
            journal.drive()
            actAsAgent(service)
            journal.drive()
        }
    }

    private mutating func actAsAgent(_ service: AlertingService) {
        guard world.isAlive else { return }
        for command in service.pendingCommands(for: "agent-1") {
            handed.append(command.id)
            let now = world.clock.nowNanoseconds
            if done[command.id] == nil {
                done[command.id] = handed.count
                service.note(
                    CommandReport(id: command.id, outcome: .started, reason: "", nanoseconds: now), from: "agent-1")
            }
            service.note(CommandReport(id: command.id, outcome: .done, reason: "", nanoseconds: now), from: "agent-1")
        }
    }
}
