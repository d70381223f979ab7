/// Software RAID: /proc/mdstat, and what /sys/block/md* adds. Slow lane.
final class HostRaidCollector: Collector {
    private static let states = ["active", "inactive", "recovering", "resync", "check"]
    private static let disks = Metric.gauge("node_md_disks", "Number of active/failed/spare disks of device.")
    private static let required = Metric.gauge("node_md_disks_required", "Total number of disks of device.")
    private static let state = Metric.gauge("node_md_state", "Indicates the state of md-device.")
    private static let blocks = Metric.gauge("node_md_blocks", "Total number of blocks on device.")
    private static let synced = Metric.gauge("node_md_blocks_synced", "Number of blocks synced on device.")
    private static let raidDisks = Metric.gauge("node_md_raid_disks", "Number of raid disks on device.")
    private static let degraded = Metric.gauge("node_md_degraded", "Number of degraded disks on device.")

    private let context: CollectionContext

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        guard context.open("/proc/mdstat") != nil else { return nil }
        self.context = context
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        for array in RaidArray.parse(context.host.text("/proc/mdstat") ?? "") {
            let device = ("device", array.name)
            samples.set(samples.slot(Self.required, device), Double(array.required))
            for (name, count) in [("active", array.active), ("failed", array.failed), ("spare", array.spare)] {
                samples.set(samples.slot(Self.disks, device, ("state", name)), Double(count))
            }
            for name in Self.states {
                samples.set(samples.slot(Self.state, device, ("state", name)), name == array.state ? 1 : 0 as Double)
            }
            samples.set(samples.slot(Self.blocks, device), Double(array.blocks))
            samples.set(samples.slot(Self.synced, device), Double(array.synced))
            let folder = "/sys/block/\(array.name)/md"
            if let count = context.line("\(folder)/raid_disks").flatMap({ Int($0) }) {
                samples.set(samples.slot(Self.raidDisks, device), Double(count))
            }
            if let count = context.line("\(folder)/degraded").flatMap({ Int($0) }) {
                samples.set(samples.slot(Self.degraded, device), Double(count))
            }
        }
    }
}

/// One array as /proc/mdstat shows it, in two or three lines:
/// `md0 : active raid1 sdb1[1] sda1[0](F)`, `1000 blocks super 1.2 [2/1] [U_]`, `[==>…]  recovery = 8.5% (16775552/…)`.
struct RaidArray: Equatable {
    var name: String
    var state: String
    /// Disks the array wants, has, has lost, and keeps in reserve.
    var required = 0
    var active = 0
    var failed = 0
    var spare = 0
    var blocks = 0
    var synced = 0

    /// The arrays of a text.
    static func parse(_ text: String) -> [RaidArray] {
        var arrays: [RaidArray] = []
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            // "Personalities : [raid1] [raid6]" is the first line, and no array.
            if words.count > 3, words[1] == ":", words[2] == "active" || words[2] == "inactive" {
                arrays.append(RaidArray(words))
            } else if line.first == " ", !arrays.isEmpty {
                arrays[arrays.count - 1].read(words)
            }
        }
        return arrays
    }

    private init(_ words: [Substring]) {
        name = String(words[0])
        state = words[2] == "inactive" ? "inactive" : "active"
        let members = words.dropFirst(3).filter { $0.contains("[") }
        failed = members.count { $0.hasSuffix("(F)") }
        spare = members.count { $0.hasSuffix("(S)") }
        // Linear arrays and stripes never say how many they have.
        active = members.count - failed - spare
        required = active
    }

    private mutating func read(_ words: [Substring]) {
        if words.count > 1, words[1] == "blocks", let count = Int(words[0]) {
            (blocks, synced) = (count, count)
            if let counts = words.first(where: { $0.hasPrefix("[") && $0.contains("/") }) {
                let parts = counts.dropFirst().dropLast().split(separator: "/").compactMap { Int($0) }
                if parts.count == 2 { (required, active) = (parts[0], parts[1]) }
            }
            return
        }
        let activities = [
            "recovery": "recovering", "reshape": "recovering", "resync": "resync", "check": "check",
            "repair": "check",
        ]
        guard let activity = words.lazy.compactMap({ activities[String($0.prefix { $0 != "=" })] }).first else {
            return
        }
        state = activity
        if let place = words.first(where: { $0.hasPrefix("(") && $0.contains("/") }) {
            synced = Int(place.dropFirst().prefix { $0 != "/" }) ?? synced
        } else {
            // Delayed or pending: it has not begun.
            synced = 0
        }
    }
}
