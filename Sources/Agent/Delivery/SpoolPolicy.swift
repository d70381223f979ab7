/// Decides what is given up when the spool has no room: the oldest lines first, then the oldest samples, then events.
/// Pure.
struct SpoolPolicy: Equatable, Sendable {
    /// What the spool may take on the disk.
    var bytesMaximum: UInt64
    /// What is left to the rest of the host, whatever `bytesMaximum` says.
    var freeBytesMinimum: UInt64

    /// One GiB, and never the last 256 MiB of a disk.
    init(bytesMaximum: UInt64 = 1 << 30, freeBytesMinimum: UInt64 = 256 << 20) {
        self.bytesMaximum = bytesMaximum
        self.freeBytesMinimum = freeBytesMinimum
    }

    /// The queue whose oldest segment goes, or nil when everything fits. `sizes` are the bytes by queue;
    /// `canGiveUp` says which queues have anything to give up.
    func victim(sizes: [UInt64], canGiveUp: [Bool], availableBytes: UInt64) -> DeliveryQueue? {
        let isOver = sizes.reduce(0, +) > bytesMaximum || availableBytes < freeBytesMinimum
        guard isOver else { return nil }
        return [DeliveryQueue.lines, .samples, .events].first { canGiveUp[$0.rawValue] }
    }

    /// Whether lines are still taken; beyond this they stay in their files, which cost nothing.
    func isAcceptingLines(sizes: [UInt64], availableBytes: UInt64) -> Bool {
        sizes.reduce(0, +) < bytesMaximum / 5 * 4 && availableBytes > freeBytesMinimum + freeBytesMinimum / 4
    }
}
