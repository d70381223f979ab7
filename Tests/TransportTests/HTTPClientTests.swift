import Glibc
import Synchronization
import Testing
import Wire

@testable import Transport

/// The client against peers that behave, misbehave and vanish.
@Suite struct HTTPClientTests {
    private func call(
        _ peer: ScriptedPeer, _ method: String = "GET", _ target: String = "/", body: String = "",
        timeout: Int64 = 5_000, maximum: Int = 1 << 20
    ) -> HTTPCall {
        HTTPCall(
            method, HTTPEndpoint(.tcp(host: "127.0.0.1", port: peer.port)), target, body: Array(body.utf8),
            timeoutMilliseconds: timeout, replyBytesMaximum: maximum)
    }

    private func stage(_ call: HTTPCall, _ client: HTTPClient = HTTPClient()) async -> HTTPFailure.Stage? {
        do {
            _ = try await client.send(call)
            return nil
        } catch {
            return (error as? HTTPFailure)?.stage
        }
    }

    @Test func readsContentLengthAndChunkedBodies() async throws {
        let plain = ScriptedPeer.answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello")
        let reply = try await HTTPClient().send(call(plain))
        #expect(reply.status == 200)
        #expect(reply.body == Array("hello".utf8))
        #expect(reply.fields["x-a"] == "b")

        let chunked = ScriptedPeer.answering(
            "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        let other = try await HTTPClient().send(call(chunked))
        #expect(other.status == 404)
        #expect(other.body == Array("abcde".utf8))
    }

    @Test func readsABodyThatEndsWithTheConnection() async throws {
        let peer = ScriptedPeer.answering("HTTP/1.0 200 OK\r\n\r\nall of it")
        #expect(try await HTTPClient().send(call(peer)).body == Array("all of it".utf8))
    }

    @Test func sendsWhatTheCallSays() async throws {
        let seen = Mutex("")
        let peer = ScriptedPeer { connection, _ in
            let text = connection.read(until: "the body")
            seen.withLock { $0 = text }
            connection.send("HTTP/1.1 204 No Content\r\n\r\n")
        }
        var call = call(peer, "POST", "/x/y?q=1%20", body: "the body")
        call.endpoint.basePath = "/base"
        call.fields = [HTTPField("X-Key", "k")]
        #expect(try await HTTPClient().send(call).status == 204)
        let text = seen.withLock { $0 }
        #expect(text.hasPrefix("POST /base/x/y?q=1%20 HTTP/1.1\r\n"))
        #expect(text.contains("Host: 127.0.0.1:\(peer.port)\r\n"))
        #expect(text.contains("Content-Length: 8\r\n"))
        #expect(text.contains("X-Key: k\r\n"))
    }

    @Test func refusesWhatWouldForgeALine() async {
        let peer = ScriptedPeer.answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        #expect(await stage(call(peer, "GET", "/a b")) == .send)
        #expect(await stage(call(peer, "GET", "/a\r\nX: y")) == .send)
        var forged = call(peer)
        forged.fields = [HTTPField("X", "a\r\nY: b")]
        #expect(await stage(forged) == .send)
        #expect(peer.connections == 0)
    }

    @Test func namesTheStageThatFailed() async {
        let half = ScriptedPeer.answering("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf of")
        #expect(await stage(call(half)) == .body)
        let brokenChunk = ScriptedPeer.answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc")
        #expect(await stage(call(brokenChunk)) == .body)
        let cutChunk = ScriptedPeer.answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")
        #expect(await stage(call(cutChunk)) == .body)
        let garbage = ScriptedPeer.answering("SSH-2.0-OpenSSH_9.2p1\r\n\r\n")
        #expect(await stage(call(garbage)) == .head)
        let silentClose = ScriptedPeer.answering("")
        #expect(await stage(call(silentClose)) == .head)
        let halfHead = ScriptedPeer.answering("HTTP/1.1 200 OK\r\nContent-Le")
        #expect(await stage(call(halfHead)) == .head)
        let endlessHead = ScriptedPeer.answering(
            "HTTP/1.1 200 OK\r\n" + String(repeating: "X-A: bcdefghij\r\n", count: 9_000))
        #expect(await stage(call(endlessHead)) == .head)
    }

    @Test func namesResolveAndConnect() async {
        let nobody = ScriptedPeer { _, _ in }
        nobody.stop()
        let refused = HTTPCall("GET", HTTPEndpoint(.tcp(host: "127.0.0.1", port: 1)), "/")
        #expect(await stage(refused) == .connect)
        let unknown = HTTPCall("GET", HTTPEndpoint(.tcp(host: "no-such-host.invalid", port: 80)), "/")
        #expect(await stage(unknown) == .resolve)
        let socket = HTTPCall("GET", HTTPEndpoint(.unix(path: "/nowhere/x.sock")), "/")
        #expect(await stage(socket) == .connect)
    }

    @Test func namesAFailedHandshake() async {
        let plain = ScriptedPeer.answering("HTTP/1.1 400 Bad Request\r\n\r\n", mark: "\u{1}")
        let call = HTTPCall(
            "GET", HTTPEndpoint(.tls(host: "127.0.0.1", port: plain.port)), "/", timeoutMilliseconds: 15_000)
        #expect(await stage(call) == .tls)
        var named = call
        named.tlsProfile = "missing"
        #expect(await stage(named) == .tls)
    }

    @Test func givesUpOnPeersThatHang() async {
        let hanging = ScriptedPeer { connection, _ in _ = connection.read() }
        #expect(await stage(call(hanging, timeout: 1_000)) == .timeout)
        let slowBody = ScriptedPeer { connection, _ in
            _ = connection.read(until: "\r\n\r\n")
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nx")
            _ = connection.read()
        }
        #expect(await stage(call(slowBody, timeout: 1_000)) == .timeout)
    }

    @Test func refusesALongReply() async {
        let announced = ScriptedPeer { connection, _ in
            _ = connection.read(until: "\r\n\r\n")
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
            _ = connection.read()
        }
        #expect(await stage(call(announced, maximum: 100)) == .tooLarge)
        let body = String(repeating: "x", count: 5_000)
        let chunked = ScriptedPeer.answering(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n\(body)\r\n0\r\n\r\n")
        #expect(await stage(call(chunked, maximum: 100)) == .tooLarge)
    }

    @Test func cancellingClosesTheConnection() async {
        let closed = Mutex(false)
        let asked = Mutex(false)
        let peer = ScriptedPeer { connection, _ in
            _ = connection.read(until: "\r\n\r\n")
            asked.withLock { $0 = true }
            _ = connection.read()
            closed.withLock { $0 = true }
        }
        let client = HTTPClient()
        let call = call(peer)
        let task = Task { await stage(call, client) }
        while !asked.withLock({ $0 }) { await Task.yield() }
        task.cancel()
        #expect(await task.value == .cancelled)
        while !closed.withLock({ $0 }) { await Task.yield() }
    }

    @Test func keepsAConnectionForTheNextCall() async throws {
        let peer = ScriptedPeer { connection, _ in
            while !connection.read(until: "\r\n\r\n").isEmpty {
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            }
        }
        let client = HTTPClient()
        for _ in 0..<5 { #expect(try await client.send(call(peer)).status == 200) }
        #expect(peer.connections == 1)
        #expect(client.idleConnections == 1)
        client.close()
        #expect(client.idleConnections == 0)
    }

    @Test func repeatsAnIdempotentCallOnceWhenThePooledConnectionIsDead() async throws {
        // Answers the first call of a connection and closes at the second, as a peer whose idle limit strikes does.
        let peer = ScriptedPeer { connection, _ in
            _ = connection.read(until: "\r\n\r\n")
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            _ = connection.read(until: "\r\n\r\n")
        }
        let client = HTTPClient()
        #expect(try await client.send(call(peer)).status == 200)
        #expect(try await client.send(call(peer)).status == 200)
        #expect(peer.connections == 2)
        #expect(await stage(call(peer, "POST", body: "x"), client) == .head)
        #expect(peer.connections == 2)
    }

    @Test func doesNotRepeatOnAFreshConnection() async {
        let peer = ScriptedPeer.answering("")
        #expect(await stage(call(peer)) == .head)
        #expect(peer.connections == 1)
    }

    @Test func aPeerThatTalksUnaskedIsNotReused() async throws {
        let peer = ScriptedPeer { connection, _ in
            _ = connection.read(until: "\r\n\r\n")
            connection.send(
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
            _ = connection.read()
        }
        let client = HTTPClient()
        #expect(try await client.send(call(peer)).body == Array("ok".utf8))
        #expect(try await client.send(call(peer)).body == Array("ok".utf8))
    }

    @Test func streamsWithBackPressure() async throws {
        let sent = Atomic<Int>(0)
        let peer = ScriptedPeer { connection, _ in
            _ = connection.read(until: "\r\n\r\n")
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            let piece = String(repeating: "x", count: 65_536)
            for _ in 0..<1_000 {
                guard connection.send("10000\r\n\(piece)\r\n") else { return }
                sent.add(65_536, ordering: .relaxed)
            }
            connection.send("0\r\n\r\n")
        }
        let stream = try await HTTPClient().open(call(peer))
        #expect(stream.status == 200)
        // Nobody reads: what the peer can send is bounded by the kernel's buffers and the pipe, far below 64 MB.
        await onThread { usleep(300_000) }
        #expect(sent.load(ordering: .relaxed) < 20 << 20)
        var total = 0
        while let piece = try await stream.next() { total += piece.count }
        #expect(total == 1_000 * 65_536)
    }

    @Test func lettingGoOfAStreamClosesIt() async throws {
        let closed = Mutex(false)
        let peer = ScriptedPeer { connection, _ in
            _ = connection.read(until: "\r\n\r\n")
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
            _ = connection.read()
            closed.withLock { $0 = true }
        }
        do {
            let stream = try await HTTPClient().open(call(peer))
            #expect(try await stream.next() == Array("x".utf8))
        }
        while !closed.withLock({ $0 }) { await Task.yield() }
    }

    @Test func aStreamCutShortThrows() async throws {
        let peer = ScriptedPeer.answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        let stream = try await HTTPClient().open(call(peer))
        await #expect(throws: HTTPFailure.self) {
            while try await stream.next() != nil {}
        }
    }
}
