internal import Logging
internal import Synchronization
internal import Telemetry

/// Says which clients failed at the TLS handshake: an agent with an ended certificate or a wrong clock is found this
/// way. Whoever knocks all day is said once a minute.
final class HandshakeLog: Sendable {
    private static let pauseNanoseconds: Int64 = 60_000_000_000
    private static let addressesMaximum = 1_024

    private let said = Mutex<[Substring: Int64]>([:])
    private let failures = Atomic<Int>(0)
    private let clock = SystemMonotonicClock()
    private let logger: Logger

    /// A log of failed handshakes.
    init(_ logger: Logger) {
        self.logger = logger
    }

    /// How many there were, for `/metrics`.
    var metrics: [StoreMetric] {
        [
            StoreMetric(
                "vedette_tls_handshake_failures_total", .counter, Double(failures.load(ordering: .relaxed)),
                help: "Clients that failed at the TLS handshake.")
        ]
    }

    /// Takes note of one.
    @Sendable func note(remoteAddress: String, reason: String) {
        failures.add(1, ordering: .relaxed)
        let now = clock.nowNanoseconds
        // Without its port, which is another each time.
        let address = remoteAddress[..<(remoteAddress.lastIndex(of: ":") ?? remoteAddress.endIndex)]
        let isNews = said.withLock { said in
            if let last = said[address], now - last < HandshakeLog.pauseNanoseconds { return false }
            if said.count >= HandshakeLog.addressesMaximum { said.removeAll() }
            said[address] = now
            return true
        }
        if isNews {
            logger.warning(
                "a client failed at the TLS handshake",
                metadata: ["remote": "\(remoteAddress)", "error": "\(reason)"])
        }
    }
}
