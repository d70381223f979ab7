import Glibc
import Testing
import Wire

@testable import Transport

/// Requests that are answered by the event loop that read them.
@Suite struct BriefRequestTests {
    /// Tells which threads ran it, before and behind the wait for the body.
    private static let tellThreads: @Sendable (ListenerRequest) async -> ListenerResponse = { request in
        let before = isOnEventLoop()
        let body = try? await request.body.collect(upTo: 1 << 20)
        return .text(200, "loop \(before) \(isOnEventLoop()), \(body?.count ?? -1) bytes")
    }

    private static func isOnEventLoop() -> Bool { threadName().hasPrefix("NIO-ELT") }

    /// The name of the calling thread.
    private static func threadName() -> String {
        let descriptor = open("/proc/thread-self/comm", O_RDONLY)
        defer { close(descriptor) }
        var name = [UInt8](repeating: 0, count: 16)
        let count = read(descriptor, &name, name.count)
        return String(decoding: name.prefix(max(0, count - 1)), as: UTF8.self)
    }

    private func listen() async throws -> HTTPListener {
        try await HTTPListener.start(
            HTTPListener.Options(host: "127.0.0.1", port: 0),
            isBrief: { $0.target == "/brief" && ($0.body.announcedBytes ?? .max) <= 1000 },
            handler: BriefRequestTests.tellThreads)
    }

    private func answer(_ pieces: [String]) async throws -> String {
        let listener = try await listen()
        let text = await onThread {
            let socket = RawSocket(port: listener.port)
            for piece in pieces {
                socket.send(piece)
                usleep(pieces.count > 1 ? 20_000 : 0)
            }
            return socket.read(until: "bytes")
        }
        await listener.shutdown(deadlineMilliseconds: 1_000)
        return text
    }

    @Test func aSmallOneStaysOnItsLoop() async throws {
        let head = "POST /brief HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n"
        #expect(try await answer([head + "abcdef"]).contains("loop true true, 6 bytes"))
        // Also when it has to wait for its body.
        #expect(try await answer([head, "abc", "def"]).contains("loop true true, 6 bytes"))
    }

    @Test func othersRunOnThePool() async throws {
        let other = "POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
        #expect(try await answer([other]).contains("loop false false, 3 bytes"))
        let long = "POST /brief HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n"
        #expect(
            try await answer([long + String(repeating: "x", count: 1001)]).contains("loop false false, 1001 bytes"))
        let chunked = "POST /brief HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        #expect(try await answer([chunked]).contains("loop false false, 3 bytes"))
    }

    @Test func manyAtOnceAreAllAnswered() async throws {
        let listener = try await listen()
        let client = HTTPClient()
        let endpoint = HTTPEndpoint(.tcp(host: "127.0.0.1", port: listener.port))
        let answered = try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<64 {
                let body = [UInt8](repeating: 7, count: number)
                group.addTask {
                    let reply = try await client.send(HTTPCall("POST", endpoint, "/brief", body: body))
                    return String(decoding: reply.body, as: UTF8.self) == "loop true true, \(body.count) bytes\n"
                }
            }
            return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(answered == 64)
        client.close()
        await listener.shutdown(deadlineMilliseconds: 1_000)
    }

    @Test func aBriefHandlerStaysOnTheEventLoopAndALongAnswerDoesNot() async throws {
        let options = HTTPListener.Options(host: "127.0.0.1", port: 0)
        let listener = try await HTTPListener.start(options, isBrief: { $0.target.hasPrefix("/brief") }) { request in
            let before = Self.threadName()
            // It comes back to its event loop from wherever it waited.
            try? await Task.sleep(for: .milliseconds(1))
            let names = "\(before),\(Self.threadName())"
            guard request.target.hasSuffix("stream") else { return .text(200, names) }
            return ListenerResponse(
                status: 200,
                body: .stream { writer in
                    for _ in 0..<3 { try await writer.write(Array("\(Self.threadName()),".utf8)) }
                })
        }
        let client = HTTPClient()
        let endpoint = HTTPEndpoint(.tcp(host: "127.0.0.1", port: listener.port))
        for (path, onLoop) in [("/brief", 2), ("/brief/stream", 0), ("/long", 0)] {
            let reply = try await client.send(HTTPCall("GET", endpoint, path))
            let names = String(decoding: reply.body, as: UTF8.self).split { $0 == "," || $0 == "\n" }
            #expect(names.filter { $0.hasPrefix("NIO") }.count == onLoop, "\(path): \(names)")
            #expect(names.count >= 2)
        }
        client.close()
        await listener.shutdown(deadlineMilliseconds: 2_000)
    }
}
