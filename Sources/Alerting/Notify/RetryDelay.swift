/// How long to wait before the next attempt: doubling from a second to five minutes, a fifth more or less, so that many
/// messages that failed together do not come back together. The same message and attempt give the same delay.
enum RetryDelay {
    static let firstMilliseconds: Int64 = 1000
    static let longestMilliseconds: Int64 = 300_000

    /// The delay after `attempts` attempts of the message with this key.
    static func milliseconds(attempts: Int, key: String) -> Int64 {
        let doubled = firstMilliseconds << Int64(min(max(attempts - 1, 0), 16))
        let base = min(doubled, longestMilliseconds)
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325 &+ UInt64(attempts)
        for byte in key.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        // FNV's high bits hardly differ between short keys.
        hash = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
        let fifth = max(1, base / 5)
        return base - fifth + Int64((hash >> 32) % UInt64(2 * fifth))
    }
}
