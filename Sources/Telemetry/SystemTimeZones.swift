internal import Glibc

/// The files of the time zone database on this machine (tzdata; tzfile(5)).
package enum SystemTimeZones {
    /// Where distributions keep them.
    private static let folders = ["/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo"]
    /// The longest one has a few kilobytes.
    private static let bytesMaximum = 1 << 20

    /// The file of the zone `name`, such as "Europe/Berlin"; nil where there is none, or `name` is no name of a zone.
    package static func file(of name: String) -> [UInt8]? {
        // Names come from queries: they must not lead anywhere else.
        guard !name.isEmpty, !name.hasPrefix("/"), !name.contains(".."), !name.contains("\\"), !name.contains("\0")
        else { return nil }
        for folder in folders {
            if let bytes = read("\(folder)/\(name)") { return bytes }
        }
        return nil
    }

    private static func read(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 16 << 10)
        while bytes.count <= bytesMaximum {
            let count = Glibc.read(descriptor, &piece, piece.count)
            if count < 0 { return nil }
            if count == 0 { return bytes }
            bytes += piece.prefix(count)
        }
        return nil
    }
}
