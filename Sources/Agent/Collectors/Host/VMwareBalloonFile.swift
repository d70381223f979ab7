/// What the balloon driver of the kernel says (`vmw_balloon`, /sys/kernel/debug/vmmemctl), where open-vm-tools are not
/// installed: how much memory a VMware host has taken from this guest, and nothing else. Needs debugfs and root.
final class VMwareBalloonFile: GuestStatistics {
    private static let path = "/sys/kernel/debug/vmmemctl"
    /// The driver counts pages of 4 KiB.
    private static let pagesPerMebibyte: UInt64 = 256

    private let host: HostRoot
    private var pages: UInt64?

    /// Nil where the driver tells nothing.
    init?(host: HostRoot) {
        self.host = host
        guard update() else { return nil }
    }

    func update() -> Bool {
        pages = nil
        for line in (host.text(Self.path) ?? "").split(separator: "\n") {
            // "current:        512 pages"
            let words = line.split { $0 == " " || $0 == ":" || $0 == "\t" }
            guard words.count >= 2, words[0] == "current" else { continue }
            pages = UInt64(words[1])
        }
        return pages != nil
    }

    func value(_ number: GuestNumber) -> UInt64? {
        number == .balloonedMegabytes ? pages.map { $0 / Self.pagesPerMebibyte } : nil
    }
}
