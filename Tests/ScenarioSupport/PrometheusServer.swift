internal import Foundation
internal import Transport
internal import Wire

/// The real Prometheus, scraping one address every second.
package final class PrometheusServer: Sendable {
    private let process: ChildProcess
    private let client = HTTPClient()
    package let port: Int

    /// Starts it with nothing to scrape; it takes remote writes of any age.
    package init(receivingIn scratch: ScratchFolder) async throws {
        port = try FreePort.find()
        let file = try scratch.write("receiving.yml", "global: {}\n")
        process = try ChildProcess(
            "prometheus",
            [
                "--config.file=\(file)", "--storage.tsdb.path=\(scratch.file("received"))",
                "--web.listen-address=127.0.0.1:\(port)", "--web.enable-remote-write-receiver",
                "--storage.tsdb.retention.time=100y",
                // Version 2.42 warns that it does not know it.
                "--enable-feature=promql-experimental-functions",
            ],
            logPath: scratch.file("receiving.log"))
        let call = HTTPCall("GET", HTTPEndpoint(.tcp(host: "127.0.0.1", port: port)), "/-/ready")
        let isReady = await eventually(seconds: 30) { (try? await client.send(call).status) == 200 }
        guard isReady else {
            await process.stop()
            throw ScenarioError("prometheus did not become ready:\n\(process.output.suffix(3_000))")
        }
    }

    /// Starts it with its data in `scratch`.
    package init(scraping target: Int, in scratch: ScratchFolder) throws {
        port = try FreePort.find()
        let configuration = """
            global: {scrape_interval: 1s, scrape_timeout: 1s}
            scrape_configs:
              - job_name: vedette
                static_configs: [{targets: ["127.0.0.1:\(target)"]}]
              - job_name: prometheus
                static_configs: [{targets: ["127.0.0.1:\(port)"]}]
            """
        let file = try scratch.write("prometheus.yml", configuration)
        process = try ChildProcess(
            "prometheus",
            [
                "--config.file=\(file)", "--storage.tsdb.path=\(scratch.file("prometheus"))",
                "--web.listen-address=127.0.0.1:\(port)",
            ],
            logPath: scratch.file("prometheus.log"))
    }

    /// Starts it with no data of its own: it asks the server at `source` by remote read.
    package init(readingFrom source: Int, in scratch: ScratchFolder) throws {
        port = try FreePort.find()
        let file = try scratch.write(
            "reading.yml", "remote_read: [{url: \"http://127.0.0.1:\(source)/api/v1/read\", read_recent: true}]\n")
        process = try ChildProcess(
            "prometheus",
            [
                "--config.file=\(file)", "--storage.tsdb.path=\(scratch.file("reading"))",
                "--web.listen-address=127.0.0.1:\(port)",
            ],
            logPath: scratch.file("reading.log"))
    }

    /// What it printed.
    package var output: String { process.output }

    /// The value of an instant query's only series; not a number when there is none.
    package func value(_ expression: String) async throws -> Double {
        let query = QueryString([QueryString.Item("query", expression)]).encoded
        let call = HTTPCall("GET", HTTPEndpoint(.tcp(host: "127.0.0.1", port: port)), "/api/v1/query?\(query)")
        let reply = try await client.send(call)
        let answer = try JSONTree(String(decoding: reply.body, as: UTF8.self))
        return Double(answer["data"]["result"][0]["value"][1].string) ?? .nan
    }

    /// Ends it.
    package func stop() async { await process.stop() }
}
