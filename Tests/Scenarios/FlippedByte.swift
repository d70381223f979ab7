internal import Foundation
internal import ScenarioSupport
internal import Testing

/// One byte is flipped in each file of a data folder in turn: the server starts, serves the rest, and says what is
/// missing. Nothing is missing in silence.
@Suite(.serialized) struct FlippedByte {
    /// What a whole data folder answers.
    private struct Counts: Equatable, CustomStringConvertible {
        /// Samples and lines of the two runs of the loader; the first run is sealed, the second is in the logs.
        var samples: [Int]
        var lines: [Int]
        var warnings: [String] = []

        var description: String { "samples \(samples), lines \(lines), \(warnings)" }
    }

    /// Where files must be found: each of them holds something.
    private static let kinds = [
        "metrics/wal/", "metrics/blocks/", "logs/log/", "logs/parts/", "alerting/journal/", "alerting/audit.log",
        "agent/spool/samples/", "agent/spool/ledger",
    ]

    @Test(.enabled(if: access(Loader.path, X_OK) == 0, "\(Loader.path) is not built"))
    func inEveryFile() async throws {
        var options = ServerStage.Options()
        options.command = "up"
        options.rules = ["trouble.yml": ServerStage.alwaysFiring("Trouble")]
        try await ServerStage.play("flip", options) { stage in
            try await fill(stage)
            let whole = try await count(stage)
            #expect(whole.warnings.isEmpty && !(whole.samples + whole.lines).contains(0), "\(whole)")
            await stage.vedette.kill()
            let original = stage.scratch.file("original")
            try FileManager.default.moveItem(atPath: stage.vedette.dataFolder, toPath: original)

            let files = try FlippedByte.files(below: original)
            for kind in FlippedByte.kinds {
                #expect(files.contains { $0.hasPrefix(kind) }, "no file in \(kind): \(files)")
            }
            for file in files { try await flip(file, of: original, whole, stage) }
            print("flipped a byte in each of \(files.count) files")
        }
    }

    /// Two runs of load with a seal between them, and one alert that was told.
    private func fill(_ stage: ServerStage) async throws {
        for run in 1...2 {
            let load = try Loader.start(run, against: stage.vedette, logPath: stage.scratch.file("load.\(run)"))
            await expectSoon("there is load", seconds: 20, seen: { load.output }) {
                let report = LoadReport(load.output).acknowledged
                return report.count == 2 && report.values.allSatisfy { $0 > 100 }
            }
            await load.stop()
            if run == 1 {
                let seal = try await stage.vedette.post("/api/v1/admin/seal")
                #expect(seal.status == 200, "\(seal)")
            }
        }
        await expectSoon("the alert is told and on record") {
            let log = try String(contentsOfFile: "\(stage.vedette.dataFolder)/alerting/audit.log", encoding: .utf8)
            return log.contains("notification.delivered")
        }
    }

    private func flip(_ file: String, of original: String, _ whole: Counts, _ stage: ServerStage) async throws {
        let folder = stage.vedette.dataFolder
        try? FileManager.default.removeItem(atPath: folder)
        try FileManager.default.copyItem(atPath: original, toPath: folder)
        var bytes = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(file)"))
        // Segments are preallocated; what lies behind the last byte that was written means nothing.
        guard let end = bytes.lastIndex(where: { $0 != 0 }) else { return }
        let offset = Int.random(in: 0...end)
        bytes[offset] ^= 1 << UInt8.random(in: 0..<8)
        try bytes.write(to: URL(fileURLWithPath: "\(folder)/\(file)"))

        let place = "\(file), byte \(offset) of \(end + 1)"
        let started = Date().timeIntervalSince1970
        try await stage.vedette.restart()
        let found = try await count(stage)
        await expectSoon("ingest works with \(place)") {
            try await stage.vedette.get("/-/ready", ["for": "ingest"]).status == 200
        }
        // The way of a sample from the agent into a block; the other files are not on it.
        if file.hasPrefix("agent/") || file.hasPrefix("metrics/") {
            await expectSoon("the agent's samples arrive with \(place)", seen: { stage.vedette.process.output }) {
                try await stage.vedette.instant("timestamp(node_load1) > \(started)").count == 1
            }
        }
        let verify = try stage.vedette.offline("audit", "verify")
        await stage.vedette.stop()
        let log = stage.vedette.process.output
        #expect(stage.vedette.process.status == 0, "\(place): \(log.suffix(2_000))")
        // Every number is what it was, or something says that it is not.
        let isSaid = log.contains("damaged") || !found.warnings.isEmpty
        #expect(isSaid || (found.samples == whole.samples && found.lines == whole.lines), "\(place): \(found)\n\(log)")
        // What lies in another store is untouched.
        if !file.hasPrefix("metrics/") { #expect(found.samples == whole.samples, "\(place): \(found)") }
        if !file.hasPrefix("logs/") { #expect(found.lines == whole.lines, "\(place): \(found)") }
        let isAudit = file == "alerting/audit.log"
        #expect(verify.status == (isAudit ? 1 : 0), "\(place): \(verify.output)")
        if isAudit { #expect(verify.output.contains("line "), "\(place): \(verify.output)") }
    }

    private func count(_ stage: ServerStage) async throws -> Counts {
        var counts = Counts(samples: [], lines: [])
        for run in 1...2 {
            let samples = try await stage.vedette.json(
                "/api/v1/query", ["query": "sum(count_over_time(cut_batch_total{run=\"\(run)\"}[1d]))"])
            let lines = try await stage.vedette.json(
                "/loki/api/v1/query", ["query": "sum(count_over_time({run=\"\(run)\"}[1d]))"])
            counts.samples.append(Int(samples["data"]["result"][0]["value"][1].string) ?? 0)
            counts.lines.append(Int(lines["data"]["result"][0]["value"][1].string) ?? 0)
            counts.warnings += (samples["warnings"].array + lines["warnings"].array).map(\.string)
        }
        return counts
    }

    /// Every file that holds anything, without the space set aside for a full disk.
    private static func files(below folder: String) throws -> [String] {
        let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        return names.sorted().filter { name in
            guard let attributes = try? FileManager.default.attributesOfItem(atPath: "\(folder)/\(name)"),
                attributes[.type] as? FileAttributeType == .typeRegular
            else { return false }
            return (attributes[.size] as? NSNumber)?.intValue ?? 0 > 0 && !name.hasSuffix("/reserve")
        }
    }
}
