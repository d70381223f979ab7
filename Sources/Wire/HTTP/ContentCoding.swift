internal import Telemetry

/// Undoes a Content-Encoding, within a bound.
package enum ContentCoding {
    /// Why a body could not be read.
    package enum Failure: Error, Equatable, CustomStringConvertible {
        /// No such coding here: 415.
        case unsupported(String)
        /// More than the bound: 413.
        case tooLarge(String)
        /// Not what it says it is: 400.
        case damaged(String)

        package var description: String {
            switch self {
            case .unsupported(let coding):
                "Content-Encoding \(coding) is not supported; use identity, gzip, deflate or zstd"
            case .tooLarge(let words), .damaged(let words): words
            }
        }
    }

    /// The codings that `decode` knows, for an Accept-Encoding field.
    package static let accepted = "gzip, deflate, zstd"

    /// The body that was meant. `coding` is the field's value or nil; at most `bytesMaximum` bytes come out.
    package static func decode(
        _ body: [UInt8], coding: String?, bytesMaximum: Int
    ) throws(Failure) -> [UInt8] {
        let name = (coding ?? "").lowercased()
        do throws(CompressionError) {
            switch name {
            case "", "identity":
                guard body.count <= bytesMaximum else {
                    throw CompressionError(.tooLarge, format: .deflate, reason: "body is over \(bytesMaximum) bytes")
                }
                return body
            case "gzip", "x-gzip": return try Compression.gzip.decompress(body, bytesMaximum: bytesMaximum)
            case "zstd": return try Compression.zstd.decompress(body, bytesMaximum: bytesMaximum)
            case "deflate":
                // The name means zlib, yet some senders leave its envelope away; 8 in the low bits marks it (RFC 1950).
                let hasEnvelope =
                    body.count >= 2 && body[0] & 0x0f == 8
                    && (Int(body[0]) << 8 | Int(body[1])).isMultiple(of: 31)
                let format: Compression = hasEnvelope ? .zlib : .deflate
                return try format.decompress(body, bytesMaximum: bytesMaximum)
            default: break
            }
        } catch {
            switch error.kind {
            case .tooLarge: throw .tooLarge("body: \(error.reason)")
            case .damaged: throw .damaged("body is not \(name): \(error.reason)")
            }
        }
        throw .unsupported(name)
    }
}
