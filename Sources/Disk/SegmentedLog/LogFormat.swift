/// The first bytes of a segment file. The layout is in docs/formats/segmented-log.md.
package struct SegmentHeader: Sendable, Equatable {
    /// The size of a segment's header.
    package static let byteCount = 32
    /// The format this binary writes. It reads this one; there is none before it.
    package static let version: UInt8 = 1
    /// "vdt-log" in little-endian order; the eighth byte is the version.
    private static let magic: UInt64 = 0x0067_6f6c_2d74_6476

    /// Random, so that bytes which a sender puts into a payload cannot pass for a frame of this segment.
    package var salt: UInt64
    /// The position of the segment's first frame.
    package var first: LogPosition

    /// A header for a new segment.
    package init(salt: UInt64, first: LogPosition) {
        self.salt = salt
        self.first = first
    }

    /// What bytes at the start of a file are.
    package enum Reading: Equatable {
        case valid(SegmentHeader)
        /// Whole, but of a version that this binary does not know.
        case newer(version: UInt8)
        case damaged
    }

    /// Writes the header into 32 bytes.
    package func encode(into bytes: UnsafeMutableRawBufferPointer, version: UInt8 = SegmentHeader.version) {
        bytes.store(Self.magic, at: 0)
        bytes[7] = version
        bytes.store(salt, at: 8)
        bytes.store(first.ordinal, at: 16)
        bytes.store(UInt32(0), at: 24)
        bytes.store(crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<28])), at: 28)
    }

    /// Reads 32 bytes. Magic, version and checksum keep their places in every version to come.
    package static func decode(_ bytes: UnsafeRawBufferPointer) -> Reading {
        guard bytes.count >= byteCount, bytes.integer(at: 0) & 0x00ff_ffff_ffff_ffff == magic,
            bytes.integer(at: 28) == crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<28]))
        else { return .damaged }
        guard bytes[7] <= version else { return .newer(version: bytes[7]) }
        let header = SegmentHeader(salt: bytes.integer(at: 8), first: LogPosition(bytes.integer(at: 16)))
        guard bytes[7] == version, bytes.integer(at: 24, as: UInt32.self) == 0, header.first >= .first else {
            return .damaged
        }
        return .valid(header)
    }

    /// What the checksums of all frames of the segment continue from.
    package var seed: UInt32 { withUnsafeBytes(of: salt.littleEndian) { crc32c($0) } }
}

/// What stands in front of each payload. The layout is in docs/formats/segmented-log.md.
package struct FrameHeader: Equatable {
    /// The size of a frame without its payload.
    package static let byteCount = 28
    /// F5 76 66 F8 in little-endian order: the first and the last of them occur in no UTF-8 text.
    static let magic: UInt32 = 0xF866_76F5

    /// At most `LogRecord.payloadBytesMaximum`.
    package var payloadBytes: Int
    package var position: LogPosition
    package var kind: UInt8
    /// Set when everything in front of the frame was synced before the frame was written.
    package var followsSync: Bool

    /// A header for a payload of that size.
    package init(payloadBytes: Int, position: LogPosition, kind: UInt8, followsSync: Bool) {
        self.payloadBytes = payloadBytes
        self.position = position
        self.kind = kind
        self.followsSync = followsSync
    }

    /// The bytes of header and payload.
    package var frameBytes: Int { Self.byteCount + payloadBytes }

    /// Writes header and payload into `frameBytes` bytes.
    package func encode(
        _ payload: UnsafeRawBufferPointer, into bytes: UnsafeMutableRawBufferPointer, seed: UInt32
    ) {
        bytes.store(Self.magic, at: 0)
        bytes.store(UInt32(payloadBytes), at: 4)
        bytes.store(position.ordinal, at: 8)
        bytes[16] = kind
        bytes[17] = followsSync ? 1 : 0
        bytes.store(UInt16(0), at: 18)
        let check = crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<20]), continuing: seed)
        bytes.store(check, at: 20)
        bytes.store(crc32c(payload, continuing: check), at: 24)
        UnsafeMutableRawBufferPointer(rebasing: bytes[Self.byteCount...]).copyMemory(from: payload)
    }

    /// Reads a header; nil when its own checksum, its reserved bits or its length do not hold.
    package static func decode(_ bytes: UnsafeRawBufferPointer, seed: UInt32) -> FrameHeader? {
        guard bytes.count >= byteCount, bytes.integer(at: 0) == magic,
            bytes.integer(at: 20) == crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<20]), continuing: seed),
            bytes[17] <= 1, bytes.integer(at: 18, as: UInt16.self) == 0
        else { return nil }
        let length = Int(bytes.integer(at: 4, as: UInt32.self))
        guard length <= LogRecord.payloadBytesMaximum else { return nil }
        return FrameHeader(
            payloadBytes: length, position: LogPosition(bytes.integer(at: 8)), kind: bytes[16],
            followsSync: bytes[17] == 1)
    }

    /// Whether a whole frame's payload is what the header was written for.
    package static func payloadHolds(_ frame: UnsafeRawBufferPointer) -> Bool {
        let payload = UnsafeRawBufferPointer(rebasing: frame[byteCount...])
        return frame.integer(at: 24) == crc32c(payload, continuing: frame.integer(at: 20))
    }
}
