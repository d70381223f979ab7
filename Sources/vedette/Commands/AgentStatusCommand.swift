internal import Agent
internal import ArgumentParser
internal import Disk
internal import Telemetry

/// `vedette agent status`: what an agent of this host found, reads, keeps, dropped, and cannot see.
struct AgentStatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show what an agent on this host found, reads, keeps, dropped, and cannot see.",
        discussion: "Reads the file that the agent writes every five seconds; nothing is asked over a network.")

    @Option(name: .long, help: "The agent's data folder; of `vedette up`, the folder `agent` in its own.")
    var data = "./vedette-agent"

    @Option(name: [.short, .long], help: "How to print it: table or json.")
    var output: OutputFormat = .table

    /// An agent writes every five seconds; a degraded one every fifteen.
    private static let staleSeconds: Double = 60

    func run() throws {
        let path = "\(data)/\(AgentStatusFile.name)"
        let bytes: [UInt8]?
        do {
            bytes = try AtomicFile.read(path, in: SystemStorage(), maximumBytes: 4 << 20)
        } catch {
            throw CommandFailure("\(path) cannot be read: \(error)")
        }
        guard let bytes else {
            throw CommandFailure("there is no \(path): no agent has run with this data folder (name it with --data)")
        }
        let status: AgentStatusFile
        do {
            status = try AgentStatusFile(decoding: bytes)
        } catch {
            throw CommandFailure("\(path) is damaged (\(error)); the agent writes it anew within five seconds")
        }
        let age = Double(SystemWallClock().nowMilliseconds - status.writtenMilliseconds) / 1e3
        switch output {
        case .json: Terminal.write(String(decoding: bytes, as: UTF8.self) + "\n")
        case .table: Terminal.write(Self.table(status, ageSeconds: age))
        }
        if status.isCertificateRefused {
            throw CommandFailure(
                "nothing is taken from this agent, its certificate is \(status.certificate) (docs/deploy.md)")
        }
        guard age < Self.staleSeconds else {
            throw CommandFailure("the agent has written nothing for \(Int(age)) seconds: it does not run, or hangs")
        }
    }

    /// For people.
    static func table(_ status: AgentStatusFile, ageSeconds: Double) -> String {
        var table = TextTable(["agent \(status.node)", status.version], alignments: [.left, .left])
        func add(_ what: String, _ words: String) { table.append([what, words]) }
        add("as of", "\(Int(max(0, ageSeconds))) s ago, process \(status.processIdentifier)")
        add("sends to", status.server)
        let pace = status.step == 0 ? "" : ", less often than asked, to keep its limits"
        if !status.certificate.isEmpty { add("certificate", status.certificate) }
        if !status.serverTrouble.isEmpty, !status.isCertificateRefused { add("server", status.serverTrouble) }
        add("reads every", "\(status.intervalSeconds) s\(pace)")
        add("cgroups", status.cgroups)
        add("engine", status.isEngineAnswering ? "answers" : "does not answer: its files and cgroups are read")
        if !status.kubernetes.isEmpty { add("Kubernetes", status.kubernetes) }
        let found = status.found.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
        add("found running", found.isEmpty ? "nothing" : found.joined(separator: ", "))
        add(
            "one reading",
            "\(status.samplesPerReading) samples in \((status.readingSeconds * 1e5).rounded() / 1e2) ms")
        add("log lines read", "\(status.logLines), \(ByteSizes.binary(Int64(clamping: status.logBytes)))")
        for queue in status.queues {
            let age = queue.oldestSeconds.map { ", the oldest \(Int($0)) s" } ?? ""
            let size = ByteSizes.binary(Int64(clamping: queue.bytes))
            add("queued \(queue.name)", "\(queue.batches) batches\(age); \(size) on disk")
        }
        add("sent", "\(status.sentBatches) batches")
        let dropped = status.dropped.filter { $0.value > 0 }.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
        add("dropped", dropped.isEmpty ? "nothing" : dropped.joined(separator: ", "))
        let cpu = (status.cpuSeconds * 100).rounded() / 100
        add("process", "\(cpu) s of CPU, \(ByteSizes.binary(Int64(clamping: status.residentBytes))) resident")
        for (index, spot) in status.blindSpots.enumerated() {
            add(index == 0 ? "cannot see" : "", "\(spot.what): \(spot.reason); \(spot.remedy)")
        }
        if status.blindSpots.isEmpty { add("cannot see", "nothing is missing") }
        return table.render()
    }
}
