import Glibc
import Synchronization
import Testing
import Wire

@testable import Transport

/// A listener's WebSockets, spoken to byte by byte: the handshake, messages, pings and closes, and peers that mean
/// harm.
@Suite(.timeLimit(.minutes(1))) struct WebSocketTests {
    /// RFC 6455, 1.3: this key is answered with this.
    private static let key = "dGhlIHNhbXBsZSBub25jZQ=="
    private static let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    /// What a listener's producers did.
    private final class Journal: Sendable {
        let ended = Atomic<Int>(0)
        let errors = Mutex<[String]>([])

        func waitUntilEnded(_ count: Int) async {
            while ended.load(ordering: .sequentiallyConsistent) < count { await onThread { usleep(2_000) } }
        }
    }

    private func listener(
        _ journal: Journal, _ change: (inout HTTPListener.Options) -> Void = { _ in },
        _ produce: @escaping @Sendable (WebSocketWriter) async throws -> Void
    ) async throws -> HTTPListener {
        var options = HTTPListener.Options(host: "127.0.0.1", port: 0)
        change(&options)
        return try await HTTPListener.start(options) { request in
            guard request.asksForWebSocket else { return .text(200, "plain") }
            return ListenerResponse(
                status: 101,
                body: .webSocket { writer in
                    defer { journal.ended.add(1, ordering: .sequentiallyConsistent) }
                    do {
                        try await produce(writer)
                    } catch {
                        journal.errors.withLock { $0.append("\(error)") }
                        throw error
                    }
                })
        }
    }

    private static func handshake(_ extra: String = "") -> String {
        "GET /tail HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Key: \(key)\r\nSec-WebSocket-Version: 13\r\n\(extra)\r\n"
    }

    /// A frame as clients send it: masked, at most 125 bytes.
    private static func frame(
        _ opcode: UInt8, _ payload: [UInt8] = [], isMasked: Bool = true, first: UInt8 = 0x80
    ) -> [UInt8] {
        let mask: [UInt8] = [1, 2, 3, 4]
        let head = [first | opcode, (isMasked ? 0x80 : 0) | UInt8(payload.count)]
        let body = isMasked ? payload.enumerated().map { $0.element ^ mask[$0.offset % 4] } : payload
        return head + (isMasked ? mask : []) + body
    }

    /// One frame of the server: opcode and payload; nil at the end.
    private static func read(_ socket: RawSocket) -> (opcode: UInt8, payload: [UInt8])? {
        guard let head = socket.readBytes(2) else { return nil }
        var length = Int(head[1] & 0x7f)
        if length == 126 { length = (socket.readBytes(2) ?? []).reduce(0) { $0 << 8 | Int($1) } }
        if length == 127 { length = (socket.readBytes(8) ?? []).reduce(0) { $0 << 8 | Int($1) } }
        guard let payload = length == 0 ? [] : socket.readBytes(length) else { return nil }
        return (head[0] & 0x0f, payload)
    }

    private static func opened(_ listener: HTTPListener) -> RawSocket {
        let socket = RawSocket(port: listener.port)
        socket.send(handshake())
        _ = socket.readHead()
        return socket
    }

    @Test func switchesAndSendsMessages() async throws {
        let listener = try await listener(Journal()) { writer in
            try await writer.send(Array("one".utf8))
            try await writer.send([UInt8](repeating: 0x61, count: 70_000))
        }
        await onThread {
            let socket = RawSocket(port: listener.port)
            socket.send(WebSocketTests.handshake())
            let head = socket.readHead()
            #expect(head.hasPrefix("HTTP/1.1 101 Switching Protocols\r\n"))
            #expect(head.lowercased().contains("sec-websocket-accept: \(WebSocketTests.accept.lowercased())"))
            #expect(head.lowercased().contains("connection: upgrade"))
            let first = WebSocketTests.read(socket)
            #expect(first?.opcode == 1 && first?.payload == Array("one".utf8))
            #expect(WebSocketTests.read(socket)?.payload.count == 70_000)
            // The producer is done: good-bye, answered, closed.
            let close = WebSocketTests.read(socket)
            #expect(close?.opcode == 8 && close?.payload == [0x03, 0xe8])
            socket.send(WebSocketTests.frame(8, [0x03, 0xe8]))
            #expect(socket.readBytes(1) == nil)
        }
        await listener.shutdown(deadlineMilliseconds: 2_000)
        #expect(listener.connectionCount == 0)
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n\r\n",
    ])
    func refusesWhatIsNoHandshake(request: String) async throws {
        let journal = Journal()
        let listener = try await listener(journal) { try await $0.send([0x61]) }
        await onThread {
            let socket = RawSocket(port: listener.port)
            socket.send(request)
            let answer = socket.read()
            #expect(answer.hasPrefix("HTTP/1.1 426 "), "\(answer)")
            #expect(answer.contains("Sec-WebSocket-Version: 13"))
        }
        await journal.waitUntilEnded(1)
        await listener.shutdown(deadlineMilliseconds: 1_000)
    }

    @Test func answersPingsAndCloses() async throws {
        let journal = Journal()
        let listener = try await listener(journal) { _ in try await Task.sleep(for: .seconds(50)) }
        await onThread {
            let socket = WebSocketTests.opened(listener)
            socket.send(WebSocketTests.frame(9, Array("hello".utf8)))
            let pong = WebSocketTests.read(socket)
            #expect(pong?.opcode == 10 && pong?.payload == Array("hello".utf8))
            // What it says is not listened to, whole or in halves.
            socket.send(WebSocketTests.frame(1, Array("chat".utf8)))
            socket.send(WebSocketTests.frame(1, Array("ha".utf8), first: 0))
            socket.send(WebSocketTests.frame(0, Array("lf".utf8)))
            socket.send(WebSocketTests.frame(8, [0x03, 0xe8]))
            let close = WebSocketTests.read(socket)
            #expect(close?.opcode == 8 && close?.payload == [0x03, 0xe8])
            #expect(socket.readBytes(1) == nil)
        }
        // The producer, which would have slept, was ended.
        await journal.waitUntilEnded(1)
        await listener.shutdown(deadlineMilliseconds: 1_000)
    }

    @Test(
        arguments: [
            // Not masked, a reserved bit, an unknown opcode, a long ping: 1002. A frame of 2^40 bytes: 1009.
            (frame(1, [0x61], isMasked: false), 1002), (frame(1, [0x61], first: 0xc0), 1002), (frame(3), 1002),
            ([0x89, 0xfe, 0x01, 0x00], 1002), ([0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0], 1009),
        ] as [([UInt8], Int)])
    func namesWhatIsWrong(bytes: [UInt8], code: Int) async throws {
        let journal = Journal()
        let listener = try await listener(journal, { $0.lingerMilliseconds = 200 }) { _ in
            try await Task.sleep(for: .seconds(50))
        }
        await onThread {
            let socket = WebSocketTests.opened(listener)
            socket.send(bytes)
            let close = WebSocketTests.read(socket)
            #expect(close?.opcode == 8)
            #expect(close?.payload.prefix(2).reduce(0) { $0 << 8 | Int($1) } == code)
            // Without an answer the line is cut after a moment.
            #expect(socket.readBytes(1) == nil)
        }
        await journal.waitUntilEnded(1)
        await listener.shutdown(deadlineMilliseconds: 1_000)
    }

    @Test func aSilentPeerIsAskedAndThenCut() async throws {
        let journal = Journal()
        let listener = try await listener(journal, { $0.pingMilliseconds = 100 }) { _ in
            try await Task.sleep(for: .seconds(50))
        }
        await onThread {
            let socket = WebSocketTests.opened(listener)
            #expect(WebSocketTests.read(socket)?.opcode == 9)
            socket.send(WebSocketTests.frame(10))
            #expect(WebSocketTests.read(socket)?.opcode == 9)
            #expect(socket.readBytes(1) == nil)
        }
        await journal.waitUntilEnded(1)
        await listener.shutdown(deadlineMilliseconds: 1_000)
    }

    @Test(arguments: [false, true])
    func aPeerThatTakesNothingIsCut(sendsPings: Bool) async throws {
        let journal = Journal()
        let listener = try await listener(journal, { $0.sendMilliseconds = 300 }) { writer in
            while true { try await writer.send([UInt8](repeating: 0x61, count: 65_536)) }
        }
        await onThread {
            let socket = WebSocketTests.opened(listener)
            // Pongs would pile up, too: it is not read while it takes nothing.
            if sendsPings {
                let pings = [UInt8](
                    (0..<2_000).flatMap { _ in WebSocketTests.frame(9, [UInt8](repeating: 1, count: 100)) })
                socket.send(pings)
            }
        }
        await journal.waitUntilEnded(1)
        await listener.shutdown(deadlineMilliseconds: 2_000)
        #expect(listener.connectionCount == 0)
    }

    @Test(arguments: [0, 1, 2, 5])
    func halfAFrameAndGone(bytes: Int) async throws {
        let journal = Journal()
        let listener = try await listener(journal) { _ in try await Task.sleep(for: .seconds(50)) }
        await onThread {
            let socket = WebSocketTests.opened(listener)
            socket.send(Array(WebSocketTests.frame(1, Array("half".utf8)).prefix(bytes)))
            if bytes.isMultiple(of: 2) { socket.reset() }
        }
        await journal.waitUntilEnded(1)
        await listener.shutdown(deadlineMilliseconds: 1_000)
        #expect(listener.connectionCount == 0)
    }

    @Test func aListenerThatLeavesSaysSo() async throws {
        let journal = Journal()
        let listener = try await listener(journal, { $0.lingerMilliseconds = 200 }) { _ in
            try await Task.sleep(for: .seconds(50))
        }
        let socket = await onThread { WebSocketTests.opened(listener) }
        async let left: Void = listener.shutdown(deadlineMilliseconds: 5_000)
        await onThread {
            let close = WebSocketTests.read(socket)
            #expect(close?.opcode == 8 && close?.payload == [0x03, 0xe9])
            socket.send(WebSocketTests.frame(8, [0x03, 0xe9]))
        }
        await left
        await journal.waitUntilEnded(1)
        #expect(listener.connectionCount == 0)
    }

    @Test func plainRequestsGoOnAsBefore() async throws {
        let listener = try await listener(Journal()) { _ in }
        await onThread {
            let socket = RawSocket(port: listener.port)
            socket.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(socket.read(until: "plain\n").hasPrefix("HTTP/1.1 200 OK"))
        }
        await listener.shutdown(deadlineMilliseconds: 1_000)
    }
}

extension RawSocket {
    /// Sends bytes.
    fileprivate func send(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return }
            sent += count
        }
    }

    /// Reads exactly `count` bytes; nil when the connection ends before.
    fileprivate func readBytes(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let got = bytes.withUnsafeMutableBytes {
                recv(descriptor, $0.baseAddress?.advanced(by: filled), count - filled, 0)
            }
            if got <= 0 { return nil }
            filled += got
        }
        return bytes
    }

    /// Reads up to the end of a head and nothing behind it.
    fileprivate func readHead() -> String {
        var head: [UInt8] = []
        while let byte = readBytes(1) {
            head += byte
            if head.suffix(4) == [0x0d, 0x0a, 0x0d, 0x0a] { break }
        }
        return String(decoding: head, as: UTF8.self)
    }
}
