internal import Foundation
internal import ScenarioSupport
internal import Testing

/// node_exporter itself beside the agent on one host: whatever series it has of the collectors we know, we have under
/// the same name, with the same labels and type, and with a value between the ones it says before and after.
@Suite(.serialized) struct NodeExporterDifferential {
    private static let exporter = ChildProcess.find("prometheus-node-exporter")

    /// Families of collectors that we do not have, and what an exporter says of itself.
    private static let otherPrefixes = [
        "go_", "process_", "promhttp_", "node_scrape_collector_", "node_exporter_", "node_hwmon_", "node_thermal_",
        "node_cooling_", "node_cpu_scaling_", "node_cpu_frequency_", "node_cpu_core_throttles_",
        "node_cpu_package_throttles_", "node_edac_", "node_btrfs_", "node_xfs_", "node_zfs_", "node_nfs", "node_ipvs_",
        "node_infiniband_", "node_fibrechannel_", "node_power_supply_", "node_rapl_", "node_bcache_", "node_tape_",
        "node_dmi_", "node_disk_info", "node_disk_ata_", "node_disk_filesystem_", "node_disk_device_mapper_",
        "node_systemd_", "node_logind_",
    ]

    private struct Series: Hashable, CustomStringConvertible {
        var name: String
        var labels: [String: String]

        var description: String { "\(name)\(labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })" }
    }

    @Test(.enabled(if: exporter != nil, "prometheus-node-exporter is not in PATH (scripts/install.sh tests)"))
    func everySeriesOfItIsOurs() async throws {
        let scratch = try ScratchFolder("node-exporter")
        defer { scratch.remove() }
        let port = try FreePort.find()
        let exporter = try ChildProcess(
            Self.exporter ?? "", ["--web.listen-address=127.0.0.1:\(port)"], logPath: scratch.file("exporter.log"))
        await expectSoon("node_exporter answers") { try await !PlainHTTP.page(port: port, "/metrics").isEmpty }
        let before = try await PlainHTTP.page(port: port, "/metrics")
        let vedette = try await VedetteProcess(
            dataFolder: scratch.file("data"), arguments: ["--docker", "unix:///none.sock", "--node", "here"])
        do {
            try await compare(vedette, before, port)
        } catch {
            Issue.record("\(error)\n\(vedette.process.output.suffix(3_000))")
        }
        await vedette.stop()
        await exporter.stop()
    }

    private func compare(_ vedette: VedetteProcess, _ before: String, _ port: Int) async throws {
        var pages = [before]
        await expectSoon("the agent's samples are stored", seconds: 20) {
            let slow = try await vedette.instant("node_timex_sync_status")
            let fast = try await vedette.instant("count_over_time(node_load1[1m])")
            return slow.count == 1 && fast.first?.value ?? 0 >= 3
        }
        let ours = try await samples(vedette)
        pages.append(try await PlainHTTP.page(port: port, "/metrics"))
        let types = try await vedette.json("/api/v1/metadata")["data"]
        let theirs = pages.map(Self.parsed)
        var missing: [String] = []
        var wrong: [String] = []
        var compared = 0
        for series in (theirs.last ?? [:]).keys.sorted(by: { $0.description < $1.description }) {
            let bounds = theirs.compactMap { $0[series] }
            guard !isLeftOut(series) else { continue }
            guard let value = ours[series] else {
                missing.append(series.description)
                continue
            }
            compared += 1
            let slack = Self.slack(series.name, bounds.max() ?? 0)
            let low = (bounds.min() ?? 0) - slack
            let high = (bounds.max() ?? 0) + slack
            if value < low || value > high { wrong.append("\(series): \(value), not from \(low) to \(high)") }
        }
        #expect(missing.isEmpty, "\(missing.joined(separator: "\n"))")
        #expect(wrong.isEmpty, "\(wrong.joined(separator: "\n"))")
        #expect(compared > 150, "\(compared) series were compared")
        var kinds: [String] = []
        for line in (pages.last ?? "").split(separator: "\n") where line.hasPrefix("# TYPE node_") {
            let words = line.split(separator: " ").map(String.init)
            guard !Self.otherPrefixes.contains(where: { words[2].hasPrefix($0) }) else { continue }
            let kind = types[words[2]][0]["type"].string
            let wanted = words[3] == "untyped" ? "unknown" : words[3]
            if kind != wanted { kinds.append("\(words[2]): \(kind), not \(wanted)") }
        }
        #expect(kinds.isEmpty, "\(kinds.joined(separator: "\n"))")
        Swift.print("node_exporter: \(compared) series compared, \(ours.count) of ours")
    }

