internal import Telemetry

/// How many bytes a second each of many may send, so that one of them does not fill everyone's disk: a token bucket for
/// each that holds ten seconds' worth. A full bucket is not remembered.
struct ByteAllowance<Key: Hashable & Sendable>: Sendable {
    private struct Bucket: Sendable {
        var bytes: Double
        var nanoseconds: Int64
    }

    private let bytesPerSecond: Double
    private var buckets: [Key: Bucket] = [:]
    /// What may be sent at once after a pause.
    private var capacity: Double { bytesPerSecond * ByteAllowanceBounds.burstSeconds }

    /// An allowance; 0 for no limit.
    init(bytesPerSecond: Int) {
        self.bytesPerSecond = Double(bytesPerSecond)
    }

    private func bucket(_ key: Key, _ now: Int64) -> Bucket {
        var bucket = buckets[key] ?? Bucket(bytes: capacity, nanoseconds: now)
        // A clock that was set back gives nothing and takes nothing.
        let seconds = max(0, Double(now &- bucket.nanoseconds) / 1e9)
        bucket.bytes = min(capacity, bucket.bytes + seconds * bytesPerSecond)
        bucket.nanoseconds = now
        return bucket
    }

    /// After how many seconds there is room for `bytes` of `key`; nil when there is. More than a bucket holds passes
    /// when it is full: it could not come in any other way.
    mutating func seconds(until bytes: Int, of key: Key, now: Int64) -> Int? {
        guard bytesPerSecond > 0 else { return nil }
        let bucket = bucket(key, now)
        let wanted = min(Double(bytes), capacity)
        guard bucket.bytes < wanted else { return nil }
        buckets[key] = bucket
        return Int(((wanted - bucket.bytes) / bytesPerSecond).rounded(.up))
    }

    /// Takes `bytes` of `key`.
    mutating func take(_ bytes: Int, of key: Key, now: Int64) {
        guard bytesPerSecond > 0 else { return }
        var bucket = bucket(key, now)
        bucket.bytes -= Double(bytes)
        buckets[key] = bucket
        if buckets.count > ByteAllowanceBounds.bucketsMaximum { forgetFull(now) }
    }

    private mutating func forgetFull(_ now: Int64) {
        let (rate, capacity) = (bytesPerSecond, capacity)
        buckets = buckets.filter { _, bucket in
            bucket.bytes + max(0, Double(now &- bucket.nanoseconds) / 1e9) * rate < capacity
        }
    }
}

/// What all allowances share.
enum ByteAllowanceBounds {
    /// What may be sent at once after a pause, in seconds of the rate.
    static let burstSeconds = 10.0
    static let bucketsMaximum = 65_536
}
