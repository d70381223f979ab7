import Telemetry
import TestSupport
import Testing

@testable import Wire

/// A dictionary is lent to a frame, not copied for it.
@Suite struct SeriesDictionaryTests {
    @Test func framesAndDeclarationsTakeTurns() async throws {
        let dictionary = SeriesDictionary()
        let size: UInt64 = 20_000
        let declared = (1...size).count { dictionary.declare($0, Labels(["n": "\($0)"])) }
        #expect(declared == Int(size))
        // Lanes of one agent take turns while its series change: what a frame borrows must come back whole.
        let frames = 2_000
        let wrong = try await withThrowingTaskGroup(of: Int.self) { group in
            group.addTask {
                (0..<UInt64(frames)).count { !dictionary.declare(size + 1 + $0, Labels(["m": "\($0)"])) }
            }
            group.addTask {
                var wrong = 0
                for frame in 0..<frames {
                    let labels = try dictionary.resolving { resolver throws(AgentProtocolError) in
                        resolver.labels(of: UInt64(frame + 1))
                    }
                    if labels["n"] != "\(frame + 1)" { wrong += 1 }
                }
                return wrong
            }
            return try await group.reduce(0, +)
        }
        #expect(wrong == 0)
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