    /// Devices that node_exporter leaves out since its version 1.6, the series that tell of a folder, and what only the
    /// agent's own process sees.
    private func isLeftOut(_ series: Series) -> Bool {
        if Self.otherPrefixes.contains(where: { series.name.hasPrefix($0) }) { return true }
        if series.labels["device"]?.hasPrefix("zram") == true { return true }
        if series.labels["device"]?.hasPrefix("veth") == true { return true }
        return series.name == "node_textfile_scrape_error"
    }

    /// How far a value may lie outside of what node_exporter said before and after: our own processes change the host,
    /// and the slow lane is up to fifteen seconds old.
    private static func slack(_ name: String, _ value: Double) -> Double {
        if name.hasPrefix("node_memory_") { return max(512 * 1_048_576, value * 0.25) }
        if name.hasPrefix("node_filesystem_") { return max(1_073_741_824, value * 0.02) }
        if name.hasPrefix("node_load") || name.hasPrefix("node_procs_") { return 20 }
        if name.hasPrefix("node_filefd_") { return 4_096 }
        if name.hasPrefix("node_sockstat_") || name.hasPrefix("node_netstat_") { return max(200, value * 0.05) }
        if name.hasPrefix("node_entropy_") || name.hasPrefix("node_arp_") { return 256 }
        if name.hasPrefix("node_timex_") { return 0.5 }
        if name.hasPrefix("node_disk_io_now") { return 64 }
        if name.hasPrefix("node_cpu_") { return 1 }
        return 0.001 * value.magnitude
    }

    private func samples(_ vedette: VedetteProcess) async throws -> [Series: Double] {
        let answer = try await vedette.json("/api/v1/query", ["query": "{job=\"node\"}"])
        var samples: [Series: Double] = [:]
        for element in answer["data"]["result"].array {
            var labels = element["metric"].strings
            let name = labels.removeValue(forKey: "__name__") ?? ""
            for own in ["job", "instance", "node"] { labels[own] = nil }
            samples[Series(name: name, labels: Self.essential(labels, of: name))] = Double(
                element["value"][1].string)
        }
        return samples
    }

    private static func parsed(_ page: String) -> [Series: Double] {
        var samples: [Series: Double] = [:]
        for line in page.split(separator: "\n") where !line.hasPrefix("#") {
            guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]) else {
                continue
            }
            let head = line[..<space]
            let name = String(head.prefix { $0 != "{" })
            var labels: [String: String] = [:]
            // No label of node_exporter on a plain host has a quote or a comma of its own but uname's, which is cut.
            for pair in head.dropFirst(name.count + 1).dropLast().split(separator: "\",") {
                let parts = pair.split(separator: "=\"", maxSplits: 1, omittingEmptySubsequences: false)
                guard parts.count == 2 else { continue }
                let text = parts[1].hasSuffix("\"") ? parts[1].dropLast() : parts[1]
                labels[String(parts[0])] = String(text)
            }
            samples[Series(name: name, labels: essential(labels, of: name))] = value
        }
        return samples
    }

    /// Empty labels are no labels; `adminstate` came with version 1.6.
    private static func essential(_ labels: [String: String], of name: String) -> [String: String] {
        labels.filter { !$0.value.isEmpty && !(name == "node_network_info" && $0.key == "adminstate") }
    }
}
