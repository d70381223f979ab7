import Glibc
import Synchronization
import Testing
import Wire

@testable import Transport

/// The listener against clients that behave, misbehave and vanish.
@Suite struct HTTPListenerTests {
    /// Echoes the method, the target and the body.
    static let echo: @Sendable (ListenerRequest) async -> ListenerResponse = { request in
        do {
            let body = try await request.body.collect(upTo: 1_000)
            return .text(200, "\(request.method) \(request.target) [\(String(decoding: body, as: UTF8.self))]")
        } catch let failure as ListenerBodyFailure {
            return .text(failure.status, failure.description)
        } catch {
            return .text(500, "\(error)")
        }
    }

    private func listen(
        _ change: (inout HTTPListener.Options) -> Void = { _ in },
        _ handler: @escaping @Sendable (ListenerRequest) async -> ListenerResponse = HTTPListenerTests.echo
    ) async throws -> HTTPListener {
        var options = HTTPListener.Options(host: "127.0.0.1", port: 0)
        change(&options)
        return try await HTTPListener.start(options, handler: handler)
    }

    /// Sends `text`, and returns everything until the listener closes or `mark` was seen.
    private func exchange(_ port: Int, _ text: String, until mark: String? = nil) async -> String {
        await onThread {
            let socket = RawSocket(port: port)
            socket.send(text)
            return socket.read(until: mark)
        }
    }

    @Test func answersAndKeepsTheConnection() async throws {
        let listener = try await listen()
        let client = HTTPClient()
        let endpoint = HTTPEndpoint(.tcp(host: "127.0.0.1", port: listener.port))
        for number in 0..<20 {
            let reply = try await client.send(HTTPCall("POST", endpoint, "/a?n=\(number)", body: Array("hi".utf8)))
            #expect(String(decoding: reply.body, as: UTF8.self) == "POST /a?n=\(number) [hi]\n")
        }
        #expect(listener.connectionCount == 1)
        client.close()
        await listener.shutdown(deadlineMilliseconds: 2_000)
        #expect(listener.connectionCount == 0)
    }

