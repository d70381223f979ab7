internal import Disk
internal import Telemetry

/// What the spool must know about itself before it reads a segment: its epoch, which ids were used, what was stored.
/// The layout is in docs/formats/spool.md.
struct SpoolLedger: Equatable {
    /// Sequences count within an epoch; it rises whenever the spool may have lost count.
    var epoch: UInt64
    /// For each queue: every label id below was perhaps used.
    var labelIDs: [UInt64]
    /// For each queue and lane: the last sequence that may be forgotten.
    var archived: [UInt64]

    private static let magic: [UInt8] = Array("vdts".utf8)
    private static let version: UInt8 = 1

    /// A ledger of a spool that begins.
    init(epoch: UInt64) {
        self.epoch = epoch
        labelIDs = DeliveryQueue.allCases.map { $0.firstLabelID }
        archived = Array(repeating: 0, count: DeliveryQueue.allCases.count * DeliveryIdentity.Lane.allCases.count)
    }

    /// The last sequence of a queue's lane that may be forgotten.
    subscript(queue: DeliveryQueue, lane: DeliveryIdentity.Lane) -> UInt64 {
        get { archived[queue.rawValue * DeliveryIdentity.Lane.allCases.count + Int(lane.rawValue)] }
        set { archived[queue.rawValue * DeliveryIdentity.Lane.allCases.count + Int(lane.rawValue)] = newValue }
    }

    /// The ledger as bytes.
    var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.put(Self.magic)
        writer.put(Self.version)
        writer.putFixed(epoch)
        for id in labelIDs { writer.putFixed(id) }
        for mark in archived { writer.putFixed(mark) }
        writer.putFixed(writer.bytes.withUnsafeBytes { crc32c($0) })
        return writer.bytes
    }

    /// Reads a ledger.
    init(decoding bytes: [UInt8]) throws(ByteError) {
        self.init(epoch: 0)
        let result = bytes.withUnsafeBytes { raw in
            Result { [self] () throws(ByteError) in try self.filled(from: raw) }
        }
        self = try result.get()
    }

    private func filled(from raw: UnsafeRawBufferPointer) throws(ByteError) -> SpoolLedger {
        guard raw.count > 9, raw.starts(with: Self.magic), raw[4] == Self.version else {
            throw ByteError(offset: 0, reason: "not a spool ledger of version \(Self.version)")
        }
        let body = UnsafeRawBufferPointer(rebasing: raw[..<(raw.count - 4)])
        guard raw.loadUnaligned(fromByteOffset: body.count, as: UInt32.self).littleEndian == crc32c(body) else {
            throw ByteError(offset: body.count, reason: "checksum does not hold")
        }
        var filled = self
        var reader = ByteReader(body, at: 5)
        filled.epoch = try reader.fixed()
        for index in labelIDs.indices { filled.labelIDs[index] = try reader.fixed() }
        for index in archived.indices { filled.archived[index] = try reader.fixed() }
        return filled
    }
}
