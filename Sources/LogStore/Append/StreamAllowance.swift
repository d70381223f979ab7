internal import Telemetry

/// How many bytes a second each stream may send, so that one of them does not fill everyone's disk: a token bucket per
/// stream that holds ten seconds' worth. A full bucket is not remembered.
struct StreamAllowance: Sendable {
    private struct Bucket: Sendable {
        var bytes: Double
        var nanoseconds: Int64
    }

    /// What a stream may send at once after a pause, in seconds of its rate.
    static let burstSeconds = 10.0
    private static let bucketsMaximum = 65_536

    private let bytesPerSecond: Double
    private var buckets: [Labels: Bucket] = [:]

    /// An allowance; 0 for no limit.
    init(bytesPerSecond: Int) {
        self.bytesPerSecond = Double(bytesPerSecond)
    }

    /// Takes `bytes` of a stream at `now`. Returns after how many seconds there is room, nil when there is. More than a
    /// bucket holds passes when it is full: it could not come in any other way.
    mutating func take(_ bytes: Int, of labels: Labels, now: Int64) -> Int? {
        guard bytesPerSecond > 0 else { return nil }
        let capacity = bytesPerSecond * StreamAllowance.burstSeconds
        var bucket = buckets[labels] ?? Bucket(bytes: capacity, nanoseconds: now)
        // A clock that was set back gives nothing and takes nothing.
        let seconds = max(0, Double(now &- bucket.nanoseconds) / 1e9)
        bucket.bytes = min(capacity, bucket.bytes + seconds * bytesPerSecond)
        bucket.nanoseconds = now
        let wanted = min(Double(bytes), capacity)
        guard bucket.bytes >= wanted else {
            buckets[labels] = bucket
            return Int(((wanted - bucket.bytes) / bytesPerSecond).rounded(.up))
        }
        bucket.bytes -= Double(bytes)
        buckets[labels] = bucket
        if buckets.count > StreamAllowance.bucketsMaximum { forgetFull(now, capacity) }
        return nil
    }

    private mutating func forgetFull(_ now: Int64, _ capacity: Double) {
        buckets = buckets.filter { _, bucket in
            bucket.bytes + max(0, Double(now &- bucket.nanoseconds) / 1e9) * bytesPerSecond < capacity
        }
    }
}
