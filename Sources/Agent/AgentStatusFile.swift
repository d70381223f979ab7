internal import Telemetry

/// What `vedette agent status` shows: what an agent found, reads, keeps, dropped, and cannot see. A file of the data
/// folder, written anew every few seconds, because an agent listens on nothing that could be asked
/// (docs/formats/agent-state.md, "status").
package struct AgentStatusFile: Sendable, Equatable {
    /// The file's name in the data folder.
    package static let name = "status.json"

    /// A queue of the spool.
    package struct Queue: Sendable, Equatable {
        package var name: String
        package var batches: Int
        package var bytes: UInt64
        /// The age of the oldest batch; nil when nothing waits.
        package var oldestSeconds: Double?
    }

    package var version = ""
    package var agent = ""
    package var node = ""
    package var server = ""
    /// How it stands with the agent's certificate; empty where it has none.
    package var certificate = ""
    /// Whether that is why the server takes nothing: it ended, or was revoked.
    package var isCertificateRefused = false
    /// Why the server takes nothing; empty while it does.
    package var serverTrouble = ""
    package var processIdentifier: Int64 = 0
    package var startedMilliseconds: Int64 = 0
    package var writtenMilliseconds: Int64 = 0
    package var intervalSeconds: Double = 0
    /// 0 at every interval, 1 at every fifth, 2 at every fifteenth.
    package var step = 0
    package var cgroups = ""
    package var isEngineAnswering = false
    /// Who tells of this node's pods; empty where Kubernetes is not asked.
    package var kubernetes = ""
    /// What runs, by who made it.
    package var found: [String: Int] = [:]
    /// What is read.
    package var samplesPerReading = 0
    package var readingSeconds: Double = 0
    package var logLines: UInt64 = 0
    package var logBytes: UInt64 = 0
    package var queues: [Queue] = []
    package var sentBatches: UInt64 = 0
    /// What was given up, by the reason.
    package var dropped: [String: UInt64] = [:]
    package var cpuSeconds: Double = 0
    package var residentBytes: UInt64 = 0
    package var blindSpots: [(what: String, reason: String, remedy: String)] = []

    package static func == (left: AgentStatusFile, right: AgentStatusFile) -> Bool { left.encoded == right.encoded }

    /// The file's bytes.
    package var encoded: [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("version", version)
        writer.member("agent", agent)
        writer.member("node", node)
        writer.member("server", server)
        if !certificate.isEmpty {
            writer.member("certificate", certificate)
            writer.member("certificate_refused", isCertificateRefused)
        }
        if !serverTrouble.isEmpty { writer.member("server_trouble", serverTrouble) }
        writer.member("pid", processIdentifier)
        writer.member("started_ms", startedMilliseconds)
        writer.member("written_ms", writtenMilliseconds)
        number("interval_seconds", intervalSeconds, &writer)
        writer.member("degraded_step", step)
        writer.member("cgroups", cgroups)
        writer.member("engine_answers", isEngineAnswering)
        if !kubernetes.isEmpty { writer.member("kubernetes", kubernetes) }
        counts("found", found.mapValues { UInt64($0) }, &writer)
        writer.member("samples_per_reading", samplesPerReading)
        number("reading_seconds", readingSeconds, &writer)
        writer.member("log_lines", logLines)
        writer.member("log_bytes", logBytes)
        writer.key("queues")
        writer.beginArray()
        for queue in queues {
            writer.beginObject()
            writer.member("queue", queue.name)
            writer.member("batches", queue.batches)
            writer.member("bytes", queue.bytes)
            if let age = queue.oldestSeconds { number("oldest_seconds", age, &writer) }
            writer.endObject()
        }
        writer.endArray()
        writer.member("sent_batches", sentBatches)
        counts("dropped", dropped, &writer)
        number("cpu_seconds", cpuSeconds, &writer)
        writer.member("resident_bytes", residentBytes)
        writer.key("cannot_see")
        writer.beginArray()
        for spot in blindSpots {
            writer.beginObject()
            writer.member("what", spot.what)
            writer.member("reason", spot.reason)
            writer.member("remedy", spot.remedy)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }

    /// A status of nothing.
    package init() {}

    /// Reads a file; throws where it is no JSON object.
    package init(decoding bytes: [UInt8]) throws {
        let json = try JSONValue(parsing: bytes)
        func text(_ key: String) -> String { json[key]?.text ?? "" }
        func whole(_ key: String) -> Int64 { json[key]?.wholeNumber ?? 0 }
        func number(_ key: String) -> Double { json[key]?.double ?? 0 }
        func counts(_ key: String) -> [String: UInt64] {
            var counts: [String: UInt64] = [:]
            for member in json[key]?.members ?? [] {
                counts[member.key] = UInt64(max(0, member.value.wholeNumber ?? 0))
            }
            return counts
        }
        (version, agent, node, server) = (text("version"), text("agent"), text("node"), text("server"))
        certificate = text("certificate")
        isCertificateRefused = json["certificate_refused"]?.truth ?? false
        serverTrouble = text("server_trouble")
        processIdentifier = whole("pid")
        startedMilliseconds = whole("started_ms")
        writtenMilliseconds = whole("written_ms")
        intervalSeconds = number("interval_seconds")
        step = Int(whole("degraded_step"))
        cgroups = text("cgroups")
        isEngineAnswering = json["engine_answers"]?.truth ?? false
        kubernetes = text("kubernetes")
        found = counts("found").mapValues { Int($0) }
        samplesPerReading = Int(whole("samples_per_reading"))
        readingSeconds = number("reading_seconds")
        logLines = UInt64(max(0, whole("log_lines")))
        logBytes = UInt64(max(0, whole("log_bytes")))
        for element in json["queues"]?.elements ?? [] {
            queues.append(
                Queue(
                    name: element["queue"]?.text ?? "", batches: Int(element["batches"]?.wholeNumber ?? 0),
                    bytes: UInt64(max(0, element["bytes"]?.wholeNumber ?? 0)),
                    oldestSeconds: element["oldest_seconds"]?.double))
        }
        sentBatches = UInt64(max(0, whole("sent_batches")))
        dropped = counts("dropped")
        cpuSeconds = number("cpu_seconds")
        residentBytes = UInt64(max(0, whole("resident_bytes")))
        for element in json["cannot_see"]?.elements ?? [] {
            blindSpots.append(
                (element["what"]?.text ?? "", element["reason"]?.text ?? "", element["remedy"]?.text ?? ""))
        }
    }

    private func number(_ key: String, _ value: Double, _ writer: inout JSONWriter) {
        writer.key(key)
        writer.number(value)
    }

    private func counts(_ key: String, _ counts: [String: UInt64], _ writer: inout JSONWriter) {
        writer.key(key)
        writer.beginObject()
        for (name, count) in counts.sorted(by: { $0.key < $1.key }) { writer.member(name, count) }
        writer.endObject()
    }
}
