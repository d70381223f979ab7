internal import Foundation
internal import Glibc
internal import Synchronization

/// A chat provider on loopback that speaks HTTP over real sockets and misbehaves as told, one connection per thread.
package final class WebhookProvider: Sendable {
    /// How one request is answered.
    package enum Behaviour: Sendable {
        /// 200 with a short JSON body.
        case accept
        /// 200, and an error inside: what a lying gateway does.
        case acceptWithError
        /// 429 with Retry-After: 1.
        case tooMany
        /// 200 with a page for people.
        case html
        /// The head promises more than the body brings.
        case halfBody
        /// Nothing, until the peer gives up.
        case hang
    }

    /// One request as it arrived.
    package struct Delivery: Sendable {
        /// Nanoseconds since 1970, when the whole request had been read.
        package let nanoseconds: Int64
        /// Names in lower case.
        package let fields: [String: String]
        package let body: String
        /// Whether it was answered in a way that counts as delivered.
        package let wasAccepted: Bool
    }

    private struct State {
        var deliveries: [Delivery] = []
        var script: [Behaviour] = []
    }

    package let port: Int
    private let listener: Int32
    private let state = Mutex(State())

    /// Listens on a free port. The first requests are answered as `script` says, all others are accepted.
    package init(script: [Behaviour] = []) throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard let port = FreePort.bindToLoopback(listener), listen(listener, 64) == 0 else {
            throw ScenarioError("the provider cannot listen: \(errno)")
        }
        self.port = port
        state.withLock { $0.script = script }
        Thread.detachNewThread { [self] in acceptLoop() }
    }

    package var url: String { "http://127.0.0.1:\(port)/hook" }

    /// Every request so far, in order of arrival.
    package var deliveries: [Delivery] { state.withLock { $0.deliveries } }

    /// The requests that were answered as delivered, with `status` in their payload.
    package func accepted(status: String) -> [Delivery] {
        deliveries.filter { $0.wasAccepted && $0.body.contains("\"status\":\"\(status)\"") }
    }

    /// Answers the next requests as told.
    package func misbehave(_ script: [Behaviour]) { state.withLock { $0.script += script } }

    /// Stops listening.
    package func stop() { shutdown(listener, Int32(SHUT_RDWR)); close(listener) }

    private func acceptLoop() {
        while true {
            let connection = accept(listener, nil, nil)
            if connection < 0 { return }
            Thread.detachNewThread { [self] in
                while serve(connection) {}
                close(connection)
            }
        }
    }

    /// Answers one request; false when the connection is to be closed.
    private func serve(_ connection: Int32) -> Bool {
        guard let (fields, body) = WebhookProvider.readRequest(connection) else { return false }
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let now = Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        let behaviour = state.withLock { state in
            let next = state.script.isEmpty ? Behaviour.accept : state.script.removeFirst()
            var isAccepted = false
            if case .accept = next { isAccepted = true }
            let delivery = Delivery(nanoseconds: now, fields: fields, body: body, wasAccepted: isAccepted)
            state.deliveries.append(delivery)
            return next
        }
        switch behaviour {
        case .accept: return reply(connection, "200 OK", "application/json", #"{"errcode":0,"errmsg":"ok"}"#)
        case .acceptWithError:
            return reply(connection, "200 OK", "application/json", #"{"errcode":310000,"errmsg":"sign not match"}"#)
        case .tooMany:
            return reply(connection, "429 Too Many Requests", "application/json", "{}", extra: "Retry-After: 1\r\n")
        case .html: return reply(connection, "200 OK", "text/html", "<html><body>please log in</body></html>")
        case .halfBody:
            send(connection, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{\"errc")
            return false
        case .hang:
            var sink: UInt8 = 0
            while recv(connection, &sink, 1, 0) > 0 {}
            return false
        }
    }

    private func reply(
        _ connection: Int32, _ status: String, _ type: String, _ body: String, extra: String = ""
    ) -> Bool {
        let head = "HTTP/1.1 \(status)\r\nContent-Type: \(type)\r\n\(extra)Content-Length: \(body.utf8.count)\r\n\r\n"
        send(connection, head + body)
        return true
    }

    private func send(_ connection: Int32, _ text: String) {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { raw in
                Glibc.send(
                    connection, raw.baseAddress?.advanced(by: sent), bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return }
            sent += count
        }
    }

    private static func readRequest(_ connection: Int32) -> (fields: [String: String], body: String)? {
        var buffer: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        var fields: [String: String] = [:]
        var wanted: Int?
        while true {
            if wanted == nil, let end = headEnd(buffer) {
                fields = headFields(buffer[..<end])
                wanted = end + (Int(fields["content-length"] ?? "0") ?? 0)
                buffer = Array(buffer)
                if let wanted, buffer.count >= wanted {
                    return (fields, String(decoding: buffer[end..<wanted], as: UTF8.self))
                }
            } else if let wanted, buffer.count >= wanted, let end = headEnd(buffer) {
                return (fields, String(decoding: buffer[end..<wanted], as: UTF8.self))
            }
            let count = recv(connection, &chunk, chunk.count, 0)
            if count <= 0 { return nil }
            buffer += chunk[..<count]
        }
    }

    private static func headEnd(_ buffer: [UInt8]) -> Int? {
        guard buffer.count >= 4 else { return nil }
        for index in 3..<buffer.count where buffer[index - 3...index].elementsEqual([13, 10, 13, 10]) {
            return index + 1
        }
        return nil
    }

    private static func headFields(_ head: ArraySlice<UInt8>) -> [String: String] {
        var fields: [String: String] = [:]
        for line in String(decoding: head, as: UTF8.self).components(separatedBy: "\r\n").dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let name = line[..<colon].lowercased()
            fields[name] = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        }
        return fields
    }
}
