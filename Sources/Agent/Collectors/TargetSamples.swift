package import Telemetry

/// The series of one target (the host, one container) in stable slots, and the values of the current tick.
///
/// A series is declared once; setting a value afterwards appends to columns that keep their memory.
package final class TargetSamples {
    /// The place of a declared series.
    struct Slot {
        fileprivate let index: UInt32
    }

    private let base: [(name: String, value: String)]
    /// What was set since `begin`.
    package private(set) var group: SampleGroup
    private var milliseconds: Int64 = 0
    private var described: Set<String> = []
    private var undelivered: [MetricMetadata] = []

    /// A target whose series all carry `base`; `target` is what the database groups them by.
    package init(
        base: [(name: String, value: String)], target: Labels, intervalMilliseconds: Int64
    ) {
        self.base = base
        group = SampleGroup(target: target, intervalMilliseconds: intervalMilliseconds)
    }

    /// Declares a series of `metric` with `labels` besides the target's own.
    func slot(_ metric: Metric, _ labels: (String, String)...) -> Slot { slot(metric, labels) }

    /// Declares a series of `metric` with `labels` besides the target's own.
    func slot(_ metric: Metric, _ labels: [(String, String)]) -> Slot {
        if described.insert(metric.name).inserted { undelivered.append(metric.metadata) }
        let own = labels.map { (name: $0.0, value: $0.1) }
        let name = (name: Labels.metricNameLabel, value: metric.name)
        group.series.append(.labels(Labels(base + own + [name])))
        return Slot(index: UInt32(group.series.count - 1))
    }

    /// Forgets the values of the last tick and stamps those to come.
    package func begin(milliseconds: Int64) {
        self.milliseconds = milliseconds
        group.seriesIndexes.removeAll(keepingCapacity: true)
        group.timesMilliseconds.removeAll(keepingCapacity: true)
        group.values.removeAll(keepingCapacity: true)
    }

    /// Sets the value of a series for this tick.
    func set(_ slot: Slot, _ value: Double) {
        group.seriesIndexes.append(slot.index)
        group.timesMilliseconds.append(milliseconds)
        group.values.append(value)
    }

    /// Sets the value of a series for this tick.
    func set(_ slot: Slot, _ value: UInt64) { set(slot, Double(value)) }

    /// What is to be said about metrics that were declared since the last call.
    package func takeMetadata() -> [MetricMetadata] {
        defer { undelivered = [] }
        return undelivered
    }
}

/// Series that come and go with a name the kernel gives (a device, an interface): one set of slots per name.
struct SlotsByName<Slots> {
    private var slots: [String: Slots] = [:]
    private let maximum: Int

    /// At most `maximum` names; more are ignored, so that a host with endless names cannot fill the memory.
    init(maximum: Int = 256) {
        self.maximum = maximum
    }

    /// The slots of `name`, made by `declare` at its first appearance; nil beyond the bound or where `declare` says no.
    mutating func slots(for name: UnsafeRawBufferPointer, declare: (String) -> Slots?) -> Slots? {
        let text = String(decoding: name, as: UTF8.self)
        if let known = slots[text] { return known }
        guard slots.count < maximum, let made = declare(text) else { return nil }
        slots[text] = made
        return made
    }
}
