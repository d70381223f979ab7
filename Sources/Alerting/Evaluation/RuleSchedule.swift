/// When each group of rules is evaluated: at aligned times that differ from group to group, as Prometheus does
/// (rules/group.go, `EvalTimestamp`). Pure; the clock is handed in.
struct RuleSchedule {
    /// A group that is due.
    struct Due: Equatable {
        var group: String
        /// The time the evaluation stands for, in milliseconds.
        var evaluationTime: Int64
        /// Evaluations that were left out because the group was still busy or the process away.
        var missed: Int
    }

    private struct Entry {
        var interval: Int64
        /// How far behind whole multiples of the interval the group is evaluated.
        var offset: Int64
        var next: Int64
        var isBusy = false
    }

    private var entries: [String: Entry] = [:]

    /// Takes over the groups of a configuration: known ones keep their place, new ones are due at their next time.
    mutating func update(_ groups: [(identity: String, interval: Int64)], now: Int64) {
        var kept: [String: Entry] = [:]
        for group in groups {
            if let entry = entries[group.identity], entry.interval == group.interval {
                kept[group.identity] = entry
                continue
            }
            let interval = max(1, group.interval)
            let offset = Int64(RuleSchedule.hash(group.identity) % UInt64(interval))
            var entry = Entry(interval: interval, offset: offset, next: 0)
            // The slot now belongs to is past; the first evaluation is at the one behind it.
            entry.next = RuleSchedule.slot(of: now, entry) + interval
            entry.isBusy = entries[group.identity]?.isBusy ?? false
            kept[group.identity] = entry
        }
        entries = kept
    }

    /// The groups whose time has come; they are busy until `finished` is called.
    mutating func due(now: Int64) -> [Due] {
        var result: [Due] = []
        for (identity, entry) in entries.sorted(by: { $0.value.next < $1.value.next }) {
            // A clock that was set back by more than an interval must not stop the evaluation until it has caught up.
            let next = min(entry.next, RuleSchedule.slot(of: now, entry) + entry.interval)
            guard next <= now, !entry.isBusy else {
                entries[identity]?.next = next
                continue
            }
            let slot = RuleSchedule.slot(of: now, entry)
            result.append(Due(group: identity, evaluationTime: slot, missed: Int((slot - next) / entry.interval)))
            entries[identity]?.next = slot + entry.interval
            entries[identity]?.isBusy = true
        }
        return result
    }

    /// Takes a group out of turn; false while it is busy.
    mutating func begin(_ group: String) -> Bool {
        guard let entry = entries[group], !entry.isBusy else { return false }
        entries[group]?.isBusy = true
        return true
    }

    /// The group may be evaluated again.
    mutating func finished(_ group: String) { entries[group]?.isBusy = false }

    /// When the next group is due that is not busy; nil when there is none.
    var nextTime: Int64? { entries.values.filter { !$0.isBusy }.map(\.next).min() }

    /// The last evaluation time of the entry at or before `now`.
    private static func slot(of now: Int64, _ entry: Entry) -> Int64 {
        let shifted = now - entry.offset
        let remainder = shifted % entry.interval
        return shifted - (remainder < 0 ? remainder + entry.interval : remainder) + entry.offset
    }

    private static func hash(_ text: String) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        // FNV's low bits are weak where texts differ only at their end.
        hash ^= hash >> 32
        return hash &* 0x9e37_79b9_7f4a_7c15
    }
}
