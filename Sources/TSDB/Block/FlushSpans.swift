internal import Synchronization
internal import Telemetry

/// How the rows of one flush are divided among blocks: the present in one, what was filled in for the past in one per
/// span, so that no block reaches over a year for the sake of an hour.
struct FlushSpans {
    /// More blocks than this are not made at once; the spans are wider then.
    private static let countMaximum = 32

    /// Rising; the last is the present and has no end.
    let spans: [TimeRange]

    /// The spans of some groups, each `width` wide.
    init(_ groups: [FrozenGroup], width: Int64) {
        let all = groups.compactMap(\.times).reduce(nil as TimeRange?) { $0?.joined($1) ?? $1 }
        guard let all, all.width > UInt64(width) else {
            spans = [.all]
            return
        }
        let present = all.endMilliseconds - width
        var width = width
        var numbers: Set<Int64> = []
        repeat {
            numbers = []
            for group in groups where (group.times?.startMilliseconds ?? .max) < present {
                for table in group.tables {
                    table.rows.withLock { rows in
                        for time in rows.times where time < present { numbers.insert(Self.number(time, width)) }
                    }
                }
            }
            if numbers.count > Self.countMaximum { width *= 2 }
        } while numbers.count > Self.countMaximum
        let past = numbers.sorted().map { number in
            let start = number.multipliedReportingOverflow(by: width)
            let first = start.overflow ? Int64.min : start.partialValue
            let end = first.addingReportingOverflow(width - 1)
            return TimeRange(
                startMilliseconds: first, endMilliseconds: min(end.overflow ? .max : end.partialValue, present - 1))
        }
        spans = past + [TimeRange(startMilliseconds: present, endMilliseconds: .max)]
    }

    private static func number(_ time: Int64, _ width: Int64) -> Int64 {
        let (quotient, remainder) = time.quotientAndRemainder(dividingBy: width)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
