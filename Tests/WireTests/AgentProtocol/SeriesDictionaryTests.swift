import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import Wire

/// A dictionary is lent to a frame, not copied for it.
@Suite struct SeriesDictionaryTests {
    @Test func aFrameOfALargeDictionaryCostsWhatItLooksUp() async throws {
        let dictionary = SeriesDictionary()
        let size: UInt64 = 100_000
        for id in 1...size { #expect(dictionary.declare(id, Labels(["n": "\(id)"]))) }
        let clock = SystemMonotonicClock()
        let start = clock.nowNanoseconds
        // Lanes of one agent take turns while its series change: each turn used to copy a hundred thousand entries.
        let frames = 2_000
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for id in 0..<UInt64(frames) { _ = dictionary.declare(size + 1 + id, Labels(["m": "\(id)"])) }
            }
            group.addTask {
                for frame in 0..<frames {
                    let labels = try dictionary.resolving { resolver throws(AgentProtocolError) in
                        resolver.labels(of: UInt64(frame + 1))
                    }
                    #expect(labels["n"] == "\(frame + 1)")
                }
            }
            try await group.waitForAll()
        }
        let seconds = Double(clock.nowNanoseconds - start) / 1e9
        #expect(seconds < 2, "\(seconds) s for \(frames) frames")
        #expect(dictionary.count == Int(size) + frames)
        // After a frame that was refused everything is where it was.
        #expect(throws: AgentProtocolError.self) {
            try dictionary.resolving { resolver throws(AgentProtocolError) -> Labels in
                _ = resolver.labels(of: 0)
                throw .undeclared(id: 0)
            }
        }
        #expect(dictionary.count == Int(size) + frames)
    }
}
