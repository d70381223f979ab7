import Glibc
import Synchronization
import Testing
import Wire

@testable import Transport

/// Nobody waits for ever: peers that vanish, stall or say what nobody expects end every wait on both sides.
@Suite(.timeLimit(.minutes(1))) struct HostilePeerTests {
    /// How each streamed answer ended, and how many are under way.
    private final class Endings: Sendable {
        let begun = Atomic<Int>(0)
        let ended = Atomic<Int>(0)
        let errors = Mutex<[String]>([])

        /// Streams without end until it fails.
        func flood(_ writer: ListenerWriter, piece: Int) async throws {
            begun.add(1, ordering: .sequentiallyConsistent)
            defer { ended.add(1, ordering: .sequentiallyConsistent) }
            do {
                while true { try await writer.write([UInt8](repeating: 0x61, count: piece)) }
            } catch {
                errors.withLock { $0.append("\(error)") }
                throw error
            }
        }

        func waitUntilEnded(_ count: Int) async {
            while ended.load(ordering: .sequentiallyConsistent) < count { await onThread { usleep(2_000) } }
        }

        func waitUntilBegun(_ count: Int) async {
            while begun.load(ordering: .sequentiallyConsistent) < count { await onThread { usleep(2_000) } }
        }
    }

    /// How a client leaves in the middle of an answer.
    enum Departure: CaseIterable {
        case resets
        case closes
        case readsALittleAndResets
        case finishesSendingAndCloses
        case sendsMoreAndResets
    }

    @Test func aRequestForTwoHostsIsRefused() async throws {
        let listener = try await HTTPListener.start(HTTPListener.Options(host: "127.0.0.1", port: 0)) { _ in
            .text(200, "")
        }
        let text = await onThread {
            let socket = RawSocket(port: listener.port)
            socket.send("POST / HTTP/1.1\r\nHost: a\r\nhost: b\r\nContent-Length: 3\r\n\r\nabc")
            return socket.read()
        }
        #expect(text.hasPrefix("HTTP/1.1 400 ") && text.contains("Host"), "\(text)")
    }

    @Test(arguments: Departure.allCases, [100, 4_096, 300_000])
    func everyWriterLearnsThatItsClientLeft(departure: Departure, piece: Int) async throws {
        let endings = Endings()
        let listener = try await HTTPListener.start(HTTPListener.Options(host: "127.0.0.1", port: 0)) { _ in
            ListenerResponse(status: 200, body: .stream { try await endings.flood($0, piece: piece) })
        }
        for round in 0..<12 {
            await onThread {
                let socket = RawSocket(port: listener.port)
                socket.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                usleep(UInt32(round) * 400)
                switch departure {
                case .resets: socket.reset()
                case .closes: break
                case .readsALittleAndResets:
                    _ = socket.read(until: "aaaa")
                    socket.reset()
                case .finishesSendingAndCloses: socket.finishSending()
                case .sendsMoreAndResets:
                    socket.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HT")
                    socket.reset()
                }
            }
        }
        await listener.shutdown(deadlineMilliseconds: 2_000)
        #expect(listener.connectionCount == 0)
        await endings.waitUntilEnded(endings.begun.load(ordering: .sequentiallyConsistent))
        let others = endings.errors.withLock { $0 }.filter { $0 != "the client closed the connection" }
        #expect(others == [])
    }

    @Test func aListenerThatIsCutEndsEveryWriter() async throws {
        let endings = Endings()
        let listener = try await HTTPListener.start(HTTPListener.Options(host: "127.0.0.1", port: 0)) { _ in
            ListenerResponse(status: 200, body: .stream { try await endings.flood($0, piece: 65_536) })
        }
        let sockets = (0..<8).map { _ in RawSocket(port: listener.port) }
        for socket in sockets { socket.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n") }
        await endings.waitUntilBegun(8)
        await listener.shutdown(deadlineMilliseconds: 100)
        await endings.waitUntilEnded(8)
        #expect(endings.errors.withLock { $0.count } == 8)
        _ = sockets
    }

    @Test func aWaitLetGoOfEndsAsAFailure() async {
        await #expect(throws: ListenerDisconnected.self) {
            try await withCheckedThrowingContinuation { continuation in
                _ = PendingWrite(continuation)
            }
        }
    }

    @Test func aWaitEndsOnce() async throws {
        try await withCheckedThrowingContinuation { continuation in
            let pending = PendingWrite(continuation)
            pending.succeed()
            pending.fail()
        }
    }

    @Test func aWriterThatOutlivesItsAnswerWritesIntoNoOther() async throws {
        let first = Mutex<ListenerWriter?>(nil)
        let outcome = Mutex("")
        let listener = try await HTTPListener.start(HTTPListener.Options(host: "127.0.0.1", port: 0)) { request in
            ListenerResponse(
                status: 200, fields: [HTTPField("Content-Length", "4")],
                body: .stream { writer in
                    if request.target == "/1" {
                        first.withLock { $0 = writer }
                        try await writer.write(Array("one.".utf8))
                        return
                    }
                    do {
                        try await first.withLock { $0 }?.write(Array("evil".utf8))
                    } catch {
                        outcome.withLock { $0 = "\(error)" }
                    }
                    try await writer.write(Array("two.".utf8))
                })
        }
        let text = await onThread {
            let socket = RawSocket(port: listener.port)
            socket.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
            let one = socket.read(until: "one.")
            socket.send("GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return one + socket.read()
        }
        #expect(text.contains("one.") && text.contains("two.") && !text.contains("evil"))
        #expect(outcome.withLock { $0 } == "the client closed the connection")
    }

    @Test func aClientThatNeverTakesTheEndIsCut() async throws {
        let listener = try await HTTPListener.start(
            {
                var options = HTTPListener.Options(host: "127.0.0.1", port: 0)
                options.sendMilliseconds = 200
                return options
            }()
        ) { _ in
            ListenerResponse(status: 200, body: .bytes([UInt8](repeating: 0x61, count: 50_000)))
        }
        let socket = RawSocket(port: listener.port)
        var size: Int32 = 1
        setsockopt(socket.descriptor, SOL_SOCKET, SO_RCVBUF, &size, 4)
        // Answers until the system's buffers are full and the last one waits, all of it, in the listener's.
        socket.send(String(repeating: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", count: 400))
        while listener.connectionCount == 0 { await onThread { usleep(2_000) } }
        while listener.connectionCount > 0 { await onThread { usleep(2_000) } }
        _ = socket
    }

    @Test func aSlowClientIsNotCutWhileItTakes() async throws {
        let listener = try await HTTPListener.start(
            {
                var options = HTTPListener.Options(host: "127.0.0.1", port: 0)
                options.sendMilliseconds = 400
                return options
            }()
        ) { _ in
            ListenerResponse(status: 200, body: .bytes([UInt8](repeating: 0x61, count: 24 << 20)))
        }
        let taken = await onThread { () -> Int in
            let socket = RawSocket(port: listener.port)
            socket.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            var piece = [UInt8](repeating: 0, count: 1 << 20)
            var total = 0
            while true {
                let count = recv(socket.descriptor, &piece, piece.count, 0)
                if count <= 0 { return total }
                total += count
                if total < 16 << 20 { usleep(UInt32(count / 10)) }
            }
        }
        #expect(taken > 24 << 20)
    }

    /// What a peer of the client says, and the stage at which the call fails; nil where it is an answer.
    static let peers: [(String, HTTPFailure.Stage?)] = [
        ("", .head), ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", nil),
        ("HTTP/1.1 100 Continue\r\n\r\n", .head), ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", .body),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", .body),
        ("HTTP/1.1 204 No Content\r\n\r\nunasked", nil), ("HTTP/1.1 200 OK\r\n\r\nuntil the end", nil),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 200 OK\r\n\r\n", nil),
    ]

    @Test(arguments: peers)
    func everyCallEnds(reply: String, stage: HTTPFailure.Stage?) async throws {
        let peer = ScriptedPeer.answering(reply)
        defer { peer.stop() }
        let endpoint = HTTPEndpoint(.tcp(host: "127.0.0.1", port: peer.port))
        let client = HTTPClient()
        var failed: HTTPFailure.Stage?
        do {
            var call = HTTPCall("GET", endpoint, "/")
            call.timeoutMilliseconds = 20_000
            _ = try await client.send(call)
        } catch let failure as HTTPFailure {
            failed = failure.stage
        }
        #expect(failed == stage)
        client.close()
    }

    @Test func twoReadersOfOneBodyBothEnd() async throws {
        let pipe = BodyPipe()
        let readers = (0..<2).map { _ in
            Task { () -> Int in
                var total = 0
                while let piece = try await pipe.next() { total += piece.count }
                return total
            }
        }
        for _ in 0..<100 {
            pipe.push([1, 2, 3])
            await Task.yield()
        }
        pipe.finish()
        var total = 0
        for reader in readers { total += try await reader.value }
        #expect(total == 300)
    }
}
