/// The last numbers of lives that ended, read between the end and the removal of the cgroup: of a container that lives
/// for a tenth of a second no tick sees any. Belongs to the collection thread.
final class LastReadings {
    /// What a life took as a whole.
    struct Reading: Equatable {
        /// The most memory it held; nil where the kernel does not keep that.
        var memoryPeakBytes: UInt64?
        var cpuSeconds: Double?
    }

    private var readings: [String: Reading] = [:]

    /// Ends are told within a second; only a stopped engine makes more wait.
    private static let maximum = 4_096

    /// Nothing read yet.
    init() {}

    /// Notes what a container's files said just now; what they do not say any more stays as it was.
    func note(_ reading: Reading, of container: String) {
        guard readings.count < Self.maximum || readings[container] != nil else { return }
        let known = readings[container] ?? Reading()
        readings[container] = Reading(
            memoryPeakBytes: reading.memoryPeakBytes ?? known.memoryPeakBytes,
            cpuSeconds: reading.cpuSeconds ?? known.cpuSeconds)
    }

    /// The fields of a container's end, and forgets them.
    func take(_ container: String) -> [String: String] {
        guard let reading = readings.removeValue(forKey: container) else { return [:] }
        var fields: [String: String] = [:]
        if let bytes = reading.memoryPeakBytes { fields["memory_peak_bytes"] = String(bytes) }
        if let seconds = reading.cpuSeconds { fields["cpu_seconds"] = String(seconds) }
        return fields
    }

    /// Forgets a container that was removed.
    func forget(_ container: String) { readings[container] = nil }
}
