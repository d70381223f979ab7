internal import Telemetry

/// A request to forget lines: they are no longer answered from the moment it is durable. Applies to the parts that
/// existed when it was made; lines that come later are not touched.
struct Deletion: Sendable, Equatable {
    var matchers: [LabelMatcher]
    var range: LogTimeRange
    /// Parts whose last log position is at or before this one are meant.
    var position: UInt64

    /// Whether the lines of `labels` are meant.
    func matches(_ labels: Labels) -> Bool { matchers.allSatisfy { $0.matches(labels) } }

    /// The format's version, the first byte of a section's content.
    static let version: UInt8 = 1
    static let listBytesMaximum = 16 << 20

    /// The whole list as a file: the same section twice, so that one damaged byte loses nothing
    /// (docs/formats/log-deletions.md).
    static func encode(_ list: [Deletion]) -> [UInt8] {
        var body = ByteWriter()
        body.put(version)
        body.putVarint(UInt64(list.count))
        for deletion in list {
            body.putVarint(deletion.position)
            body.putSigned(deletion.range.startNanoseconds)
            body.putSigned(deletion.range.endNanoseconds)
            body.putVarint(UInt64(deletion.matchers.count))
            for matcher in deletion.matchers {
                body.putString(matcher.name)
                body.putString(matcher.operation.rawValue)
                body.putString(matcher.value)
            }
        }
        var writer = ByteWriter()
        Section.append(body.bytes, codec: .zstd, to: &writer)
        return writer.bytes + writer.bytes
    }

    /// Reads the file. `blemish` says what is wrong with one of its two copies although the other one tells all.
    static func decode(
        _ bytes: UnsafeRawBufferPointer
    ) throws(FormatError) -> (list: [Deletion], blemish: String?) {
        do throws(FormatError) {
            let list = try decodeCopy(bytes, at: 0)
            do throws(FormatError) {
                return (list, try decodeCopy(bytes, at: bytes.count / 2) == list ? nil : "its copies differ")
            } catch {
                return (list, "\(error)")
            }
        } catch {
            if error.isNewer { throw error }
            return (try decodeCopy(bytes, at: bytes.count / 2), "\(error)")
        }
    }

    private static func decodeCopy(
        _ bytes: UnsafeRawBufferPointer, at offset: Int
    ) throws(FormatError) -> [Deletion] {
        var reader = ByteReader(bytes, at: offset)
        let raw = try Section.read(from: &reader, bytesMaximum: listBytesMaximum, "list of deletions")
        do {
            return try raw.withUnsafeBytes { bytes in
                var body = ByteReader(bytes)
                let found = try body.byte()
                guard found == version else {
                    throw FormatError(
                        "deletions of version \(found), this release reads \(version)", isNewer: found > version)
                }
                let list = try (0..<body.count(upTo: body.remaining)).map { _ in try decodeOne(&body) }
                guard body.isAtEnd else { throw FormatError("bytes follow the deletions") }
                return list
            }
        } catch let error as FormatError {
            throw error
        } catch {
            throw FormatError("deletions: \(error)")
        }
    }

    private static func decodeOne(_ reader: inout ByteReader) throws -> Deletion {
        let position = try reader.varint()
        let start = try reader.signed()
        let range = LogTimeRange(startNanoseconds: start, endNanoseconds: try reader.signed())
        var matchers: [LabelMatcher] = []
        for _ in 0..<(try reader.count(upTo: reader.remaining)) {
            let name = try reader.string()
            guard let operation = LabelMatcher.Operation(rawValue: try reader.string()) else {
                throw FormatError("unknown operation of a matcher")
            }
            matchers.append(try LabelMatcher(name, operation, try reader.string()))
        }
        return Deletion(matchers: matchers, range: range, position: position)
    }
}
