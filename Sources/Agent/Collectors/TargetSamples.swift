internal import Telemetry

/// The series of one target (the host, one container) in stable slots, and the values of the current tick.
///
/// A series is declared once; setting a value afterwards appends to columns that keep their memory.
final class TargetSamples {
    /// The place of a declared series.
    struct Slot: Equatable {
        fileprivate let index: UInt32
    }

    private let base: [(name: String, value: String)]
    /// What was set since `begin`.
    private(set) var group: SampleGroup
    private var milliseconds: Int64 = 0
    private var described: Set<String> = []
    private var undelivered: [MetricMetadata] = []
    private var slots: [Labels: UInt32] = [:]
    /// For each slot, the tick in which it was set last; 0 for never or ended.
    private var lastSet: [UInt64] = []
    private var lastValue: [Double] = []
    private var tick: UInt64 = 0
    private var isEvent = false

    /// A target whose series all carry `base`; `target` is what the database groups them by.
    init(base: [(name: String, value: String)], target: Labels, intervalMilliseconds: Int64) {
        self.base = base
        group = SampleGroup(target: target, intervalMilliseconds: intervalMilliseconds)
    }

    /// The series of a target that are read seldom: a group of their own, because a group's series share their times.
    static func slow(
        base: [(name: String, value: String)], target: [(name: String, value: String)], intervalMilliseconds: Int64
    ) -> TargetSamples {
        TargetSamples(
            base: base, target: Labels(target + [(name: "lane", value: "slow")]),
            intervalMilliseconds: intervalMilliseconds * Int64(HostTarget.slowEvery))
    }

    /// One whole reading by `collectors`.
    func read(_ tick: Tick, by collectors: [any Collector]) {
        begin(milliseconds: tick.milliseconds)
        for collector in collectors { collector.collect(tick, into: self) }
        finish()
    }

    /// Declares a series of `metric` with `labels` besides the target's own.
    func slot(_ metric: Metric, _ labels: (String, String)...) -> Slot { slot(metric, labels) }

    /// Declares a series of `metric` with `labels` besides the target's own; the same series has the same slot for
    /// ever.
    func slot(_ metric: Metric, _ labels: [(String, String)]) -> Slot {
        if described.insert(metric.name).inserted { undelivered.append(metric.metadata) }
        let own = labels.map { (name: $0.0, value: $0.1) }
        let identity = Labels(base + own + [(name: Labels.metricNameLabel, value: metric.name)])
        if let known = slots[identity] { return Slot(index: known) }
        let index = UInt32(group.series.count)
        slots[identity] = index
        group.series.append(.labels(identity))
        lastSet.append(0)
        lastValue.append(0)
        return Slot(index: index)
    }

    /// Forgets the values of the last tick and stamps those to come.
    func begin(milliseconds: Int64) {
        tick += 1
        isEvent = false
        clear(milliseconds)
    }

    /// Like `begin`, between two ticks: what is not set now does not end.
    func beginEvent(milliseconds: Int64) {
        isEvent = true
        clear(milliseconds)
    }

    /// Sets the value of a series for this tick.
    func set(_ slot: Slot, _ value: Double) {
        if !isEvent { lastSet[Int(slot.index)] = tick }
        lastValue[Int(slot.index)] = value
        append(slot.index, value)
    }

    /// Sets every series of the tick before to the value it had, but those in `slots`.
    func setAgain(but slots: [Slot]) {
        for index in lastSet.indices where lastSet[index] != 0 && lastSet[index] == tick - 1 {
            let slot = Slot(index: UInt32(index))
            if !slots.contains(slot) { set(slot, lastValue[index]) }
        }
    }

    /// Sets the value of a series for this tick.
    func set(_ slot: Slot, _ value: UInt64) { set(slot, Double(value)) }

    /// Marks the series that were set in the tick before and not in this one as ended, as a scraper does.
    func finish() {
        for index in lastSet.indices where lastSet[index] != 0 && lastSet[index] < tick {
            append(UInt32(index), Sample.stale)
            lastSet[index] = 0
        }
    }

    /// Ends all series: the target is gone.
    func end(milliseconds: Int64) -> SampleGroup {
        begin(milliseconds: milliseconds)
        finish()
        return group
    }

    /// What was set, with no other series: an event's batch wakes the rules that match its series.
    var compact: SampleGroup {
        var compact = SampleGroup(target: group.target, intervalMilliseconds: group.intervalMilliseconds)
        for index in group.values.indices {
            compact.append(
                group.series[Int(group.seriesIndexes[index])].labels, milliseconds: group.timesMilliseconds[index],
                value: group.values[index])
        }
        return compact
    }

    private func clear(_ milliseconds: Int64) {
        self.milliseconds = milliseconds
        group.seriesIndexes.removeAll(keepingCapacity: true)
        group.timesMilliseconds.removeAll(keepingCapacity: true)
        group.values.removeAll(keepingCapacity: true)
    }

    private func append(_ index: UInt32, _ value: Double) {
        group.seriesIndexes.append(index)
        group.timesMilliseconds.append(milliseconds)
        group.values.append(value)
    }

    /// What is to be said about metrics that were declared since the last call.
    func takeMetadata() -> [MetricMetadata] {
        defer { undelivered = [] }
        return undelivered
    }
}

/// Series that come and go with a name the kernel gives (a device, an interface): one set of slots per name.
///
/// Names are compared in place. The kernel prints them in the same order each time, so the one behind the last found is
/// tried first.
struct SlotsByName<Slots> {
    private var entries: [(name: [UInt8], slots: Slots)] = []
    private var expected = 0
    private let maximum: Int

    /// At most `maximum` names; more are ignored, so that a host with endless names cannot fill the memory.
    init(maximum: Int = 256) {
        self.maximum = maximum
    }

    /// The slots of `name`, made by `declare` at its first appearance; nil beyond the bound.
    mutating func slots(for name: UnsafeRawBufferPointer, declare: (String) -> Slots) -> Slots? {
        if expected >= entries.count { expected = 0 }
        if expected < entries.count, equals(entries[expected].name, name) {
            expected += 1
            return entries[expected - 1].slots
        }
        if let index = entries.firstIndex(where: { equals($0.name, name) }) {
            expected = index + 1
            return entries[index].slots
        }
        guard entries.count < maximum else { return nil }
        entries.append((Array(name), declare(String(decoding: name, as: UTF8.self))))
        expected = entries.count
        return entries[entries.count - 1].slots
    }

    private func equals(_ known: [UInt8], _ name: UnsafeRawBufferPointer) -> Bool {
        known.count == name.count && known.elementsEqual(name)
    }
}
