internal import CKernels
internal import Telemetry

/// Why stored bytes of a part or log record cannot be used.
struct FormatError: Error, Equatable, CustomStringConvertible {
    /// What was wrong, lower case, without a full stop.
    var description: String
    /// Whether nothing is damaged: a later release wrote it, and this one must leave it alone.
    var isNewer: Bool

    init(_ description: String, isNewer: Bool = false) {
        self.description = description
        self.isNewer = isNewer
    }
}

/// A run of bytes that protects itself: how it is compressed, how long it is, and a checksum over all of that.
///
/// Layout (docs/formats/log-part.md): codec u8 | raw length u32 | stored length u32 | crc32c u32 | payload.
enum Section {
    /// How a payload is stored.
    enum Codec: UInt8 {
        case raw = 0
        case zstd = 1
        case lz4 = 2

        func compress(_ raw: [UInt8]) -> [UInt8] {
            self == .zstd
                ? Compression.zstd.compress(raw) : Compression.lz4Block.compress(raw, level: Section.lz4Level)
        }
    }

    /// What the write-ahead log holds is read once, if ever: haste is worth more than a few bytes.
    private static let lz4Level = -4

    /// The bytes before the payload.
    static let headerBytes = 13
    /// Payloads shorter than this are stored as they are: a compressed frame would be longer.
    static let compressedBytesMinimum = 48

    /// Appends `raw` as a section.
    static func append(_ raw: [UInt8], codec wanted: Codec, to writer: inout ByteWriter) {
        var codec = Codec.raw
        var payload = raw
        if wanted != .raw, raw.count >= compressedBytesMinimum {
            let compressed = wanted.compress(raw)
            if compressed.count < raw.count {
                codec = wanted
                payload = compressed
            }
        }
        let start = writer.count
        writer.put(codec.rawValue)
        writer.putFixed(UInt32(raw.count))
        writer.putFixed(UInt32(payload.count))
        let head = Array(writer.bytes[start...])
        writer.putFixed(checksum(head, payload.withUnsafeBytes { checksum(of: $0) }))
        writer.put(payload)
    }

    /// Reads a section that may stand for at most `bytesMaximum` bytes.
    static func read(
        from reader: inout ByteReader, bytesMaximum: Int, _ what: String
    ) throws(FormatError) -> [UInt8] {
        do {
            let header = try reader.slice(headerBytes)
            var fields = ByteReader(header)
            let code = try fields.byte()
            let rawCount = Int(try fields.fixed(UInt32.self))
            let storedCount = Int(try fields.fixed(UInt32.self))
            let expected = try fields.fixed(UInt32.self)
            guard rawCount <= bytesMaximum else {
                throw FormatError("\(what) claims \(rawCount) bytes, at most \(bytesMaximum) are allowed")
            }
            guard storedCount <= reader.remaining else { throw FormatError("\(what) is cut short") }
            let payload = try reader.slice(storedCount)
            guard checksum(Array(header.prefix(9)), checksum(of: payload)) == expected else {
                throw FormatError("the checksum of \(what) does not hold")
            }
            return try restore(payload, code: code, rawCount: rawCount, what)
        } catch let error as FormatError {
            throw error
        } catch {
            throw FormatError("\(what): \(error)")
        }
    }

    private static func restore(
        _ payload: UnsafeRawBufferPointer, code: UInt8, rawCount: Int, _ what: String
    ) throws -> [UInt8] {
        guard let codec = Codec(rawValue: code) else { throw FormatError("\(what) has the unknown codec \(code)") }
        let raw: [UInt8] =
            switch codec {
            case .raw: Array(payload)
            case .zstd: try Compression.zstd.decompress(payload, bytesMaximum: rawCount)
            case .lz4: try Compression.lz4Block.decompress(payload, bytesMaximum: rawCount)
            }
        guard raw.count == rawCount else {
            throw FormatError("\(what) restores to \(raw.count) bytes instead of \(rawCount)")
        }
        return raw
    }

    /// CRC-32C of `bytes`.
    static func checksum(of bytes: UnsafeRawBufferPointer) -> UInt32 {
        vedette_crc32c(0, bytes.baseAddress, bytes.count)
    }

    /// The header's nine bytes behind the payload's own checksum: one pass over the payload, no copy of it.
    private static func checksum(_ head: [UInt8], _ payload: UInt32) -> UInt32 {
        head.withUnsafeBytes { vedette_crc32c(payload, $0.baseAddress, $0.count) }
    }
}
