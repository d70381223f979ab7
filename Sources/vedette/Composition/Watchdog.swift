internal import Agent
internal import Logging
internal import ServiceLifecycle
internal import Telemetry

/// Something that moves while the process works: a counter that rises, or the oldest piece of work that waits.
struct Heartbeat: Sendable {
    /// What does not move when it stops, for people.
    var name: String
    /// Any number that is another one after work was done; nil while there is nothing to do.
    var beat: @Sendable () async -> UInt64?
}

/// Tells systemd that the service is up, feeds its watchdog while work is done, and says when it leaves.
struct Watchdog: Service {
    let notifier: SystemdNotifier
    let heartbeats: [Heartbeat]
    let status: String
    let clock: any MonotonicClock
    let logger: Logger

    func run() async throws {
        notifier.ready(status)
        await cancelWhenGracefulShutdown {
            guard let period = notifier.watchdogMilliseconds else {
                try? await gracefulShutdown()
                return
            }
            await feed(every: max(period / 4, 100), patience: period / 2)
        }
        notifier.stopping()
    }

    private func feed(every milliseconds: Int64, patience: Int64) async {
        var judge = ProgressJudge(patienceNanoseconds: patience * 1_000_000)
        var wasStuck = false
        while !Task.isCancelled {
            var beats: [(name: String, beat: UInt64?)] = []
            for heartbeat in heartbeats { beats.append((heartbeat.name, await heartbeat.beat())) }
            let stuck = judge.stuck(beats, nowNanoseconds: clock.nowNanoseconds)
            if stuck.isEmpty {
                notifier.feedWatchdog()
                if wasStuck { notifier.status(status) }
            } else if !wasStuck {
                let words = "no progress: \(stuck.joined(separator: ", "))"
                logger.error("\(words); systemd's watchdog is not fed until there is some")
                notifier.status(words)
            }
            wasStuck = !stuck.isEmpty
            try? await Task.sleep(for: .milliseconds(milliseconds))
        }
    }
}
