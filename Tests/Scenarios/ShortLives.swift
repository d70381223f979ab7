internal import Foundation
internal import ScenarioSupport
internal import Testing

/// Containers that live for about a tenth of a second, between two ticks: their ends are told all the same, with exit
/// code and with the memory they held.
@Suite(.serialized) struct ShortLives {
    private static let count = 5

    @Test(.enabled(if: DockerEngine.reasonForAbsence == nil, "\(DockerEngine.reasonForAbsence ?? "")"))
    func everyEndIsToldWithWhatItTook() async throws {
        let stage = try await HealingStage.set("short")
        do {
            // Eight megabytes of text, then the end.
            let script = "x=$(head -c 8000000 /dev/zero | tr '\\000' x); exit 3"
            for number in 1...Self.count {
                _ = try stage.engine.runContainer(name: "short-\(number)", memoryMegabytes: 128, script: script)
            }
            var codes: [String] = []
            for number in 1...Self.count {
                let query = "{source=\"vedette\"} | event=\"exit\" |= \"container short-\(number) ended\""
                await expectSoon("the end of short-\(number) is told", seconds: 20) {
                    try await !stage.vedette.lines(query).isEmpty
                }
                let lines = try await stage.vedette.lines(query)
                #expect(lines.count == 1, "\(lines)")
                let details = try JSONTree(lines.first ?? "{}")["details"]
                // The engine knows the code, and a kernel from 6.15 on, whose word may be told before the engine's.
                if details["sources"].string.contains("docker") || details["exit_code"].exists {
                    codes.append(details["exit_code"].string)
                }
                #expect(details["memory_peak_bytes"].number > 4_000_000, "\(lines)")
                #expect(details["cpu_seconds"].number >= 0, "\(lines)")
            }
            #expect(!codes.isEmpty && codes.allSatisfy { $0 == "3" }, "\(codes)")
        } catch {
            Issue.record("\(error)\n\(stage.vedette.process.output.suffix(4_000))")
        }
        await stage.strike()
    }
}
