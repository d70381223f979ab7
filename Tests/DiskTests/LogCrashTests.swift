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

    @Test func acknowledgedRecordsSurviveEveryCrash() throws {
        var coverage = LogCoverage()
        for seed in Self.seeds {
            do {
                coverage.add(try LogSimulation.run(seed: seed))
            } catch {
                let command = "VEDETTE_SEED=\(seed) swift test --filter LogCrashTests"
                Issue.record("\(error)\nrepeat it with: \(command)")
                return
            }
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

    private static func variable(_ name: String) -> UInt64? {
        getenv(name).flatMap { UInt64(String(cString: $0)) }
    }
}
