internal import Disk
internal import Glibc
internal import TestSupport
internal import Testing

/// The central promise, over thousands of simulated lives: what was acknowledged is there after any crash, in order and
/// once; nothing is invented; the log goes on working.
@Suite struct LogCrashTests {
    /// `VEDETTE_SEEDS` raises the number, `VEDETTE_SEED` repeats one.
    static let seeds: Range<UInt64> = {
        if let one = variable("VEDETTE_SEED") { return one..<one + 1 }
        return 0..<(variable("VEDETTE_SEEDS") ?? 4000)
    }()

    @Test func acknowledgedRecordsSurviveEveryCrash() async throws {
        let shards = 4
        let coverage = try await withThrowingTaskGroup(of: LogCoverage.self) { group in
            for shard in 0..<shards {
                group.addTask {
                    var coverage = LogCoverage()
                    for seed in Self.seeds where Int(seed % UInt64(shards)) == shard {
                        coverage.add(try Self.run(seed))
                    }
                    return coverage
                }
            }
            return try await group.reduce(into: LogCoverage()) { $0.add($1) }
        }
        guard Self.seeds.count >= 4000 else { return }
        #expect(coverage.missing.isEmpty, "never met in \(Self.seeds.count) seeds: \(coverage.missing)")
    }

    @Test(arguments: [LogSimulation.Honesty.skipsSync, .lyingDisk])
    func aLogThatSkipsTheSyncIsCaught(_ honesty: LogSimulation.Honesty) {
        let caught = (0..<200).count { seed in
            (try? LogSimulation.run(seed: UInt64(seed), honesty: honesty)) == nil
        }
        #expect(caught > 50, "only \(caught) of 200 seeds noticed")
    }

    private static func run(_ seed: UInt64) throws -> LogCoverage {
        do {
            return try LogSimulation.run(seed: seed)
        } catch {
            throw Broken("\(error)\nrepeat it with: VEDETTE_SEED=\(seed) swift test --filter LogCrashTests")
        }
    }

    private static func variable(_ name: String) -> UInt64? {
        getenv(name).flatMap { UInt64(String(cString: $0)) }
    }
}
