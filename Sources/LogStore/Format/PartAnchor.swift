internal import Telemetry

/// The 32 bytes at either end of a part that say where a copy of its footer lies. Two anchors and two footers: no
/// single damaged byte hides a part.
///
/// Layout: magic "VEDLOGPT" | version u8 | 3 zero bytes | footer length u32 | footer offset u64 | crc32c u32 | 4 zero
/// bytes.
struct PartAnchor: Sendable, Equatable {
    var footerOffset: UInt64
    var footerBytes: Int
    /// The version that the file is written in.
    var version = PartAnchor.newest

    static let bytes = 32
    /// What is written.
    static let newest: UInt8 = 3
    /// The oldest one that is read; version 1 was never released.
    static let oldest: UInt8 = 2
    /// Blocks know the severities of their lines from this version on.
    static let versionWithSeverities: UInt8 = 3
    private static let magic = Array("VEDLOGPT".utf8)

    /// The anchor's bytes.
    func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: PartAnchor.bytes)
        writer.put(PartAnchor.magic)
        writer.put([version, 0, 0, 0])
        writer.putFixed(UInt32(footerBytes))
        writer.putFixed(footerOffset)
        writer.putFixed(writer.bytes.withUnsafeBytes { Section.checksum(of: $0) })
        writer.put([0, 0, 0, 0])
        return writer.bytes
    }

    /// An anchor of this footer.
    init(footerOffset: UInt64, footerBytes: Int) {
        self.footerOffset = footerOffset
        self.footerBytes = footerBytes
    }

    /// Reads an anchor of a file of `fileBytes` bytes.
    init(decoding raw: UnsafeRawBufferPointer, fileBytes: UInt64) throws(FormatError) {
        guard raw.count == PartAnchor.bytes, raw.prefix(8).elementsEqual(PartAnchor.magic) else {
            throw FormatError("no part begins or ends here")
        }
        let expected = UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: 24, as: UInt32.self))
        guard Section.checksum(of: UnsafeRawBufferPointer(rebasing: raw[..<24])) == expected else {
            throw FormatError("the checksum of an anchor does not hold")
        }
        version = raw[8]
        guard (PartAnchor.oldest...PartAnchor.newest).contains(version) else {
            throw FormatError(
                "part of version \(version), this release reads \(PartAnchor.oldest) to \(PartAnchor.newest)",
                // An older one is refused as a later one would be, and left as it is.
                isNewer: true)
        }
        footerBytes = Int(UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: 12, as: UInt32.self)))
        footerOffset = UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
        guard footerBytes <= PartFooter.bytesMaximum, footerOffset <= fileBytes,
            UInt64(footerBytes) <= fileBytes - footerOffset
        else { throw FormatError("the footer lies outside the file") }
    }
}
