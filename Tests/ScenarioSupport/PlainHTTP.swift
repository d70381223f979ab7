internal import Transport
internal import Wire

/// Asks a program beside the one under test.
package enum PlainHTTP {
    /// The body of a page on this machine; throws unless the answer is 200.
    package static func page(port: Int, _ path: String) async throws -> String {
        let endpoint = HTTPEndpoint(.tcp(host: "127.0.0.1", port: port))
        let reply = try await HTTPClient().send(
            HTTPCall("GET", endpoint, path, timeoutMilliseconds: 10_000, replyBytesMaximum: 16 << 20))
        guard reply.status == 200 else { throw ScenarioError("\(path) answered \(reply.status)") }
        return String(decoding: reply.body, as: UTF8.self)
    }
}
