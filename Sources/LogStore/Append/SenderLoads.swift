/// How much each sender has sent lately, halved every ten seconds, so that memory which runs out is refused to those
/// first who take most of it.
struct SenderLoads: Sendable {
    private struct Load: Sendable {
        var bytes: Double
        var nanoseconds: Int64

        func bytes(at now: Int64) -> Double {
            bytes * SenderLoads.decay(Double(max(0, now &- nanoseconds)) / SenderLoads.halfNanoseconds)
        }
    }

    private static let halfNanoseconds = 10e9
    private static let sendersMaximum = 4096
    /// Who sent less than this lately does not count as one of several.
    private static let bytesMinimum = 64.0 * 1024

    private var loads: [String: Load] = [:]

    /// One half to the power of `exponent`, good enough for shares: halves, and a line between two of them.
    private static func decay(_ exponent: Double) -> Double {
        guard exponent < 60 else { return 0 }
        let whole = Int(exponent)
        return (1 - (exponent - Double(whole)) / 2) / Double(UInt64(1) << UInt64(whole))
    }

    /// Notes what a sender sent.
    mutating func note(_ bytes: Int, of sender: String, now: Int64) {
        loads[sender] = Load(bytes: (loads[sender]?.bytes(at: now) ?? 0) + Double(bytes), nanoseconds: now)
        if loads.count > SenderLoads.sendersMaximum {
            loads = loads.filter { $0.value.bytes(at: now) >= SenderLoads.bytesMinimum }
        }
    }

    /// Whether a sender has sent more than twice what those who send have sent on average. Never one that is alone.
    func isHeavy(_ sender: String, now: Int64) -> Bool {
        var (count, total) = (0, 0.0)
        for load in loads.values {
            let bytes = load.bytes(at: now)
            guard bytes >= SenderLoads.bytesMinimum else { continue }
            count += 1
            total += bytes
        }
        guard count > 1, let own = loads[sender]?.bytes(at: now) else { return false }
        // Of two, one cannot have twice the average by much; there it is three quarters of all.
        return own > min(2 * total / Double(count), 0.75 * total)
    }
}
