package import Telemetry

/// Measures what reading this host costs: `vedette bench collect`.
package enum CollectionMeasurement {
    /// What one kind of reading costs.
    package struct Figure: Sendable {
        package var what: String
        /// Of CPU time.
        package var microseconds: Double
        package var samples: Int
    }

    private static let rounds = 200

    /// Reads the host, and all containers and services that its cgroups show, again and again. Belongs on a thread that
    /// may be kept busy.
    package static func run(clock: any WallClock) -> [Figure] {
        let host = HostRoot()
        let layout = CgroupLayout(of: host)
        let context = CollectionContext(
            host: host, layout: layout, node: "bench", notices: Notices { _ in }, counters: EventCounters())
        var figures: [Figure] = []
        figures.append(measureHost(context, clock))
        figures.append(measureSlowHost(context, clock))
        let scanner = CgroupScanner(host: host, layout: layout)
        let files = RuntimeFiles(host: host)
        let containers = scanner.scan().groups.values.map {
            files.describe($0, processes: scanner.processes(of: $0))
        }
        guard !containers.isEmpty else { return figures }
        var targets = containers.map { ContainerTarget($0, context: context, intervalMilliseconds: 1_000) }
        figures.append(
            measure("each of \(targets.count) containers, everything of a tick", per: targets.count) { round in
                // As far apart as an idle container's full readings, none of them a slow one.
                targets.reduce(0) { $0 + $1.measureTick(Tick(nanoseconds: clock.nowNanoseconds, number: round)) }
            })
        for target in targets { _ = target.collect(Tick(nanoseconds: clock.nowNanoseconds, number: 0)) }
        figures.append(
            measure("each of them while idle, one tick on average", per: targets.count) { round in
                targets.reduce(0) { sum, target in
                    let tick = Tick(nanoseconds: clock.nowNanoseconds, number: round + 1)
                    return sum + target.collect(tick).reduce(0) { $0 + $1.values.count }
                }
            })
        figures.append(
            measure("each of them, the slow lane", per: targets.count) { _ in
                targets.reduce(0) {
                    $0 + $1.measureSlowLane(Tick(nanoseconds: clock.nowNanoseconds, number: 0))
                }
            })
        targets = []
        return figures
    }

    private static func measureHost(_ context: CollectionContext, _ clock: any WallClock) -> Figure {
        let target = HostTarget(context, intervalMilliseconds: 1_000)
        target.collect(Tick(nanoseconds: clock.nowNanoseconds, number: 0))
        return measure("the host, every tick", per: 1) { _ in
            // Number 1 for ever: the slow lane does not come round.
            target.collect(Tick(nanoseconds: clock.nowNanoseconds, number: 1)).reduce(0) { $0 + $1.values.count }
        }
    }

    private static func measureSlowHost(_ context: CollectionContext, _ clock: any WallClock) -> Figure {
        let target = HostTarget(context, intervalMilliseconds: 1_000)
        return measure("the host, with its slow lane", per: 1) { round in
            let tick = Tick(nanoseconds: clock.nowNanoseconds, number: round * HostTarget.slowEvery)
            return target.collect(tick).reduce(0) { $0 + $1.values.count }
        }
    }

    private static func measure(_ what: String, per count: Int, _ body: (Int) -> Int) -> Figure {
        var samples = body(0)
        let began = AgentLimits.threadSeconds()
        for round in 1...rounds { samples = body(round) }
        let spent = (AgentLimits.threadSeconds() - began) / Double(rounds * count)
        return Figure(what: what, microseconds: spent * 1e6, samples: samples / count)
    }
}
