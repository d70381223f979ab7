import Disk
import TestSupport
import Testing

@testable import Agent

/// Who an agent is survives any one damaged byte.
@Suite struct AgentIdentityTests {
    @Test func oneDamagedByteMakesNobodyAnotherAgent() throws {
        let storage = SimulatedStorage(seed: 1)
        let id = try AgentIdentity.load(folder: "agent", in: storage)
        let secret = try AgentIdentity.secret(folder: "agent", in: storage)
        #expect(id.utf8.count == 32)
        #expect(secret.utf8.count == 64)
        for (path, expected) in [("agent/agent-id", id), ("agent/agent-secret", secret)] {
            let whole = try #require(try AtomicFile.read(path, in: storage, maximumBytes: 4096))
            for index in whole.indices {
                var bytes = whole
                bytes[index] ^= 0x08
                try AtomicFile.write(bytes, to: path, in: storage)
                let found =
                    path.hasSuffix("id")
                    ? try AgentIdentity.load(folder: "agent", in: storage)
                    : try AgentIdentity.secret(folder: "agent", in: storage)
                #expect(found == expected, "byte \(index) of \(path)")
            }
            try AtomicFile.write(whole, to: path, in: storage)
        }
    }

    @Test func whatCannotBeReadIsNotReplaced() throws {
        let storage = SimulatedStorage(seed: 1)
        try storage.makeFolder("agent")
        try AtomicFile.write(Array("nobody\n".utf8), to: "agent/agent-id", in: storage)
        #expect(throws: StorageError.self) { try AgentIdentity.load(folder: "agent", in: storage) }
    }
}
