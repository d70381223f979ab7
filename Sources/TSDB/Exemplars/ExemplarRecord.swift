internal import Telemetry

/// Exemplars as bytes: the payload of a record of the log, and what is in the file that keeps them when the log is cut.
/// docs/formats/metric-log.md has the layout.
enum ExemplarRecord {
    static let version: UInt8 = 1
    /// More characters of names and values together are no pointer but a message (OpenMetrics 1.0).
    static let labelCharactersMaximum = 128
    /// A record holds at most so many, which is far below what a frame may hold.
    private static let countMaximum = 4096

    /// Exemplars of one record, and its payload.
    struct Piece: Sendable {
        var exemplars: [SeriesExemplars]
        var payload: [UInt8]
    }

    /// Exemplars cut into records.
    static func pieces(_ exemplars: [SeriesExemplars]) -> [Piece] {
        var pieces: [[SeriesExemplars]] = []
        var room = 0
        for series in exemplars {
            var rest = series.exemplars[...]
            while !rest.isEmpty {
                if room == 0 {
                    pieces.append([])
                    room = countMaximum
                }
                let part = rest.prefix(room)
                pieces[pieces.count - 1].append(SeriesExemplars(labels: series.labels, exemplars: Array(part)))
                room -= part.count
                rest = rest.dropFirst(part.count)
            }
        }
        return pieces.map { Piece(exemplars: $0, payload: encode($0)) }
    }

    /// Version, then series with their exemplars.
    static func encode(_ all: [SeriesExemplars]) -> [UInt8] {
        var writer = ByteWriter()
        writer.put(version)
        writer.putVarint(UInt64(all.count))
        for series in all {
            writer.putPrefixed(series.labels.encoded)
            writer.putVarint(UInt64(series.exemplars.count))
            for exemplar in series.exemplars {
                writer.putSigned(exemplar.milliseconds)
                writer.putDouble(exemplar.value)
                writer.putPrefixed(exemplar.labels.encoded)
            }
        }
        return writer.bytes
    }

    /// Reads what `encode` wrote.
    static func decode(_ payload: UnsafeRawBufferPointer) throws(ByteError) -> [SeriesExemplars] {
        var reader = ByteReader(payload)
        guard try reader.byte() == version else {
            throw ByteError(offset: 0, reason: "exemplars of an unknown version")
        }
        var all: [SeriesExemplars] = []
        for _ in 0..<(try reader.count(upTo: reader.remaining, "series")) {
            var series = SeriesExemplars(labels: try reader.labels(), exemplars: [])
            for _ in 0..<(try reader.count(upTo: reader.remaining, "exemplars")) {
                let time = try reader.signed()
                let value = try reader.double()
                series.exemplars.append(Exemplar(labels: try reader.labels(), milliseconds: time, value: value))
            }
            all.append(series)
        }
        guard reader.isAtEnd else { throw ByteError(offset: reader.offset, reason: "bytes behind the exemplars") }
        return all
    }
}

extension Exemplar {
    /// Whether it is what an exemplar may be: canonical labels that are not too long.
    var isValid: Bool {
        guard Labels(validating: labels.encoded) != nil else { return false }
        let characters = labels.pairs.reduce(0) { $0 + $1.name.unicodeScalars.count + $1.value.unicodeScalars.count }
        return characters <= ExemplarRecord.labelCharactersMaximum
    }
}
