/// A segment whose first bytes are damaged while its first frame is not: the frame's checksums continue from the salt
/// that the header lost, so they tell what it was as far as checksums go.
///
/// A checksum can be run backwards: from a frame header's own checksum and its bytes follows the checksum of the salt,
/// and that all frames need. The frame's second checksum, over its payload, says whether the first one was whole.
/// Nobody who writes into payloads can pass for that frame: it stands at a fixed place in front of them.
extension SegmentHeader {
    /// The header of a segment that begins with `frame`, the bytes behind the damaged header; nil where no frame of
    /// position `first` stands there. Its salt is another one with the same checksum: to all frames that is the same.
    package init?(mendedFrom frame: UnsafeRawBufferPointer, first: LogPosition) {
        guard frame.count >= FrameHeader.byteCount else { return nil }
        let covered = UnsafeRawBufferPointer(rebasing: frame[..<20])
        let seed = ReversedChecksum.before(covered, checksum: frame.integer(at: 20))
        guard let header = FrameHeader.decode(frame, seed: seed), header.position == first,
            frame.count >= header.frameBytes,
            FrameHeader.payloadHolds(UnsafeRawBufferPointer(rebasing: frame[..<header.frameBytes]))
        else { return nil }
        self.init(salt: ReversedChecksum.salt(of: seed), first: first)
    }

    /// How many bytes from the header's end on are wanted for that: the length that the first frame's header tells, as
    /// far as it can be believed; nil where there is no such header.
    package static func bytesToMend(_ frame: UnsafeRawBufferPointer) -> Int? {
        guard frame.count >= FrameHeader.byteCount, frame.integer(at: 0) == FrameHeader.magic else { return nil }
        let payload = Int(frame.integer(at: 4, as: UInt32.self))
        return payload <= LogRecord.payloadBytesMaximum ? FrameHeader.byteCount + payload : nil
    }
}

/// CRC-32C run backwards.
private enum ReversedChecksum {
    /// For each byte the remainder it leaves. The top bytes of all of them differ: that is what makes the way back.
    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { rest, _ in rest & 1 == 1 ? rest >> 1 ^ 0x82f6_3b78 : rest >> 1 }
    }

    private static let byTop: [UInt8] = {
        var bytes = [UInt8](repeating: 0, count: 256)
        for (byte, rest) in table.enumerated() { bytes[Int(rest >> 24)] = UInt8(byte) }
        return bytes
    }()

    /// The checksum that continued with `bytes` becomes `checksum`.
    static func before(_ bytes: some BidirectionalCollection<UInt8>, checksum: UInt32) -> UInt32 {
        var state = ~checksum
        for byte in bytes.reversed() {
            let index = byTop[Int(state >> 24)]
            state = (state ^ table[Int(index)]) << 8 | UInt32(index ^ byte)
        }
        return ~state
    }

    /// A salt with this checksum: zeros, then the four bytes that lead from theirs to it.
    static func salt(of seed: UInt32) -> UInt64 {
        let zeros: [UInt8] = [0, 0, 0, 0]
        let start = zeros.withUnsafeBytes { crc32c($0) }
        return UInt64(start ^ before(zeros, checksum: seed)) << 32
    }
}
