internal import Foundation
internal import Glibc
internal import Transport
internal import Wire

/// The real binary with a data folder of its own, asked over HTTP only.
package final class VedetteProcess: @unchecked Sendable {
    /// The binary under test: $VEDETTE_BINARY, or the one beside this test's own build.
    package static var binary: String {
        ProcessInfo.processInfo.environment["VEDETTE_BINARY"]
            ?? URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
            .appendingPathComponent("vedette").path
    }

    private let arguments: [String]
    private let environment: [String: String]
    private let client: HTTPClient
    private let logPath: String
    package let dataFolder: String
    package private(set) var process: ChildProcess
    package private(set) var port = 0

    /// Starts `vedette COMMAND --data FOLDER …` and waits until it answers that queries work.
    package init(
        _ command: String = "up", dataFolder: String, arguments: [String] = [], environment: [String: String] = [:],
        listen: String = "127.0.0.1:0", logPath: String? = nil
    ) async throws {
        self.dataFolder = dataFolder
        self.logPath = logPath ?? dataFolder + ".log"
        self.arguments = [command, "--data", dataFolder, "--listen", listen] + arguments
        self.environment = environment
        client = HTTPClient()
        process = try ChildProcess(
            VedetteProcess.binary, self.arguments, logPath: self.logPath, environment: environment)
        try await waitUntilReady()
    }

    /// Kills it without warning (SIGKILL).
    package func kill() async {
        process.signal(SIGKILL)
        _ = await process.waitForEnd(seconds: 10)
    }

    /// Starts it again on the same folder and the same port.
    package func restart() async throws {
        var arguments = arguments
        if let index = arguments.firstIndex(of: "--listen") { arguments[index + 1] = "127.0.0.1:\(port)" }
        process = try ChildProcess(
            VedetteProcess.binary, arguments, logPath: logPath + ".again", environment: environment)
        try await waitUntilReady()
    }

    /// Ends it in good order (SIGTERM).
    package func stop() async { await process.stop(graceSeconds: 15) }

    private func waitUntilReady() async throws {
        let addressFile = dataFolder + "/address"
        let isReady = await eventually(seconds: 30) {
            guard process.isRunning else { return true }
            guard let text = try? String(contentsOfFile: addressFile, encoding: .utf8) else { return false }
            guard let port = text.trimmingCharacters(in: .whitespacesAndNewlines).split(separator: ":").last else {
                return false
            }
            self.port = Int(port) ?? 0
            return (try? await self.get("/-/ready").status) == 200
        }
        guard isReady, process.isRunning else {
            throw ScenarioError("vedette did not become ready:\n\(process.output.suffix(3_000))")
        }
    }

    /// Runs a command of the same binary that asks this server.
    package func command(_ arguments: String...) throws -> (status: Int32, output: String) {
        try ChildProcess.run(VedetteProcess.binary, arguments + ["--server", "http://127.0.0.1:\(port)"])
    }

    /// Runs a command of the same binary that reads this server's data folder.
    package func offline(_ arguments: String...) throws -> (status: Int32, output: String) {
        try ChildProcess.run(VedetteProcess.binary, arguments + ["--data", dataFolder])
    }

    /// A GET request with a query string made of `parameters`.
    package func get(_ path: String, _ parameters: [String: String] = [:]) async throws -> (status: Int, body: String) {
        try await call("GET", path, parameters, body: [])
    }

    /// A POST request.
    package func post(
        _ path: String, _ parameters: [String: String] = [:], body: String = "", type: String = "application/json"
    ) async throws -> (status: Int, body: String) {
        try await call("POST", path, parameters, body: Array(body.utf8), type: type)
    }

    /// A request with a body that is no text.
    package func post(_ path: String, bytes: [UInt8], type: String) async throws -> (status: Int, body: String) {
        try await call("POST", path, [:], body: bytes, type: type)
    }

    private func call(
        _ method: String, _ path: String, _ parameters: [String: String], body: [UInt8],
        type: String = "application/json", timeoutMilliseconds: Int64 = 10_000
    ) async throws -> (status: Int, body: String) {
        var allowed = CharacterSet.alphanumerics
        allowed.insert(charactersIn: "-._~")
        let query = parameters.sorted { $0.key < $1.key }.map { name, value in
            "\(name)=\(value.addingPercentEncoding(withAllowedCharacters: allowed) ?? "")"
        }
        let target = query.isEmpty ? path : "\(path)?\(query.joined(separator: "&"))"
        let endpoint = HTTPEndpoint(.tcp(host: "127.0.0.1", port: port))
        let fields = body.isEmpty ? [] : [HTTPField("Content-Type", type)]
        let reply = try await client.send(
            HTTPCall(method, endpoint, target, fields: fields, body: body, timeoutMilliseconds: timeoutMilliseconds))
        return (reply.status, String(decoding: reply.body, as: UTF8.self))
    }

    /// A GET request whose answer is JSON.
    package func json(
        _ path: String, _ parameters: [String: String] = [:], timeoutMilliseconds: Int64 = 10_000
    ) async throws -> JSONTree {
        let (status, body) = try await call(
            "GET", path, parameters, body: [], timeoutMilliseconds: timeoutMilliseconds)
        guard status == 200 else { throw ScenarioError("\(path) \(parameters): \(status) \(body.prefix(500))") }
        return try JSONTree(body)
    }

    /// The series of an instant query: labels and value.
    package func instant(_ expression: String) async throws -> [(labels: [String: String], value: Double)] {
        let answer = try await json("/api/v1/query", ["query": expression])
        return answer["data"]["result"].array.map { element in
            (element["metric"].strings, Double(element["value"][1].string) ?? .nan)
        }
    }

    /// The lines of a log query over the last hour, oldest first.
    package func lines(_ expression: String) async throws -> [String] {
        let parameters = ["query": expression, "since": "1h", "limit": "5000", "direction": "forward"]
        let answer = try await json("/loki/api/v1/query_range", parameters)
        let values = answer["data"]["result"].array.flatMap { $0["values"].array }
        return values.sorted { $0[0].string < $1[0].string }.map { $0[1].string }
    }
}

/// JSON read with Foundation, so that the product's own reader does not judge itself.
package struct JSONTree: @unchecked Sendable {
    private let value: Any?

    /// Parses a text.
    package init(_ text: String) throws {
        do {
            value = try JSONSerialization.jsonObject(with: Data(text.utf8), options: [.fragmentsAllowed])
        } catch {
            throw ScenarioError("not JSON: \(text.prefix(300))")
        }
    }

    private init(value: Any?) {
        self.value = value
    }

    package subscript(_ name: String) -> JSONTree { JSONTree(value: (value as? [String: Any])?[name]) }
    package subscript(_ index: Int) -> JSONTree {
        guard let array = value as? [Any], array.indices.contains(index) else { return JSONTree(value: nil) }
        return JSONTree(value: array[index])
    }

    package var array: [JSONTree] { (value as? [Any] ?? []).map { JSONTree(value: $0) } }
    package var string: String { value as? String ?? (value as? NSNumber)?.stringValue ?? "" }
    package var number: Double { (value as? NSNumber)?.doubleValue ?? Double(value as? String ?? "") ?? .nan }
    package var strings: [String: String] {
        (value as? [String: Any] ?? [:]).compactMapValues { $0 as? String }
    }
    package var exists: Bool { value != nil && !(value is NSNull) }
}

extension JSONTree: CustomStringConvertible {
    package var description: String {
        guard let value, let data = try? JSONSerialization.data(withJSONObject: value, options: [.fragmentsAllowed])
        else {
            return "null"
        }
        return String(decoding: data, as: UTF8.self)
    }
}
