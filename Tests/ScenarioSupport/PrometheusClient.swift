internal import Foundation
internal import Transport
internal import Wire

/// Speaks the Prometheus protocols to any server on this host: queries, and remote write.
package struct PrometheusClient: Sendable {
    private let client = HTTPClient()
    private let endpoint: HTTPEndpoint

    /// A client of the server at a port of 127.0.0.1.
    package init(port: Int) {
        endpoint = HTTPEndpoint(.tcp(host: "127.0.0.1", port: port))
    }

    /// A request with a form body, as Grafana sends it.
    package func post(_ path: String, _ parameters: [(String, String)]) async throws -> (status: Int, json: JSONTree) {
        let form = QueryString(parameters.map { QueryString.Item($0.0, $0.1) }).encoded
        let type = HTTPField("Content-Type", "application/x-www-form-urlencoded")
        let reply = try await client.send(HTTPCall("POST", endpoint, path, fields: [type], body: Array(form.utf8)))
        return (reply.status, try JSONTree(String(decoding: reply.body, as: UTF8.self)))
    }

    /// A request with its parameters in the address.
    package func get(_ path: String, _ parameters: [(String, String)]) async throws -> (status: Int, json: JSONTree) {
        let query = QueryString(parameters.map { QueryString.Item($0.0, $0.1) }).encoded
        let reply = try await client.send(HTTPCall("GET", endpoint, query.isEmpty ? path : "\(path)?\(query)"))
        return (reply.status, try JSONTree(String(decoding: reply.body, as: UTF8.self)))
    }

    /// Sends a remote-write request (version 1).
    package func write(_ message: [UInt8]) async throws {
        let fields = [
            HTTPField("Content-Type", "application/x-protobuf"), HTTPField("Content-Encoding", "snappy"),
            HTTPField("X-Prometheus-Remote-Write-Version", "0.1.0"),
        ]
        let body = PrometheusClient.snappyLiterals(message)
        let reply = try await client.send(HTTPCall("POST", endpoint, "/api/v1/write", fields: fields, body: body))
        guard reply.status < 300 else {
            throw ScenarioError("remote write: \(reply.status) \(String(decoding: reply.body, as: UTF8.self))")
        }
    }

    /// A Snappy block of literals alone: valid, and not compressed.
    private static func snappyLiterals(_ bytes: [UInt8]) -> [UInt8] {
        var block: [UInt8] = []
        var length = bytes.count
        while length >= 0x80 {
            block.append(UInt8(length & 0x7f) | 0x80)
            length >>= 7
        }
        block.append(UInt8(length))
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(1 << 16)
            // The tag of a literal whose length less one is in the next two bytes.
            block += [61 << 2, UInt8((piece.count - 1) & 0xff), UInt8((piece.count - 1) >> 8)]
            block += piece
            rest = rest.dropFirst(piece.count)
        }
        return block
    }
}
