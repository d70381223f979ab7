internal import Glibc
internal import TestSupport
internal import Testing

/// The store's promises, over many simulated lives: what was acknowledged is answered after any crash, byte by byte, in
/// order and once; every answer equals what a look at every line gives.
@Suite struct StoreCrashTests {
    /// `VEDETTE_SEEDS` raises the number, `VEDETTE_SEED` repeats one.
    static let seeds: Range<UInt64> = {
        if let one = variable("VEDETTE_SEED") { return one..<one + 1 }
        return 0..<(variable("VEDETTE_SEEDS") ?? 1000)
    }()

    @Test func acknowledgedLinesSurviveEveryCrash() async throws {
        let runs = 4
        let coverage = await withTaskGroup(of: StoreCoverage.self) { group in
            for run in 0..<runs { group.addTask { Self.live(Self.seeds.dropFirst(run), every: runs) } }
            return await group.reduce(into: StoreCoverage()) { $0.add($1) }
        }
        guard Self.seeds.count >= 1000 else { return }
        #expect(coverage.missing.isEmpty, "never met in \(Self.seeds.count) seeds: \(coverage.missing)")
    }

    /// Every `step`th seed, until one fails.
    private static func live(_ seeds: Range<UInt64>, every step: Int) -> StoreCoverage {
        var coverage = StoreCoverage()
        for seed in stride(from: seeds.lowerBound, to: seeds.upperBound, by: step) {
            do {
                coverage.add(try StoreSimulation.run(seed: seed))
            } catch {
                let command = "VEDETTE_SEED=\(seed) swift test --filter StoreCrashTests"
                Issue.record("\(error)\nrepeat it with: \(command)")
                break
            }
        }
        return coverage
    }

    @Test func aDiskThatLiesAboutSyncsIsCaught() {
        let caught = (0..<30).count { (try? StoreSimulation.run(seed: UInt64($0), honesty: .lyingDisk)) == nil }
        #expect(caught > 8, "only \(caught) of 30 seeds noticed")
    }

    private static func variable(_ name: String) -> UInt64? {
        getenv(name).flatMap { UInt64(String(cString: $0)) }
    }
}
