import Disk
import Glibc
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import Agent

/// Descriptors in the service manager's keeping, over the protocol with a real socket.
@Suite struct DescriptorKeeperTests {
    /// The manager's end: takes datagrams with descriptors.
    private final class Manager {
        let scratch = ScratchFolder()
        private let socket: Int32
        var path: String { "\(scratch.path)/notify" }

        init() {
            socket = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
            _ = UnixAddress.with(path) { bind(socket, $0, $1) }
        }

        deinit { close(socket) }

        /// The next message and the descriptor that came with it; nil when none waits.
        func receive() -> (text: String, descriptor: Int32?)? {
            var bytes = [UInt8](repeating: 0, count: 512)
            var control = [UInt64](repeating: 0, count: 4)
            return bytes.withUnsafeMutableBytes { payload in
                control.withUnsafeMutableBytes { raw in
                    var piece = iovec(iov_base: payload.baseAddress, iov_len: payload.count)
                    return withUnsafeMutablePointer(to: &piece) { pieces in
                        var message = msghdr()
                        message.msg_iov = pieces
                        message.msg_iovlen = 1
                        message.msg_control = raw.baseAddress
                        message.msg_controllen = raw.count
                        let count = recvmsg(socket, &message, Int32(MSG_DONTWAIT))
                        guard count > 0 else { return nil }
                        let text = String(decoding: payload[..<count], as: UTF8.self)
                        guard message.msg_controllen >= 20 else { return (text, nil) }
                        return (text, raw.load(fromByteOffset: 16, as: Int32.self))
                    }
                }
            }
        }
    }

    private static func name(_ text: String) -> String? {
        text.split(separator: "\n").first { $0.hasPrefix("FDNAME=") }.map { String($0.dropFirst(7)) }
    }

    // No other shipper does this: what a deleted file holds is read by the next run of the agent.
    @Test func aFileThatWasDeletedWhileTheAgentWasAwayIsReadToItsEnd() throws {
        let manager = Manager()
        let stage = TailStage()
        stage.keeper = DescriptorKeeper(socketPath: manager.path)
        stage.begin()
        stage.write("1")
        stage.pass()
        stage.settleAll()
        let (text, descriptor) = try #require(manager.receive())
        #expect(text.hasPrefix("FDSTORE=1\n"))
        let kept = try #require(descriptor)
        // The agent ends; its container writes on, is rotated and removed.
        stage.tailer = nil
        stage.write("2")
        unlink("\(stage.scratch.path)/\(stage.log)")
        stage.write("3")
        stage.keeper = DescriptorKeeper(socketPath: manager.path, received: [(try #require(Self.name(text)), kept)])
        stage.restart()
        stage.pass()
        stage.pass(milliseconds: 2_000)
        stage.pass(milliseconds: 2_000)
        #expect(stage.sink.texts == ["1", "2", "3"])
        #expect(stage.sink.losses.isEmpty)
        // What is wholly read need not be kept.
        var texts: [String] = []
        while let (text, descriptor) = manager.receive() {
            texts.append(text)
            if let descriptor { close(descriptor) }
        }
        #expect(texts.contains { $0.hasPrefix("FDSTOREREMOVE=1\n") && Self.name($0) == Self.name(text) })
    }

    @Test func aLogThatNobodyListsAnyMoreIsReadToItsEndUnderItsLabels() throws {
        let manager = Manager()
        let stage = TailStage()
        stage.keeper = DescriptorKeeper(socketPath: manager.path)
        stage.begin()
        stage.write("1")
        stage.pass()
        stage.settleAll()
        let (text, descriptor) = try #require(manager.receive())
        let kept = try #require(descriptor)
        // While the agent is away the container writes on and is removed with its log: `docker run --rm`.
        stage.tailer = nil
        stage.write("2", "3")
        unlink("\(stage.scratch.path)/\(stage.log)")
        stage.registry.setEngine([], atNanoseconds: stage.clock.nowNanoseconds)
        stage.keeper = DescriptorKeeper(socketPath: manager.path, received: [(try #require(Self.name(text)), kept)])
        stage.restart()
        stage.pass()
        #expect(stage.sink.texts == ["1"])
        // An engine may list it late; then it is read by what was remembered.
        stage.pass(milliseconds: 31_000)
        stage.pass(milliseconds: 2_000)
        stage.pass(milliseconds: 2_000)
        #expect(stage.sink.texts == ["1", "2", "3"])
        let streams = stage.sink.state.withLock { $0.batches }.flatMap { $0.batch.streams }
        #expect(Set(streams.map(\.labels)).count == 1)
        #expect(stage.sink.losses.isEmpty)
        // And its place is forgotten with it.
        stage.settleAll()
        stage.pass(milliseconds: 31_000)
        stage.settleAll()
        let bytes = try AtomicFile.read("\(stage.scratch.path)/positions", in: SystemStorage(), maximumBytes: 1 << 20)
        #expect(try TailPositions(decoding: bytes).reaches.isEmpty)
    }

    @Test func withoutAManagerNothingIsKeptAndNothingFails() {
        let stage = TailStage()
        stage.keeper = DescriptorKeeper(socketPath: "/nowhere/notify")
        stage.begin()
        stage.write("1")
        stage.pass()
        #expect(stage.sink.texts == ["1"])
    }

    @Test func descriptorsThatNobodyWantsAreClosed() {
        let keeper = DescriptorKeeper(socketPath: nil, received: [("log-1-2-3", dup(0))])
        keeper.releaseRest()
        #expect(keeper.take(FileIdentity(device: 1, inode: 2, birthNanoseconds: 3)) == nil)
    }
}