    @Test func answersPipelinedRequestsInOrder() async throws {
        let listener = try await listen()
        let many = (0..<50).map { "GET /\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined()
        let text = await exchange(listener.port, many + "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        var rest = Substring(text)
        for number in 0..<50 {
            guard let range = rest.firstRange(of: "GET /\(number) []") else {
                Issue.record("answer \(number) is missing")
                return
            }
            rest = rest[range.upperBound...]
        }
        #expect(rest.contains("GET /last []"))
    }

    @Test func refusesBodiesThatAreTooLong() async throws {
        let listener = try await listen()
        let announced = await exchange(
            listener.port,
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n" + String(repeating: "x", count: 5_000))
        #expect(announced.hasPrefix("HTTP/1.1 413"))
        #expect(announced.contains("longer than the 1000 bytes"))
        let chunks = String(repeating: "64\r\n" + String(repeating: "y", count: 100) + "\r\n", count: 50)
        let chunked = await exchange(
            listener.port, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        #expect(chunked.hasPrefix("HTTP/1.1 413"))
    }

    @Test func invitesABodyOnlyWhenItIsWanted() async throws {
        let listener = try await listen()
        let head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\n"
        let wanted = await onThread { () -> String in
            let socket = RawSocket(port: listener.port)
            socket.send(head + "Content-Length: 3\r\n\r\n")
            let invitation = socket.read(until: "\r\n\r\n")
            socket.send("abc")
            return invitation + socket.read()
        }
        #expect(wanted.hasPrefix("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"))
        #expect(wanted.contains("[abc]"))
        let refused = await exchange(listener.port, head + "Content-Length: 3000\r\n\r\n")
        #expect(refused.hasPrefix("HTTP/1.1 413"))
    }

    /// What a client sends, and the status it deserves.
    struct Nonsense: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var text: String
        var status: Int

        init(_ name: String, _ text: String, _ status: Int) {
            testDescription = name
            self.text = text
            self.status = status
        }
    }

    static let nonsense = [
        Nonsense("no HTTP", "garbage\r\n\r\n", 400),
        Nonsense("length without number", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        Nonsense(
            "two lengths", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
        Nonsense("broken chunk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        Nonsense(
            "long field", "GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 70_000))\r\n\r\n", 431),
        Nonsense("many fields", "GET / HTTP/1.1\r\n\(String(repeating: "X: y\r\n", count: 300))\r\n", 431),
        Nonsense("long target", "GET /\(String(repeating: "x", count: 500_000)) HTTP/1.1\r\n\r\n", 431),
    ]

    @Test(arguments: nonsense)
    func refusesWhatIsNotHTTP(nonsense: Nonsense) async throws {
        let listener = try await listen()
        let answer = await exchange(listener.port, nonsense.text)
        #expect(answer.hasPrefix("HTTP/1.1 \(nonsense.status)"))
        #expect(answer.contains("Connection: close"))
    }

    @Test func cutsClientsThatAreTooSlow() async throws {
        let listener = try await listen { options in
            options.headMilliseconds = 2_000
            options.bodyMilliseconds = 2_000
            options.idleMilliseconds = 2_000
        }
        let slowHead = await exchange(listener.port, "GET / HT")
        #expect(slowHead.hasPrefix("HTTP/1.1 408"))
        let slowBody = await exchange(listener.port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        #expect(slowBody.hasPrefix("HTTP/1.1 408"))
        let idle = await exchange(listener.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(idle.hasPrefix("HTTP/1.1 200"))
        let silent = await exchange(listener.port, "")
        #expect(silent.isEmpty)
    }

    @Test func aClientThatLeavesCancelsItsHandler() async throws {
        let events = Mutex<Set<String>>([])
        let started = Mutex(false)
        let listener = try await listen({ _ in }) { request in
            request.onDisconnect { events.withLock { _ = $0.insert("disconnected") } }
            started.withLock { $0 = true }
            while !Task.isCancelled { await Task.yield() }
            events.withLock { _ = $0.insert("cancelled") }
            return .text(200, "too late")
        }
        let socket = RawSocket(port: listener.port)
        socket.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        while !started.withLock({ $0 }) { await Task.yield() }
        socket.reset()
        while events.withLock({ $0.count }) < 2 { await Task.yield() }
    }

    @Test func streamsAnAnswerAtTheClientsPace() async throws {
        let written = Atomic<Int>(0)
        let listener = try await listen({ _ in }) { _ in
            ListenerResponse(
                status: 200,
                body: .stream { writer in
                    let piece = [UInt8](repeating: 0x61, count: 65_536)
                    for _ in 0..<1_000 {
                        try await writer.write(piece)
                        written.add(65_536, ordering: .relaxed)
                    }
                })
        }
        let endpoint = HTTPEndpoint(.tcp(host: "127.0.0.1", port: listener.port))
        let stream = try await HTTPClient().open(HTTPCall("GET", endpoint, "/"))
        await onThread { usleep(300_000) }
        #expect(written.load(ordering: .relaxed) < 20 << 20)
        var total = 0
        while let piece = try await stream.next() { total += piece.count }
        #expect(total == 1_000 * 65_536)
    }

    @Test func anAnswerThatFailsHalfwayIsCut() async throws {
        struct Broken: Error {}
        let listener = try await listen({ _ in }) { _ in
            ListenerResponse(
                status: 200,
                body: .stream { writer in
                    try await writer.write(Array("half".utf8))
                    throw Broken()
                })
        }
        let endpoint = HTTPEndpoint(.tcp(host: "127.0.0.1", port: listener.port))
        await #expect(throws: HTTPFailure.self) {
            _ = try await HTTPClient().send(HTTPCall("GET", endpoint, "/"))
        }
    }

    @Test func aClientThatTakesNothingIsCut() async throws {
        let outcome = Mutex("")
        let listener = try await listen({ $0.sendMilliseconds = 200 }) { _ in
            ListenerResponse(
                status: 200,
                body: .stream { writer in
                    do {
                        while true { try await writer.write([UInt8](repeating: 0x61, count: 65_536)) }
                    } catch {
                        outcome.withLock { $0 = "\(error)" }
                        throw error
                    }
                })
        }
        let socket = RawSocket(port: listener.port)
        socket.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        while outcome.withLock({ $0 }).isEmpty { await onThread { usleep(10_000) } }
        #expect(outcome.withLock { $0 } == "the client closed the connection")
        _ = socket
    }

    @Test func turnsAwayOneConnectionTooMany() async throws {
        let listener = try await listen { $0.connectionsMaximum = 1 }
        let first = RawSocket(port: listener.port)
        first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        _ = await onThread { first.read(until: "[]") }
        #expect(await exchange(listener.port, "").hasPrefix("HTTP/1.1 503"))
    }

    @Test func shutdownAnswersWhatIsUnderWay() async throws {
        let gate = Mutex(false)
        let isRunning = Mutex(false)
        let listener = try await listen({ _ in }) { _ in
            isRunning.withLock { $0 = true }
            while !gate.withLock({ $0 }) { await Task.yield() }
            return .text(200, "answered")
        }
        let port = listener.port
        let answer = Task { await exchange(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") }
        while !isRunning.withLock({ $0 }) { await Task.yield() }
        let idle = RawSocket(port: port)
        let down = Task { await listener.shutdown(deadlineMilliseconds: 5_000) }
        #expect(await onThread { idle.read() }.isEmpty)
        gate.withLock { $0 = true }
        #expect(await answer.value.contains("answered"))
        await down.value
        #expect(await exchange(port, "GET / HTTP/1.1\r\n\r\n").isEmpty)
    }

    @Test func shutdownCutsWhatDoesNotEnd() async throws {
        let isRunning = Mutex(false)
        let listener = try await listen({ _ in }) { _ in
            isRunning.withLock { $0 = true }
            while !Task.isCancelled { await Task.yield() }
            return .text(200, "")
        }
        let socket = RawSocket(port: listener.port)
        socket.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        while !isRunning.withLock({ $0 }) { await Task.yield() }
        await listener.shutdown(deadlineMilliseconds: 100)
        #expect(listener.connectionCount == 0)
        _ = socket
    }

    @Test(arguments: [
        "CONNECT other:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ])
    func anUpgradeNobodyOffersEndsTheConnection(request: String) async throws {
        let listener = try await listen()
        let text = await exchange(listener.port, request)
        #expect(text.hasPrefix("HTTP/1.1 200"))
        #expect(text.contains("Connection: close"))
    }

    @Test func headAnswersHaveALengthAndNoBody() async throws {
        let listener = try await listen()
        let text = await exchange(listener.port, "HEAD /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        #expect(text.contains("Content-Length: 11\r\n"))
        #expect(text.hasSuffix("\r\n\r\n"))
    }

    @Test func saysWhyItCannotListen() async throws {
        let listener = try await listen()
        let port = listener.port
        do {
            _ = try await listen { $0.port = port }
            Issue.record("two listeners on one port")
        } catch {
            #expect("\(error)".contains("cannot listen on 127.0.0.1:\(port): address already in use"))
        }
    }
}
